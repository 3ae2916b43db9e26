"""The outside world, the payer with the true cover and the card processor with the true ledger; the registry;
and the collector."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simulation.modelling import Group, Record, Refused, Reply, Request, Told, Work

from .base import ReferenceNode
from .disclosure import SealingNode
from .security import user_of

WRITES = ("note_allergy", "note_allergy_in_emergency", "forbidden_allergy")
SEEN_BY_ENGAGED = ("view_engaged", "view_dismissed")


class Payer(ReferenceNode):
    """Writes inquiries once per interval, then answers; a claim with a key is accepted once."""

    def opened(self) -> None:
        self._processing = linger = self.site.processing("payer", self.generation)
        self._inquiries = Group(self.clock, self.spawn, self._write, lambda: next(linger))
        self._cover = {
            coverage["id"]: "in-force" if coverage.get("status") == "active" else "not-covered"
            for coverage in self.site.population.data["coverages"]
        }

    def serve(self, request: Request, deadline: float | None) -> Work[Reply]:
        if request.what == "inquire":
            state = self._cover[request.body["coverage"]]
            yield from self._inquiries.add(lambda: self._inquired(request, state))
            return Reply(200, {"status": state})
        yield from self.pause_for(next(self._processing))
        yield from self.store(lambda: self._accept(request), deadline)
        return Reply(200)

    def _write(self, statements: list[Any]) -> Work[list[Any]]:
        results: list[Any] = yield from self.store(lambda: [statement() for statement in statements])
        return results

    def _inquired(self, request: Request, state: str) -> None:
        row = {"key": request.body["coverage"], "status": state, "caller": request.caller}
        self.tables.setdefault("inquiry", []).append(
            {**row, "id": self.site.new_id("receipt"), "at": self.wall}
        )

    def _accept(self, request: Request) -> None:
        rows = self.tables.setdefault("claim", [])
        guards: set[str] = self.tables.setdefault("claim by guard", set())
        for claim, amount, key in request.body["claims"]:
            if key in guards:
                continue
            if key is not None:
                guards.add(key)
            facts = {"at": self.wall, "amount": amount, "caller": request.caller}
            rows.append({"key": claim, "id": self.site.new_id("claim"), **facts})

    def records(self) -> Iterator[Record]:
        for row in self.tables.get("inquiry", []):
            asked = (row["key"], row["id"], row["at"])
            yield Record("payer", "eligibility_inquiry", *asked, status=row["status"], caller=row["caller"])
        for row in self.tables.get("claim", []):
            facts = {"status": "accepted", "amount": row["amount"], "caller": row["caller"]}
            yield Record("payer", "claim", row["key"], row["id"], row["at"], **facts)


class Payments(ReferenceNode):
    """Honours a key when one is given: 409 in progress, 422 other amount, replay when done."""

    def opened(self) -> None:
        self._work = self.site.processing("payments", self.generation)
        self._in_progress: set[str] = set()

    @property
    def _charges(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.tables.setdefault("charge", [])
        return rows

    def _by(self, name: str) -> dict[str, dict[str, Any]]:
        """The first row with each value of a column, as the database's index has it."""
        rows: dict[str, dict[str, Any]] = self.tables.setdefault(f"charge by {name}", {})
        return rows

    def serve(self, request: Request, deadline: float | None) -> Work[Reply]:
        if request.what == "charge":
            return (yield from self._charge(request, deadline))
        if request.what == "by_key":
            key = request.body["key"]
            row = yield from self.look(lambda: self._by("key").get(key), deadline)
            if row is None:
                raise Refused(409 if key in self._in_progress else 404)
            return Reply(200, dict(row))
        return (yield from self._refund(request, deadline))

    def _charge(self, request: Request, deadline: float | None) -> Work[Reply]:
        key = request.key
        if key is not None and key in self._in_progress:
            raise Refused(409)
        if key is not None:
            self._in_progress.add(key)
        try:
            yield from self.pause_for(next(self._work))
            new, row = yield from self.store(lambda: self._capture(request), deadline)
        finally:
            if key is not None:
                self._in_progress.discard(key)
        if not new and row["amount"] != request.body["amount"]:
            raise Refused(422)
        return Reply(201 if new else 200, dict(row))

    def _capture(self, request: Request) -> tuple[bool, dict[str, Any]]:
        guards = self._by("guard")
        held = guards.get(request.key) if request.key is not None else None
        if held is not None and self.wall - held["at"] <= self.constant("key_honoured_s") / self.scale:
            return False, held
        row = {
            "id": self.site.new_id("ch"),
            "invoice": request.body["invoice"],
            "amount": request.body["amount"],
            "key": request.key,
            "caller": request.caller,
            "at": self.wall,
        }
        self._charges.append(row)
        self._by("id")[row["id"]] = row
        if request.key is not None:
            guards[request.key] = row  # a key that was forgotten is this row's now; the ledger keeps both
            self._by("key").setdefault(request.key, row)
        return True, row

    def _refund(self, request: Request, deadline: float | None) -> Work[Reply]:
        def statement() -> dict[str, Any] | None:
            charge = self._by("id").get(request.body["charge"])
            if charge is None:
                return None
            refunds = self.tables.setdefault("refund", {})
            row: dict[str, Any] = refunds.setdefault(
                charge["id"], {**charge, "id": self.site.new_id("re"), "at": self.wall}
            )
            row["charge"] = charge["id"]
            return row

        refund = yield from self.store(statement, deadline)
        if refund is None:
            raise Refused(404)
        return Reply(201, {"id": refund["id"]})

    def records(self) -> Iterator[Record]:
        for row in self._charges:
            facts = {"amount": row["amount"], "value": row["key"], "caller": row["caller"]}
            told = (row["invoice"], row["id"], row["at"])
            yield Record("payments", "charge", *told, status="captured", **facts)
        for charge, row in self.tables.get("refund", {}).items():
            facts = {"amount": row["amount"], "value": charge, "caller": row["caller"]}
            yield Record("payments", "refund", row["invoice"], row["id"], row["at"], **facts)


class Registry(SealingNode):
    """Answers who a patient is."""

    def opened(self) -> None:
        self.outbox = self.publisher()
        self.open_disclosure()
        self._patients = {patient["id"] for patient in self.site.population.data["patients"]}

    def serve(self, request: Request, deadline: float | None) -> Work[Reply]:
        if request.what == "ready":
            yield from self.look(lambda: None, deadline)
            return Reply(200)
        writes = request.what in WRITES
        if writes:
            refusal = yield from self.permit_change(request, "AllergyIntolerance", deadline)
        else:
            refusal = yield from self.permit(request, user_of(request), "Patient", deadline)
        if refusal is not None:
            return refusal
        known = request.body["patient"] in self._patients
        touch = self.store if writes else self.look
        found = yield from touch(lambda: known, deadline)
        if not found:
            raise Refused(404)
        if writes:
            return Reply(201)
        # Whoever was engaged for this visit sees it as version 1 of her role, whatever became of that.
        return Reply(200, {"version": 1} if request.what in SEEN_BY_ENGAGED else {})

    def records(self) -> Iterator[Record]:
        yield from self.records_of_grants()


class Telemetry(ReferenceNode):
    """Takes batches of spans; one that comes again changes nothing."""

    @property
    def _spans(self) -> dict[str, Told]:
        rows: dict[str, Told] = self.tables.setdefault("span", {})
        return rows

    def serve(self, request: Request, deadline: float | None) -> Work[Reply]:
        spans: list[Told] = request.body["spans"]
        yield from self.store(lambda: self._spans.update({told.span: told for told in spans}), deadline)
        return Reply(200)

    def records(self) -> Iterator[Record]:
        for told in sorted(self._spans.values(), key=lambda told: (told.began, told.span)):
            yield Record(
                "telemetry",
                told.kind,
                told.trace,
                told.span,
                told.began,
                status="ok" if told.ok else "error",
                amount=told.took,
                value=told.parent,
                caller=told.whose,
            )
