"""Billing: claims to the payer, invoices, and payment by saga or by a charge followed by an update."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from simulation.modelling import CallFailed, Future, Held, Record, Refused, Reply, Request, Task, Work, within

from .base import ReferenceNode, unfinished

CAPTURED = (200, 201)


class Billing(ReferenceNode):
    SWITCHES = ("saga", "idempotency_key", "lookup_before_retry")

    def opened(self) -> None:
        self.outbox = self.publisher()
        self._queue: deque[dict[str, Any]] = deque()
        self._wanted = Future()
        self._sagas: dict[str, Task] = {}
        if self.switches["outbox"]:
            self._queue.extend(row for row in self._claims.values() if row["status"] == "queued")
        if self.switches["saga"]:
            for invoice, saga in self.tables.get("saga", {}).items():
                if saga["status"] == "running":
                    self._drive(invoice, uncertain=True)
        self.spawn(self._work())

    @property
    def _claims(self) -> dict[str, dict[str, Any]]:
        rows: dict[str, dict[str, Any]] = self.tables.setdefault("claim", {})
        return rows

    @property
    def _invoices(self) -> dict[str, dict[str, Any]]:
        rows: dict[str, dict[str, Any]] = self.tables.setdefault("invoice", {})
        return rows

    def _open(self, kind: str) -> list[dict[str, Any]]:
        """The rows of a kind that are or were unfinished."""
        rows: list[dict[str, Any]] = self.tables.setdefault(f"{kind} unfinished", [])
        return rows

    def serve(self, request: Request, deadline: float | None) -> Work[Reply]:
        if request.what == "claim":
            return (yield from self._claim(request, deadline))
        asked = request.body.get("other_amount")
        if self.switches["saga"]:
            return (yield from self._pay_by_saga(request.body["key"], asked, deadline))
        return (yield from self._pay_at_once(request.body["key"], asked, deadline))

    # claims

    def _claim(self, request: Request, deadline: float | None) -> Work[Reply]:
        invoice, amount = request.body["key"], request.body["amount"]
        id_ = f"clm-{invoice.partition('-')[2]}"
        later = self.switches["outbox"]
        row = {"id": id_, "invoice": invoice, "amount": amount, "at": self.wall}
        row["status"] = "queued" if later else "sending"

        def statement() -> bool:
            if id_ in self._claims:
                return False
            self._claims[id_] = row
            self._open("claim").append(row)
            bill = {"claim": id_, "amount": amount, "status": "open", "charge": None, "at": row["at"]}
            self._invoices.setdefault(invoice, bill)
            return True

        if not (yield from self.store(statement, deadline)):
            return Reply(200, {"value": "active"})
        if later:
            self._queue.append(row)
            self._wanted.resolve()
        else:
            try:
                yield from self._submit([row], deadline)
                yield from self._mark([row])
            except CallFailed:
                raise Refused(504) from None
        return Reply(201, {"value": "active"})

    def _submit(self, batch: list[dict[str, Any]], deadline: float | None) -> Work[None]:
        keyed = self.switches["idempotency_key"]
        claims = [(row["id"], row["amount"], row["id"] if keyed else None) for row in batch]
        reply = yield from self.call("payer", "claim", {"claims": claims}, deadline, idempotent=keyed)
        if reply.status != 200:
            raise Refused(502)

    def _mark(self, rows: list[dict[str, Any]]) -> Work[None]:
        events = [self.outbox.event("claim.submitted", row["id"]) for row in rows]

        def statement() -> None:
            for row in rows:
                row["status"] = "submitted"
            self.outbox.write(*events)

        yield from self.store(statement)
        self.outbox.committed(*events)

    def _work(self) -> Work[None]:
        """The worker: gathers what is queued and stays at a batch until the payer has it."""
        most = int(self.constant("claims_at_most"))
        while True:
            while not self._queue:
                if self._wanted.done:
                    self._wanted = Future()
                yield self._wanted
            yield from self.pause_for(self.constant("claims_gather_s"))
            batch = [self._queue.popleft() for _ in range(min(most, len(self._queue)))]
            yield from self._insist(batch)

    def _insist(self, batch: list[dict[str, Any]]) -> Work[None]:
        pause, sent = self.constant("claim_first_pause_s"), False
        while True:
            try:
                if not sent:
                    yield from self._submit(batch, None)
                    sent = True
                yield from self._mark(batch)
                return
            except (CallFailed, Refused):
                yield from self.pause_for(pause)
                pause = min(self.constant("claim_longest_pause_s"), pause * 2)

    # payment by saga

    def _pay_by_saga(self, invoice: str, asked: float | None, deadline: float | None) -> Work[Reply]:
        key = f"pay-{invoice}" if self.switches["idempotency_key"] else None

        def begin() -> bool:
            bill = self._invoices.get(invoice)
            if bill is None or bill["status"] != "open" or (key is not None and asked is not None):
                return False
            bill["status"] = "paying"
            saga = {"status": "running", "key": key, "at": self.wall}
            self.tables.setdefault("saga", {})[invoice] = saga
            self._open("saga").append(saga)
            return True

        if not (yield from self.store(begin, deadline)):
            bill = yield from self.look(lambda: self._invoices.get(invoice), deadline)
            if bill is None:
                raise Refused(404)
            self._require(bill, asked)
            if bill["status"] != "paying":
                return self._paid(bill["status"])
        left = self.remaining(deadline)
        most = self.constant("saga_inline_wait_s")
        task = self._drive(invoice, uncertain=False)
        yield within(self.clock, task, most if left is None else min(most, left))
        return self._paid(task.value if task.done and task.error is None else "paying")

    def _require(self, bill: dict[str, Any], other: float | None) -> None:
        """Another amount is refused under a key, and without one where the invoice is settled."""
        settled = bill["status"] not in ("open", "paying")
        if other is not None and (self.switches["idempotency_key"] or settled):
            raise Refused(422)

    @staticmethod
    def _paid(status: str) -> Reply:
        if status == "paid":
            return Reply(200, {"value": "paid"})
        if status in ("failed", "refunded"):
            return Reply(402, {"value": "declined"})
        return Reply(202, {"value": "processing"}, "pending")

    def _drive(self, invoice: str, uncertain: bool) -> Task:
        task = self._sagas.get(invoice)
        if task is None or task.done:
            task = self._sagas[invoice] = self.spawn(self._saga(invoice, uncertain))
        return task

    def _saga(self, invoice: str, uncertain: bool) -> Work[str]:
        ceiling = self.constant("saga_first_pause_s")
        while True:
            try:
                end = yield from self._round(invoice, uncertain)
            except CallFailed:
                end = None
            if end is not None:
                return end
            uncertain = True
            yield from self.pause_for(ceiling / 2 + ceiling / 2 * next(self.rng))
            ceiling = min(self.constant("saga_longest_pause_s"), ceiling * 2)

    def _round(self, invoice: str, uncertain: bool) -> Work[str | None]:
        """Look up what may have happened, else charge; then complete or compensate."""
        amount = self._invoices[invoice]["amount"]
        key = self.tables["saga"][invoice]["key"]
        if uncertain and key is not None and self.switches["lookup_before_retry"]:
            found = yield from self.call("payments", "by_key", {"key": key})
            if found.status in CAPTURED:
                return (yield from self._settle(invoice, amount, found))
            if found.status != 404:
                return None
        body = {"invoice": invoice, "amount": amount}
        charged = yield from self.call("payments", "charge", body, key=key, idempotent=key is not None)
        if charged.status in CAPTURED:
            return (yield from self._settle(invoice, amount, charged))
        if charged.status in (402, 422):
            return (yield from self._end(invoice, "compensated", "failed", None))
        return None

    def _settle(self, invoice: str, amount: float, charge: Reply) -> Work[str | None]:
        """The right amount completes the saga, a wrong one is given back."""
        if charge.body["amount"] == amount:
            return (yield from self._end(invoice, "completed", "paid", charge.body["id"]))
        refund = yield from self.call("payments", "refund", {"charge": charge.body["id"]})
        if refund.status not in CAPTURED:
            return None
        return (yield from self._end(invoice, "compensated", "refunded", charge.body["id"]))

    def _end(self, invoice: str, end: str, status: str, charge: str | None) -> Work[str]:
        event = self.outbox.event(f"payment.{status}", invoice)

        def statement() -> bool:
            saga = self.tables["saga"][invoice]
            if saga["status"] != "running":
                return False
            saga.update(status=end, at=self.wall)
            self._invoices[invoice].update(status=status, charge=charge)
            self.outbox.write(event)
            return True

        if (yield from self.store(statement)):
            self.outbox.committed(event)
        return status

    # payment without a saga

    def _pay_at_once(self, invoice: str, asked: float | None, deadline: float | None) -> Work[Reply]:
        """Charge, then update: what happens between the two is nobody's concern."""
        bill = yield from self.look(lambda: self._invoices.get(invoice), deadline)
        if bill is None:
            raise Refused(404)
        self._require(bill, asked)
        if bill["status"] != "open":
            return self._paid(bill["status"])
        keyed = self.switches["idempotency_key"]
        key = f"pay-{invoice}" if keyed else None
        body = {"invoice": invoice, "amount": bill["amount"]}
        charged = yield from self.call("payments", "charge", body, deadline, key=key, idempotent=keyed)
        if charged.status == 402:
            yield from self.store(lambda: bill.update(status="failed"), deadline)
            return self._paid("failed")
        if charged.status not in CAPTURED:
            raise Refused(502)
        event = self.outbox.event("payment.paid", invoice)

        def statement() -> None:
            bill.update(status="paid", charge=charged.body["id"])
            self.outbox.write(event)

        try:
            yield from self.store(statement, deadline)
        except CallFailed:
            raise Refused(504) from None
        self.outbox.committed(event)
        return self._paid("paid")

    def records(self) -> Iterator[Record]:
        for id_, row in self._claims.items():
            facts = {"status": row["status"], "amount": row["amount"], "value": row["invoice"]}
            yield Record("billing", "claim", id_, id_, row["at"], **facts)
        for id_, row in self._invoices.items():
            facts = {"status": row["status"], "amount": row["amount"], "value": row["charge"]}
            yield Record("billing", "invoice", id_, id_, row["at"], **facts)
        for id_, row in self.tables.get("saga", {}).items():
            yield Record("billing", "saga", id_, id_, row["at"], status=row["status"], value=row["key"])

    def held(self, key: str) -> Held | None:
        if not key.startswith("inv-"):
            return None
        row = self._invoices.get(key)
        return Held(row["status"] if row is not None else "absent")

    def backlog(self) -> dict[str, int]:
        running = unfinished(self._open("saga"), "status", "running")
        unsent = unfinished(self._open("claim"), "status", "queued", "sending")
        return {"sagas_open": running, "claims_unsent": unsent}
