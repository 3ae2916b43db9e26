"""Check-in: an Encounter per arrival, with the patient from the registry and the insurance's answer."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from simulation.modelling import CallFailed, Event, Future, Held, Record, Refused, Reply, Request, Work

from .base import unfinished
from .disclosure import SealingNode

TEMPORARY = "temporary"


class Checkin(SealingNode):
    SWITCHES = ("eligibility", "inline_wait", "idempotency_key", "registry_fallback", "temporary_merge")

    CONSUMES = ("eligibility.resolved",)

    def opened(self) -> None:
        self._names: set[str] = {row["patient"] for row in self._encounters if row["label"] != TEMPORARY}
        self.outbox = self.publisher()
        self.open_disclosure()
        self._wanted = Future()
        self._waiting = dict.fromkeys(row["patient"] for row in self._encounters if row["label"] == TEMPORARY)
        self.spawn(self._keep_merging())

    @property
    def _encounters(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.tables.setdefault("encounter", [])
        return rows

    @property
    def _by_key(self) -> dict[str, list[dict[str, Any]]]:
        """The same rows by their keys, as the database's index has them."""
        rows: dict[str, list[dict[str, Any]]] = self.tables.setdefault("encounter by key", {})
        return rows

    def _open(self, state: str) -> list[dict[str, Any]]:
        """The rows that are or were in a state which they leave."""
        rows: list[dict[str, Any]] = self.tables.setdefault(f"encounter {state}", [])
        return rows

    def serve(self, request: Request, deadline: float | None) -> Work[Reply]:
        refusal = yield from self.permit_change(request, "Encounter", deadline)
        if refusal is not None:
            return refusal
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
        if self.switches["idempotency_key"] and key in self._by_key:
            return None
        row = {
            "key": key,
            "id": self.site.new_id("encounter"),
            "at": self.wall,
            "status": state,
            "patient": request.body["patient"],
            "label": label,
            "number": self.site.new_id(TEMPORARY) if label == TEMPORARY else None,
            "merged": None,
        }
        self._encounters.append(row)
        if state == "pending":
            self._open("pending").append(row)
        if label == TEMPORARY:
            self._open(TEMPORARY).append(row)
        self._by_key.setdefault(key, []).append(row)
        if label == TEMPORARY and self.switches["temporary_merge"]:
            self._waiting[request.body["patient"]] = None
            self._wanted.resolve()
        self.outbox.write(event)
        return key

    def _replay(self, request: Request) -> Reply:
        row = self._by_key[request.body["key"]][0]
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
        return "cached" if patient in self._names else TEMPORARY

    # temporary numbers

    def _keep_merging(self) -> Work[None]:
        """Merges temporary numbers into the patients' own records once the registry answers."""
        while True:
            if not self._waiting:
                if self._wanted.done:
                    self._wanted = Future()
                yield self._wanted
            yield from self.pause_for(self.constant("look_for_temporary_s"))
            try:
                yield from self._merge()
            except CallFailed:
                continue

    def _merge(self) -> Work[None]:
        for patient in list(self._waiting)[: int(self.constant("temporary_at_once"))]:
            breaker = self.links["registry"].breaker
            if breaker is not None and not breaker.lets_through(self.clock._now):
                return
            reply = yield from self.call("registry", "read", {"patient": patient})
            if reply.status not in (200, 404):
                return
            if reply.status == 200:
                yield from self.store(partial(self._merged, patient))
                self._names.add(patient)
            self._waiting.pop(patient, None)

    def _merged(self, patient: str) -> None:
        for row in self._open(TEMPORARY):
            if row["patient"] == patient and row["label"] == TEMPORARY:
                row["label"], row["merged"] = None, self.wall

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
            for key, state in states.items():
                for row in self._by_key.get(key, ()):
                    if row["status"] == "pending":
                        row["status"] = state

        yield from self.store(statement)

    def records(self) -> Iterator[Record]:
        for row in self._encounters:
            yield Record("checkin", "encounter", row["key"], row["id"], row["at"], status=row["status"])
        yield from self.records_of_grants()
        for row in self._encounters:
            if row["number"] is not None:
                yield Record("checkin", "temporary_number", row["key"], row["number"], row["at"])
            if row["merged"] is not None:
                told = (row["key"], row["number"], row["merged"])
                yield Record("checkin", "merge", *told, value=row["patient"])

    def held(self, key: str) -> Held | None:
        if not key.startswith("enc-"):
            return None
        rows = self._by_key.get(key)
        return Held(rows[0]["status"] if rows else "absent")

    def backlog(self) -> dict[str, int]:
        return {
            "eligibility_pending": unfinished(self._open("pending"), "status", "pending"),
            "temporary_numbers": unfinished(self._open(TEMPORARY), "label", TEMPORARY),
        }
