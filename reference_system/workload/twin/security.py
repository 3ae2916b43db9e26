"""Authorisation and audit: who may see what, and the chain of what was seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simulation.modelling import Event, Record, Refused, Reply, Request, Work

from .base import ReferenceNode

CLINICAL = ("physician", "nurse", "pharmacist")  # may break the glass
CHANGES = {  # what a role may change; one that is not here changes nothing
    "physician": ("MedicationRequest", "ServiceRequest", "AllergyIntolerance"),
    "nurse": ("AllergyIntolerance",),
    "pharmacist": ("MedicationDispense",),
    "laboratory": ("DiagnosticReport",),
    "clerk": ("Encounter", "Patient"),
}
WRITE = ".write"


def may_change(role: str, action: str) -> bool:
    """Whether the action is to see something, or a change that is the work of this role."""
    return not action.endswith(WRITE) or action.removesuffix(WRITE) in CHANGES.get(role, ())


def user_of(request: Request) -> str:
    """Who asks; somebody engaged for one visit is called by it."""
    named: str | None = request.body.get("user")
    return named or f"usr-{str(request.body.get('key')).partition('-')[2]}"


class Authz(ReferenceNode):
    """What it does not know it denies."""

    CONSUMES = ("breakglass.>",)

    def opened(self) -> None:
        self.outbox = self.publisher()
        data = self.site.population.data
        self._care = {each["patient"]: each for each in data["care"]}
        staff = self.tables.setdefault("staff", {})
        for person in data["staff"]:
            facts = {"role": person["role"], "wards": person["wards"], "version": 1}
            staff.setdefault(person["id"], facts)

    @property
    def _reviews(self) -> dict[str, dict[str, Any]]:
        rows: dict[str, dict[str, Any]] = self.tables.setdefault("review", {})
        return rows

    def serve(self, request: Request, deadline: float | None) -> Work[Reply]:
        if request.what == "decide":
            permit = yield from self.look(lambda: self._may_see(request.body), deadline)
            return Reply(200, {"permit": permit})
        if request.what == "break_glass":
            return (yield from self._break_glass(request, deadline))
        return (yield from self._staffed(request, deadline))

    def _may_see(self, ask: dict[str, Any]) -> bool:
        user, patient = ask["user"], ask["patient"]
        person = self.tables["staff"].get(user)
        if person is None or person["role"] is None or not may_change(person["role"], ask["action"]):
            return False
        grants = self._reviews.values()
        if any((g["user"], g["patient"]) == (user, patient) and g["until"] > self.clock._now for g in grants):
            return True
        care = self._care.get(patient)
        if care is None or care["ward"] not in person["wards"]:
            return False
        return user not in care["barred"]

    def _break_glass(self, request: Request, deadline: float | None) -> Work[Reply]:
        body = request.body
        until = self.clock._now + self.constant("grant_lasts_s") / self.scale
        row = {"user": body["user"], "patient": body["patient"], "until": until, "at": self.wall}

        def statement() -> bool:
            role = self.tables["staff"].get(body["user"], {}).get("role")
            if role not in CLINICAL or not may_change(role, body["action"]):
                return False
            self._reviews.setdefault(body["id"], row)
            return True

        granted = yield from self.store(statement, deadline)
        return Reply(200, {"granted": granted, "until": until})

    def _staffed(self, request: Request, deadline: float | None) -> Work[Reply]:
        """Somebody is engaged or dismissed."""
        user = user_of(request)

        def statement() -> int | None:
            held = self.tables["staff"].get(user)
            if request.what == "dismiss" and held is None:
                return None
            role = None if request.what == "dismiss" else "nurse"
            version = held["version"] + 1 if held is not None else 1
            row = {"role": role, "wards": [request.body["ward"]], "version": version}
            self.tables["staff"][user] = row
            return version

        version = yield from self.store(statement, deadline)
        if version is None:
            raise Refused(404)
        return Reply(200, {"version": version})

    def on_events(self, events: list[Event]) -> Work[None]:
        def statement() -> None:
            for event in events:
                self._reviews.setdefault(event.key, dict(event.body))

        yield from self.store(statement)

    def records(self) -> Iterator[Record]:
        for key, row in self._reviews.items():
            yield Record("authz", "review", key, key, row["at"], status="open", value=row["user"])


class Audit(ReferenceNode):
    """Keeps each event once, in the order in which it came."""

    SWITCHES = ("chain_head",)

    def opened(self) -> None:
        in_memory = self.switches["chain_head"] == "memory"
        self._forgot = in_memory and bool(self.tables.get("line"))  # where the chain ends

    def serve(self, request: Request, deadline: float | None) -> Work[Reply]:
        def statement() -> None:
            lines = self.tables.setdefault("line", {})
            for event in request.body["events"]:
                place = (request.caller, event["number"], event["at"])
                self.tables["torn"] = self.tables.get("torn", False) or (self._forgot and place not in lines)
                lines.setdefault(place, event)

        yield from self.store(statement, deadline)
        return Reply(201)

    def records(self) -> Iterator[Record]:
        lines = self.tables.get("line", {})
        for (source, number, at), event in lines.items():
            id_ = f"aud-{source}-{number}"
            yield Record("audit", "access", event["request"], id_, at, status=event["status"], caller=source)
            yield Record("audit", "number", source, id_, at, version=number)
        if lines:
            state = "broken" if self.tables.get("torn") else "intact"
            yield Record("audit", "chain", "chain", "chain", self.wall, status=state, version=len(lines))
