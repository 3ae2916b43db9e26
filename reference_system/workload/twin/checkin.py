"""Check-in: an Encounter per arrival, with the patient from the registry and the insurance's answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simulation.modelling import CallFailed, Event, Held, Record, Refused, Reply, Request, Work

from .disclosure import SealingNode


class Checkin(SealingNode):
    SWITCHES = ("eligibility", "inline_wait", "idempotency_key", "registry_fallback")

    CONSUMES = ("eligibility.resolved",)

    def opened(self) -> None:
        self._names: set[str] = {
            row["patient"] for row in self._encounters if row["label"] not in ("temporary",)
        }
        self.outbox = self.publisher()
        self.open_disclosure()

    @property
    def _encounters(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.tables.setdefault("encounter", [])
        return rows

    def serve(self, request: Request, deadline: float | None) -> Work[Reply]:
        label = yield from self._demographics(request.body["patient"], deadline)
        if self.switches["eligibility"] == "sync":
            return (yield from self._at_once(request, label, deadline))
        event = self._accepted_event(request)
        row = yield from self.store(lambda: self._insert(request, "pending", label, event), deadline)
        if row is None:
            return self._replay(request)
        self.outbox.committed(event)
        state, own_label = yield from self._ask_inline(request, deadline)
        parts = [label, own_label and f"eligibility-{own_label}"]
        return self._reply(201, state, ", ".join(part for part in parts if part) or None)

    def _accepted_event(self, request: Request) -> Event:
        body = {"coverage": request.body["coverage"], "patient": request.body["patient"]}
        return self.outbox.event("checkin.accepted", request.body["key"], body)

    def _at_once(self, request: Request, label: str | None, deadline: float | None) -> Work[Reply]:
        """The insurer is asked inside the request."""
        answer = yield from self._ask(request, deadline, None)
        if answer.status != 200:
            raise Refused(502)
        state = answer.body["status"]
        event = self._accepted_event(request)
        row = yield from self.store(lambda: self._insert(request, state, label, event), deadline)
        if row is None:
            return self._replay(request)
        self.outbox.committed(event)
        return self._reply(201, state, label)

    def _insert(self, request: Request, state: str, label: str | None, event: Event) -> Any:
        key = request.body["key"]
        if self.switches["idempotency_key"] and any(row["key"] == key for row in self._encounters):
            return None
        self._encounters.append(
            {
                "key": key,
                "id": self.site.new_id("encounter"),
                "at": self.wall,
                "status": state,
                "patient": request.body["patient"],
                "label": label,
            }
        )
        self.outbox.write(event)
        return key

    def _replay(self, request: Request) -> Reply:
        row = next(row for row in self._encounters if row["key"] == request.body["key"])
        return self._reply(200, row["status"], row["label"])

    @staticmethod
    def _reply(status: int, state: str, label: str | None) -> Reply:
        return Reply(status, {"value": state}, "pending" if state == "pending" else label)

    def _demographics(self, patient: str, deadline: float | None) -> Work[str | None]:
        """The label that the name carries; with the fallback an unreachable registry costs no more."""
        try:
            reply = yield from self.call("registry", "read", {"patient": patient}, deadline)
        except CallFailed:
            if not self.switches["registry_fallback"]:
                raise
            return self._remembered(patient)
        if reply.status != 200:
            if not self.switches["registry_fallback"]:
                raise Refused(502)
            return self._remembered(patient)
        self._names.add(patient)
        return None

    def _remembered(self, patient: str) -> str:
        return "cached" if patient in self._names else "temporary"

    def _ask(self, request: Request, deadline: float | None, limit: float | None) -> Work[Reply]:
        body = {name: request.body[name] for name in ("key", "coverage", "patient")}
        return (yield from self.call("eligibility", "ask", body, deadline, limit=limit))

    def _ask_inline(self, request: Request, deadline: float | None) -> Work[tuple[str, str | None]]:
        try:
            answer = yield from self._ask(request, deadline, self.switches["inline_wait"])
        except CallFailed:
            return "pending", None
        return (str(answer.body["status"]), answer.label) if answer.status == 200 else ("pending", None)

    def on_events(self, events: list[Event]) -> Work[None]:
        def statement() -> None:
            states = {event.key: event.body["status"] for event in self.fresh(events)}
            for row in self._encounters:
                if row["status"] == "pending" and row["key"] in states:
                    row["status"] = states[row["key"]]

        yield from self.store(statement)

    def records(self) -> Iterator[Record]:
        for row in self._encounters:
            yield Record("checkin", "encounter", row["key"], row["id"], row["at"], status=row["status"])
        yield from self.records_of_grants()

    def held(self, key: str) -> Held | None:
        if not key.startswith("enc-"):
            return None
        return Held(next((row["status"] for row in self._encounters if row["key"] == key), "absent"))

    def backlog(self) -> dict[str, int]:
        return {"eligibility_pending": sum(row["status"] == "pending" for row in self._encounters)}
