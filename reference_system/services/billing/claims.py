"""Claims: accepted from the front desk, submitted to the payer, each exactly once when keys are on."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import msgspec

from reference_system.common import fhir
from reference_system.common.link import CallFailed
from reference_system.common.patterns import idempotency
from reference_system.common.store import StoreUnavailable
from reference_system.services.billing import statements
from reference_system.services.billing.ground import Ground

GATHER_S = 0.05  # X12 837 is a batch format: claims of so long travel together
AT_MOST = 50
AGAIN_S = (0.1, 1.0)  # first and longest pause while the payer or the store does not answer

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Submission:
    """A claim on its way to the payer."""

    claim: str
    invoice: str
    amount: float


class Claims:
    """The claims of billing. With the outbox a claim is on record as queued, and a worker submits what is
    queued; without it, the payer is called inside the request."""

    def __init__(self, billing: Ground) -> None:
        self._billing = billing
        self._queue: asyncio.Queue[Submission] = asyncio.Queue()

    async def accept(self, claim: fhir.Resource) -> bool:
        """Put the claim and its invoice on record; False for a repeat. Raises fhir.Refused 400 / 422."""
        billing, id_ = self._billing, fhir.identifier(claim, fhir.CLAIM)
        invoice = fhir.identifier(claim, fhir.INVOICE)
        amount = (claim.get("total") or {}).get("value")
        if not id_ or not invoice or amount is None:
            raise fhir.Refused(400, "a Claim needs the identifiers of claim and invoice, and a total above 0")
        at, later = time.time(), billing.publishing.outbox
        print_ = idempotency.fingerprint(id_, invoice, f"{amount:.2f}")
        status = "queued" if later else "sending"
        opened = await billing.store.row(
            statements.OPEN_CLAIM, id_, invoice, float(amount), status, _encode(claim), print_, at
        )
        if opened is None:
            row = await billing.store.row(statements.HELD_CLAIM, id_, invoice)
            if row is not None and row["id"] != id_:
                raise fhir.Refused(409, f"invoice {invoice} belongs to claim {row['id']}")
            if row is not None and row["fingerprint"] != print_:
                raise fhir.Refused(422, f"claim {id_} is known with another invoice or amount")
            return False
        submission = Submission(id_, invoice, float(amount))
        if later:
            self._queue.put_nowait(submission)
        else:
            await self._submit_at_once(submission)
        return True

    async def _submit_at_once(self, submission: Submission) -> None:
        """The claim is on record already: whatever fails from here on, the answer cannot be "not done"."""
        try:
            await self._submit([submission])
            await self._mark([submission])
        except (CallFailed, StoreUnavailable) as error:
            raise fhir.Refused(504, f"claim {submission.claim} is on record, but: {error}") from error

    async def _submit(self, batch: list[Submission]) -> None:
        """Raises CallFailed, or fhir.Refused when the payer refuses."""
        keyed = self._billing.switches.idempotency_key
        claims = [
            {"claim": s.claim, "invoice": s.invoice, "amount": s.amount, "key": s.claim if keyed else None}
            for s in batch
        ]
        link = self._billing.links["payer"]
        reply = await link.call("POST", "/x12/837", {"claims": claims}, idempotent=keyed)
        if reply.status != 200:
            raise fhir.Refused(502, f"payer answered {reply.status}")

    async def _mark(self, batch: list[Submission]) -> None:
        outbox, at = self._billing.outbox, time.time()
        events = [outbox.event("claim.submitted", s.claim, at, {"invoice": s.invoice}) for s in batch]
        rows = [row for row in map(outbox.row, events) if row is not None]
        ids, texts = [row[0] for row in rows], [row[1] for row in rows]
        await self._billing.store.row(statements.SUBMITTED, [s.claim for s in batch], ids, texts)
        outbox.committed(*events)

    async def work(self) -> None:
        """The worker: submits what is queued, and stays at a batch until the payer has it."""
        while True:
            await self._billing.of_run(self._next_batch)

    async def _next_batch(self) -> None:
        batch = [await self._queue.get()]
        await asyncio.sleep(GATHER_S)
        while len(batch) < AT_MOST and not self._queue.empty():
            batch.append(self._queue.get_nowait())
        pause, sent = AGAIN_S[0], False
        while True:
            try:
                if not sent:
                    await self._submit(batch)
                    sent = True
                return await self._mark(batch)
            except (CallFailed, StoreUnavailable, fhir.Refused) as error:
                self._billing.log.seldom("claims wait", error=str(error))
                await asyncio.sleep(pause)
                pause = min(AGAIN_S[1], pause * 2)

    async def resume(self) -> None:
        """After a crash: what is on record as queued is submitted; a repeat carries the same key."""
        self.forget()
        for row in await self._billing.store.rows(
            "SELECT id, invoice, amount FROM claim WHERE status = 'queued' ORDER BY at"
        ):
            self._queue.put_nowait(Submission(row["id"], row["invoice"], float(row["amount"])))

    def forget(self) -> None:
        while not self._queue.empty():
            self._queue.get_nowait()
