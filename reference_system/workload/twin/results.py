"""Laboratory, dashboard and analytics: versions of a result, a contract that changes, one look at a patient,
and counts of everything."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from simulation.modelling import (
    CallFailed,
    Event,
    Held,
    ModelError,
    Record,
    Refused,
    Reply,
    Request,
    Work,
    winners,
)

from .base import ReferenceNode
from .disclosure import DisclosingNode, SealingNode
from .security import user_of

V1, V2, BOTH = "v1", "v2", "v1 and v2"
MIGRATION, ONLY_NEW, UPGRADE = "results_v2", "v2_only", "reads_v2"


def flag_of(potassium: float) -> str:
    """How a laboratory flags such a value; what is neither low nor high enough to matter is normal."""
    return "LL" if potassium < 2.8 else "HH" if potassium >= 6.2 else "N"


class Lab(SealingNode):
    """Every version of a result is kept; what is told of it changes with the tables."""

    SWITCHES = ("if_match", "result_contract")
    CHANGES = (MIGRATION, ONLY_NEW)

    def opened(self) -> None:
        self.outbox = self.publisher()
        self.open_disclosure()
        self._only_new = False

    @property
    def _reports(self) -> dict[str, dict[str, Any]]:
        rows: dict[str, dict[str, Any]] = self.tables.setdefault("report", {})
        return rows

    @property
    def _versions(self) -> dict[tuple[str, int], dict[str, Any]]:
        rows: dict[tuple[str, int], dict[str, Any]] = self.tables.setdefault("report_version", {})
        return rows

    @property
    def _moved(self) -> bool:
        return bool(self.tables.get("moved"))

    def serve(self, request: Request, deadline: float | None) -> Work[Reply]:
        if request.what == "order_lab":
            refusal = yield from self.permit_change(request, "ServiceRequest", deadline)
            if refusal is not None:
                return refusal
            yield from self._unlocked()
            yield from self.store(lambda: None, deadline)
            return Reply(201)
        if request.what == "results":
            return (yield from self._results(request, deadline))
        return (yield from self._report(request, deadline))

    def _results(self, request: Request, deadline: float | None) -> Work[Reply]:
        served = (
            {V1, V2} if self.switches["result_contract"] == "expand_contract" else {V2 if self._moved else V1}
        )
        served -= {V1} if self._only_new else set()
        if request.body["contract"] not in served:
            raise Refused(410)
        found = yield from self.look(lambda: dict(self._reports), deadline)
        return Reply(200, {"results": found})

    def _report(self, request: Request, deadline: float | None) -> Work[Reply]:
        key, value = request.body["key"], request.body["value"]
        refusal = yield from self.permit_change(request, "DiagnosticReport", deadline)
        if refusal is not None:
            return refusal
        flag = flag_of(request.body["potassium"])
        for _ in range(int(self.constant("report_tries"))):
            held = yield from self.look(lambda: self._reports.get(key), deadline)
            version = held["version"] + 1 if held is not None else 1
            body = {"schema": self._schema(), "value": value, "status": request.body["status"], "flag": flag}
            event = self.outbox.event("lab.result", key, body, version)
            yield from self._unlocked()
            row = {"version": version, "value": value, "status": request.body["status"], "at": self.wall}
            row["urgency"] = "routine" if flag == "N" else "critical"
            if (yield from self.store(partial(self._keep, key, row, event), deadline)):
                self.outbox.committed(event)
                return Reply(201 if version == 1 else 200, {"version": version, "value": value})
        raise Refused(503)

    def _keep(self, key: str, row: dict[str, Any], event: Event) -> bool:
        """The next version, if no other one came first; without the comparison whichever it is."""
        now = self._reports.get(key)
        if self.switches["if_match"] and (now["version"] if now is not None else 0) != row["version"] - 1:
            return False
        self._reports[key] = row
        self._versions[key, row["version"]] = row
        self.outbox.write(event)
        return True

    def _unlocked(self) -> Work[None]:
        """A write waits while somebody else holds the tables."""
        while (until := float(self.tables.get("locked_until", 0.0))) > self.clock._now:
            yield from self.pause_for(until - self.clock._now)

    def _schema(self) -> str:
        """What an event is readable as."""
        if self._only_new:
            return V2
        if not self._moved:
            return V1
        return V2 if self.switches["result_contract"] == "breaking" else BOTH

    def change(self, name: str, made: bool) -> Work[None]:
        in_place = self.switches["result_contract"] == "breaking"
        yield from self.pause_for(self.constant("rename_s" if in_place else "expand_and_contract_s"))
        self.tables["moved"] = made
        self._only_new = made and name == ONLY_NEW

    def records(self) -> Iterator[Record]:
        for key, row in self._reports.items():
            facts = {"version": row["version"], "status": row["urgency"], "value": row["value"]}
            yield Record("lab", "report", key, key, row["at"], **facts)
        for (key, version), row in self._versions.items():
            facts = {"version": version, "status": row["status"], "value": row["value"]}
            yield Record("lab", "report_version", key, f"{key}/{version}", row["at"], **facts)

    def held(self, key: str) -> Held | None:
        if not key.startswith("lab-"):
            return None
        row = self._reports.get(key)
        return Held(row["value"], row["version"]) if row is not None else Held("absent")


class PartMissing(ModelError):
    """One of the parts could not be had."""


class Dashboard(DisclosingNode):
    """A copy that follows events, or four questions at the moment of the question."""

    SWITCHES = ("result_contract", "dashboard", "partial_answers", "version_fence")
    CONSUMES = ("lab.>", "rx.>", "eligibility.>", "patient.>")
    CHANGES = (UPGRADE,)

    def opened(self) -> None:
        self.outbox = self.publisher()
        self.open_disclosure()

    @property
    def _copies(self) -> dict[str, dict[str, Any]]:
        rows: dict[str, dict[str, Any]] = self.tables.setdefault("result", {})
        return rows

    @property
    def _dead(self) -> list[Event]:
        letters: list[Event] = self.tables.setdefault("dead_letter", [])
        return letters

    @property
    def _projects(self) -> bool:
        return bool(self.switches["dashboard"] == "projection")

    @property
    def _tables_of_lab(self) -> dict[str, Any]:
        return self.site.tables.get("lab", {})

    def serve(self, request: Request, deadline: float | None) -> Work[Reply]:
        key = request.body["key"]
        refusal = yield from self.permit(request, user_of(request), "DiagnosticReport", deadline)
        if refusal is not None:
            return refusal
        if not self._projects:
            return (yield from self._ask_all(key, request.body["patient"], deadline))
        for _ in range(int(self.constant("dashboard_statements")) - 1):
            yield from self.look(lambda: None, deadline)
        found = yield from self.look(lambda: self._copies.get(key), deadline)
        oldest = min((event.at for event in self._dead), default=None)
        said = {"version": 0} if found is None else {"version": found["version"], "value": found["value"]}
        if oldest is None:
            return Reply(200, said)
        return Reply(200, said, "incomplete", self.clock._now - oldest)

    # four questions

    def _ask_all(self, key: str, patient: str, deadline: float | None) -> Work[Reply]:
        whose = {"patient": patient}
        tasks = [
            self.spawn(self._results(deadline)),
            self.spawn(self._part("prescriptions", "of_patient", whose, deadline)),
            self.spawn(self._part("eligibility", "decision", whose, deadline)),
            self.spawn(self._part("registry", "read", whose, deadline)),
        ]
        missing = 0
        for task in tasks:
            try:
                yield task
            except PartMissing:
                missing += 1
        if missing and not self.switches["partial_answers"]:
            raise Refused(500)
        results = tasks[0].value
        label = "partial" if missing else None
        if results is None:
            return Reply(200, {}, label)
        row = results.get(key)
        said = {"version": 0} if row is None else {"version": row["version"], "value": row["value"]}
        return Reply(200, said, label)

    def _part(
        self, service: str, what: str, body: dict[str, Any], deadline: float | None, allowed: int = 0
    ) -> Work[Reply]:
        try:
            reply = yield from self.call(service, what, body, deadline)
        except CallFailed as failed:
            raise PartMissing(str(failed)) from failed
        if reply.status not in (200, allowed):
            raise PartMissing(str(reply.status))
        return reply

    def _results(self, deadline: float | None) -> Work[dict[str, Any]]:
        if self.shares_database:
            try:
                moved, rows = yield from self.look(self._rows_of_lab, deadline)
            except CallFailed as failed:
                raise PartMissing(str(failed)) from failed
            if moved != self._upgraded:
                raise PartMissing("no such column")
            found: dict[str, Any] = rows
            return found
        tolerant = self.switches["result_contract"] == "expand_contract"
        own, other = (V2, V1) if self._upgraded else (V1, V2)
        for contract in (own, other) if tolerant else (own,):
            reply = yield from self._part("lab", "results", {"contract": contract}, deadline, 410)
            if reply.status == 200:
                found = reply.body["results"]
                return found
        raise PartMissing("no contract")

    def _rows_of_lab(self) -> tuple[bool, dict[str, Any]]:
        lab = self._tables_of_lab
        return bool(lab.get("moved")), dict(lab.get("report", {}))

    # the copy

    def on_events(self, events: list[Event]) -> Work[None]:
        if not self._projects:
            return
        results = [event for event in events if event.type == "lab.result"]
        unknown = [event for event in results if not self._understands(event)]
        keeps = self.switches["result_contract"] == "expand_contract"
        yield from self.store(lambda: self._bring_in(results, unknown if keeps else []))

    def _understands(self, event: Event) -> bool:
        return V1 in event.body["schema"] or self._upgraded

    @property
    def _upgraded(self) -> bool:
        return UPGRADE in self.changes

    def _bring_in(self, results: list[Event], aside: list[Event]) -> None:
        fence = self.switches["version_fence"]
        fresh = self.fresh(results)
        self._dead.extend(event for event in aside if event in fresh)
        for event in winners([event for event in fresh if self._understands(event)], fence):
            self._apply(event)

    def _apply(self, event: Event) -> None:
        held = self._copies.get(event.key)
        if held is None or not self.switches["version_fence"] or (event.version or 0) > held["version"]:
            facts = {"value": event.body["value"], "status": event.body["status"]}
            self._copies[event.key] = {"version": event.version or 0, **facts}

    def change(self, name: str, made: bool) -> Work[None]:
        if made and self._dead:
            yield from self.store(self._replay)

    def _replay(self) -> None:
        letters, self.tables["dead_letter"] = self._dead, []
        for event in letters:
            self._apply(event)

    # the system of record

    def records(self) -> Iterator[Record]:
        shown = self._copies if self._projects else self._tables_of_lab.get("report", {})
        for key, row in shown.items():
            facts = {"version": row["version"], "status": row["status"], "value": row["value"]}
            yield Record("dashboard", "shown_result", key, key, self.wall, **facts)
        for event in self._dead:
            yield Record(
                "dashboard", "dead_letter", event.key, event.id, event.at, value=event.body["schema"]
            )

    def backlog(self) -> dict[str, int]:
        return {"dead_letters": len(self._dead)}


class Analytics(ReferenceNode):
    """Counts of its own, or reports that hold the laboratory's tables while they run."""

    CONSUMES = ("lab.>", "rx.>", "dispense.>", "checkin.>", "eligibility.>", "claim.>", "payment.>")
    CHANGES = ("monthly_report",)

    def opened(self) -> None:
        self.outbox = self.publisher()
        self._reporting = 0

    @property
    def _counts(self) -> dict[tuple[str, str], int]:
        rows: dict[tuple[str, str], int] = self.tables.setdefault("counted", {})
        return rows

    def serve(self, request: Request, deadline: float | None) -> Work[Reply]:
        yield from self.look(lambda: None, deadline)
        return Reply(200)

    def on_events(self, events: list[Event]) -> Work[None]:
        if not self.shares_database:
            yield from self.store(lambda: self._count(events))

    def _count(self, events: list[Event]) -> None:
        for event in self.fresh(events):
            key = (event.type, str(event.body.get("status", "")))
            self._counts[key] = self._counts.get(key, 0) + 1

    def change(self, name: str, made: bool) -> Work[None]:
        self._reporting += 1
        if made:
            self.spawn(self._reports(self._reporting))
        yield from self.pause_for(0.0)

    def _reports(self, number: int) -> Work[None]:
        while number == self._reporting:
            if self.shares_database:
                took = self.constant("report_s")
                self.site.tables.setdefault("lab", {})["locked_until"] = self.clock._now + took
                yield from self.pause_for(took)
            yield from self.look(lambda: None)
            yield from self.pause_for(self.constant("report_pause_s"))

    def records(self) -> Iterator[Record]:
        for (kind, label), n in self._counts.items():
            yield Record(
                "analytics", "count", f"{kind}/{label}", None, self.wall, amount=float(n), value=kind
            )
