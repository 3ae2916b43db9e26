"""Prescriptions and pharmacy: versions of a dose, a copy fed by events, and the hand-over."""

from __future__ import annotations

from collections.abc import Iterator
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

from .disclosure import SealingNode
from .security import user_of

CREATES = ("prescribe", "forbidden_order")
WRITES = (*CREATES, "change_dose", "forbidden_change", "stop")


def name_of(key: str) -> str:
    """What stands behind the kind in a business key."""
    return key.partition("-")[2]


class Unreachable(ModelError):
    """The prescription could not be read where it is kept."""


class Prescriptions(SealingNode):
    """Every version that was ever committed is kept."""

    SWITCHES = ("registry_fallback", "if_match")

    def opened(self) -> None:
        self.outbox = self.publisher()
        self.open_disclosure()

    @property
    def _rx(self) -> dict[str, dict[str, Any]]:
        rows: dict[str, dict[str, Any]] = self.tables.setdefault("rx", {})
        return rows

    @property
    def _versions(self) -> dict[tuple[str, int], dict[str, Any]]:
        rows: dict[tuple[str, int], dict[str, Any]] = self.tables.setdefault("rx_version", {})
        return rows

    def serve(self, request: Request, deadline: float | None) -> Work[Reply]:
        if request.what in WRITES:
            return (yield from self._write(request, deadline))
        if request.what == "of_patient":
            yield from self.look(lambda: None, deadline)
            return Reply(200)
        row = yield from self.look(lambda: self._current(request), deadline)
        if row is None:
            raise Refused(404)
        return Reply(200, row)

    def _write(self, request: Request, deadline: float | None) -> Work[Reply]:
        refusal = yield from self.permit_change(request, "MedicationRequest", deadline)
        if refusal is not None:
            return refusal
        if request.what in CREATES:
            return (yield from self._create(request, deadline))
        return (yield from self._change(request, deadline))

    def _current(self, request: Request) -> dict[str, Any] | None:
        row = self._rx.get(request.body["rx"])
        return dict(row) if row is not None else None

    def _keep(self, rx: str, version: int, dose: str, status: str = "active") -> None:
        row = {"rx": rx, "version": version, "dose": dose, "status": status, "at": self.wall}
        self._rx[rx] = row
        self._versions[rx, version] = dict(row)

    def _create(self, request: Request, deadline: float | None) -> Work[Reply]:
        rx, dose = request.body["key"], request.body["value"]
        label = yield from self._check_patient(request.body["patient"], deadline)
        event = self.outbox.event("rx.created", rx, {"dose": dose}, 1)

        def statement() -> bool:
            if rx in self._rx:
                return False
            self._keep(rx, 1, dose)
            self.outbox.write(event)
            return True

        if not (yield from self.store(statement, deadline)):
            return Reply(200, {"version": self._rx[rx]["version"], "value": dose})
        self.outbox.committed(event)
        return Reply(201, {"version": 1, "value": dose}, label)

    def _check_patient(self, patient: str, deadline: float | None) -> Work[str | None]:
        try:
            reply = yield from self.call("registry", "read", {"patient": patient}, deadline)
        except CallFailed:
            if not self.switches["registry_fallback"]:
                raise
            return "unverified-patient"
        if reply.status == 404:
            raise Refused(404)
        if reply.status != 200:
            if not self.switches["registry_fallback"]:
                raise Refused(502)
            return "unverified-patient"
        return None

    def _change(self, request: Request, deadline: float | None) -> Work[Reply]:
        rx, dose, guarded = request.body["key"], request.body["value"], self.switches["if_match"]
        base = request.body["expected"]
        if guarded and base is None:
            raise Refused(428)
        if not guarded:
            row = yield from self.look(lambda: self._rx.get(rx), deadline)
            base = row["version"] if row is not None else 0
        version = base + 1
        status, kind = ("stopped", "rx.stopped") if request.what == "stop" else ("active", "rx.changed")
        event = self.outbox.event(kind, rx, {"dose": dose, "status": status}, version)

        def statement() -> bool:
            held = self._rx.get(rx)
            if held is None or (guarded and held["version"] != base):
                return False
            self._keep(rx, version, dose, status)
            self.outbox.write(event)
            return True

        if not (yield from self.store(statement, deadline)):
            raise Refused(412 if rx in self._rx else 404)
        self.outbox.committed(event)
        return Reply(200, {"version": version, "value": dose})

    def records(self) -> Iterator[Record]:
        for (rx, version), row in self._versions.items():
            facts = {"version": version, "status": row["status"], "value": row["dose"]}
            yield Record("prescriptions", "rx_version", rx, f"{rx}/{version}", row["at"], **facts)
        yield from self.records_of_grants()

    def held(self, key: str) -> Held | None:
        if not key.startswith("rx-"):
            return None
        row = self._rx.get(key)
        return Held(row["dose"], row["version"]) if row is not None else Held("absent")


class Pharmacy(SealingNode):
    """Hands over what its design takes to be the current version."""

    SWITCHES = ("dispense_check", "version_fence")

    CONSUMES = ("rx.>",)

    def opened(self) -> None:
        self.outbox = self.publisher()
        self.open_disclosure()

    @property
    def _copies(self) -> dict[str, dict[str, Any]]:
        rows: dict[str, dict[str, Any]] = self.tables.setdefault("projection", {})
        return rows

    def serve(self, request: Request, deadline: float | None) -> Work[Reply]:
        if request.what == "view_dose":
            return (yield from self._view(request, deadline))
        rx = request.body["key"]
        id_ = f"md-{name_of(rx)}-{request.body['operation']}"
        found, held = None, False
        try:
            found = yield from self._found(rx, self.switches["dispense_check"], deadline)
        except Unreachable:
            held = True
        if found is None and not held:
            raise Refused(404)
        if found is not None and found["status"] != "active":
            raise Refused(409)
        refusal = yield from self.permit_change(request, "MedicationDispense", deadline)
        if refusal is not None:
            return refusal
        if found is None:
            return (yield from self._hold(rx, id_, deadline))
        return (yield from self._hand_over(rx, id_, found, deadline))

    def _found(self, rx: str, check: str, deadline: float | None) -> Work[dict[str, Any] | None]:
        """The version to act on: the copy, or the current one, reserved or only read."""
        if check == "projection":
            copy: dict[str, Any] | None = yield from self.look(lambda: self._copies.get(rx), deadline)
            return copy
        what = "reserve" if check == "reservation" else "read"
        try:
            reply = yield from self.call("prescriptions", what, {"rx": rx}, deadline)
        except CallFailed as failed:
            raise Unreachable(str(failed)) from failed
        if reply.status == 404:
            return None
        if reply.status != 200:
            raise Unreachable(str(reply.status))
        return reply.body

    def _view(self, request: Request, deadline: float | None) -> Work[Reply]:
        rx = request.body["key"]
        check = "projection" if self.switches["dispense_check"] == "projection" else "current_read"
        label, age = None, None
        try:
            found = yield from self._found(rx, check, deadline)
        except Unreachable:
            found = yield from self.look(lambda: self._copies.get(rx), deadline)
            if found is None:
                raise Refused(503) from None
            label, age = "stale", self.clock._now - found["at"]
        if found is None:
            raise Refused(404)
        refusal = yield from self.permit(request, user_of(request), "MedicationRequest", deadline)
        if refusal is not None:
            return refusal
        return Reply(200, {"version": found["version"], "value": found["dose"]}, label, age)

    def _hand_over(self, rx: str, id_: str, found: dict[str, Any], deadline: float | None) -> Work[Reply]:
        at = self.clock._now
        event = self.outbox.event("dispense.completed", id_, {"version": found["version"]})

        def statement() -> dict[str, Any]:
            rows = self.tables.setdefault("dispense", {})
            held = rows.get(id_)
            if held is None or held["status"] == "held":
                facts = {"version": found["version"], "dose": found["dose"]}
                rows[id_] = {"rx": rx, "at": at, "status": "completed", **facts}
                self.outbox.write(event)
            row: dict[str, Any] = rows[id_]
            return row

        row = yield from self.store(statement, deadline)
        self.outbox.committed(event)
        return Reply(201, {"version": row["version"], "value": row["dose"]})

    def _hold(self, rx: str, id_: str, deadline: float | None) -> Work[Reply]:
        event = self.outbox.event("dispense.held", id_)

        def statement() -> None:
            row = {"rx": rx, "at": self.wall, "status": "held", "version": None, "dose": None}
            self.tables.setdefault("dispense", {}).setdefault(id_, row)
            self.outbox.write(event)

        yield from self.store(statement, deadline)
        self.outbox.committed(event)
        return Reply(202, {}, "held")

    def on_events(self, events: list[Event]) -> Work[None]:
        """Bring the copy up to date; without the fence whatever arrives last stays."""
        fence = self.switches["version_fence"]
        chosen = winners(events, fence)

        def statement() -> None:
            fresh = self.fresh(events)
            new = {id(event) for event in fresh}
            trays = self.tables.setdefault("tray", [])
            trays += [(event.key, event.at) for event in fresh if event.type == "rx.created"]
            for event in chosen:
                if id(event) not in new:
                    continue
                held = self._copies.get(event.key)
                if held is None or not fence or (event.version or 0) > held["version"]:
                    facts = {"version": event.version or 0, "dose": event.body["dose"]}
                    facts["status"] = event.body.get("status", "active")
                    self._copies[event.key] = {"at": event.at, **facts}

        yield from self.store(statement)

    def records(self) -> Iterator[Record]:
        for id_, row in self.tables.get("dispense", {}).items():
            facts = {"version": row["version"], "status": row["status"], "value": row["dose"]}
            yield Record("pharmacy", "dispense", row["rx"], id_, row["at"], **facts)
        for rx, row in self.tables.get("projection", {}).items():
            facts = {"version": row["version"], "status": row["status"], "value": row["dose"]}
            yield Record("pharmacy", "projection", rx, rx, row["at"], **facts)
        yield from self.records_of_grants()
        for number, (rx, at) in enumerate(self.tables.get("tray", []), 1):
            yield Record("pharmacy", "tray", rx, str(number), at)
