"""Before patient data are shown or changed: the right to see them, emergencies, and what audit is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simulation.modelling import CallFailed, ModelError, Record, Refused, Reply, Request, Work

from .base import ReferenceNode

EMERGENCIES = ("break_glass", "note_allergy_in_emergency")
WRITE = ".write"  # at the end of an action: to change what it names
OFFICES = {  # the role whose work it is, where that is not a physician's
    "check_in": "clerk",
    "dispense": "pharmacist",
    "report_result": "laboratory",
    "report_critical": "laboratory",
    "correct_result": "laboratory",
}
ASKED = ("client", "router")  # persons, and who hands their requests on


class DisclosingNode(ReferenceNode):
    """A service that shows patient data, as far as authz and audit take part in the run."""

    SWITCHES: tuple[str, ...] = (
        "authorisation",
        "decision_cache",
        "local_break_glass",
        "audit",
        "spool_limit",
        "write_roles",
    )

    def open_disclosure(self) -> None:
        """Called where the process is up: kept permissions are lost, grants and the spool are not."""
        self._kept: dict[tuple[str, ...], float] = {}
        self._granted: dict[tuple[str, str], float] = {
            (row["user"], row["patient"]): row["until"] for row in self._grants.values()
        }
        self._number = max([0, self._shipped, *self._spool])
        self._shipping = False
        if "audit" in self.links and self.switches["audit"] == "spool":
            self.waiting["audit_unsent"] = lambda: len(self._spool)
            self._ship_on()

    @property
    def _grants(self) -> dict[str, dict[str, Any]]:
        rows: dict[str, dict[str, Any]] = self.tables.setdefault("break_glass", {})
        return rows

    @property
    def _spool(self) -> dict[int, dict[str, Any]]:
        rows: dict[int, dict[str, Any]] = self.tables.setdefault("audit_spool", {})
        return rows

    @property
    def _shipped(self) -> int:
        return int(self.tables.get("audit_shipped", 0))

    def permit(self, request: Request, user: str, action: str, deadline: float | None) -> Work[Reply | None]:
        """None when the person may be shown it and that is on record; else the refusal. Raises CallFailed."""
        if request.caller not in ASKED:
            return None
        answer = "permit"
        if "authz" in self.links:
            answer = yield from self._decided(request, user, action, deadline)
        if "audit" in self.links:
            refusal = yield from self._record(request, answer, deadline)
            if refusal is not None:
                return refusal
        if answer == "deny":
            raise Refused(403)
        return Reply(503, refused=True) if answer == "unknown" else None

    def permit_change(self, request: Request, action: str, deadline: float | None) -> Work[Reply | None]:
        """As `permit`, of a change of `action`. A design without roles on writes lets everybody."""
        asked = "authz" in self.links or "audit" in self.links
        if not self.switches["write_roles"] or not asked or request.caller not in ASKED:
            return None
        user = request.body.get("user") or self._who_writes(request)
        return (yield from self.permit(request, user, f"{action}{WRITE}", deadline))

    def _who_writes(self, request: Request) -> str:
        """Who does it whose work it is, for this patient."""
        data, patient = self.site.population.data, request.body["patient"]
        role = OFFICES.get(request.what, "physician")
        ward = next((each["ward"] for each in data["care"] if each["patient"] == patient), None)
        persons = (one["id"] for one in data["staff"] if one["role"] == role and ward in one["wards"])
        return str(next(persons, "nobody"))

    def _decided(self, request: Request, user: str, action: str, deadline: float | None) -> Work[str]:
        patient = request.body["patient"]
        if request.what in EMERGENCIES:
            answer = yield from self._break_glass(request, user, patient, action, deadline)
            if answer == "unknown" and self.switches["local_break_glass"]:
                yield from self._grant(request, user, patient, deadline)
                return "permit"
        else:
            answer = yield from self._decide(user, patient, action, deadline)
        if answer == "unknown" and self.switches["authorisation"] == "fail_open":
            return "permit"
        return answer

    def _decide(self, user: str, patient: str, action: str, deadline: float | None) -> Work[str]:
        now = self.clock._now
        granted = self._granted.get((user, patient), 0.0) > now and not action.endswith(WRITE)
        if granted or self._kept.get((user, patient, action), 0.0) > now:
            return "permit"
        body = {"user": user, "patient": patient, "action": action}
        reply = yield from self._ask_authz("decide", body, deadline)
        if reply is None:
            return "unknown"
        keep = self.switches["decision_cache"]
        if reply.body["permit"] and keep is not None:
            self._kept[user, patient, action] = self.clock._now + keep / self.scale
        return "permit" if reply.body["permit"] else "deny"

    def _break_glass(
        self, request: Request, user: str, patient: str, action: str, deadline: float | None
    ) -> Work[str]:
        body = {"id": request.body["key"], "user": user, "patient": patient, "action": action}
        reply = yield from self._ask_authz("break_glass", body, deadline)
        if reply is None:
            return "unknown"
        if not reply.body["granted"]:
            return "deny"
        self._granted[user, patient] = reply.body["until"]
        return "permit"

    def _ask_authz(self, what: str, body: dict[str, Any], deadline: float | None) -> Work[Reply | None]:
        try:
            reply = yield from self.call(
                "authz", what, body, deadline, limit=self.constant("decision_wait_s")
            )
        except CallFailed:
            return None
        return reply if reply.status == 200 else None

    def _grant(self, request: Request, user: str, patient: str, deadline: float | None) -> Work[None]:
        key = request.body["key"]
        until = self.clock._now + self.constant("grant_lasts_s") / self.scale
        row = {"user": user, "patient": patient, "until": until, "at": self.wall}
        event = self.outbox.event("breakglass.granted", key, dict(row))

        def statement() -> None:
            self._grants.setdefault(key, row)
            self.outbox.write(event)

        yield from self.store(statement, deadline)
        self.outbox.committed(event)
        self._granted[user, patient] = until

    # what audit is told

    def _record(self, request: Request, answer: str, deadline: float | None) -> Work[Reply | None]:
        event = {"request": request.body["key"], "status": "shown" if answer == "permit" else "refused"}
        if self.switches["audit"] != "spool":
            self._number += 1
            self.spawn(self._tell([{**event, "number": self._number, "at": self.wall}]))
            return None
        limit = self.switches["spool_limit"]
        if limit is not None and len(self._spool) >= limit:
            return Reply(503, refused=True)

        def statement() -> None:
            self._number += 1
            self._spool[self._number] = {**event, "number": self._number, "at": self.wall}

        yield from self.store(statement, deadline)
        self._ship_on()
        return None

    def _tell(self, events: list[dict[str, Any]]) -> Work[bool]:
        try:
            reply = yield from self.call("audit", "take", {"events": events})
        except ModelError:
            return False
        return reply.status == 201

    def _ship_on(self) -> None:
        if not self._shipping and self._spool:
            self._shipping = True
            self.spawn(self._ship())

    def _ship(self) -> Work[None]:
        """Sends the spool, in order, until it is empty."""
        yield from self.pause_for(self.constant("spool_linger_s"))
        while self._spool:
            batch = list(self._spool.items())[: int(self.constant("spool_batch"))]
            sent = yield from self._tell([event for _, event in batch])
            if not sent:
                yield from self.pause_for(self.constant("spool_retry_s"))
                continue
            for number, _ in batch:
                self._spool.pop(number, None)
            self.tables["audit_shipped"] = batch[-1][0]
        self._shipping = False

    def records_of_grants(self) -> Iterator[Record]:
        for key, row in self._grants.items():
            yield Record(self.name, "grant", key, key, row["at"], status="granted", value=row["user"])


class SealingNode(DisclosingNode):
    """One that keeps what identifies a patient: encrypted or not, it takes the same time."""

    SWITCHES: tuple[str, ...] = ("encryption",)
