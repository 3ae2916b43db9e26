"""Claims: accepted from the front desk, submitted to the payer, each exactly once when keys are on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from reference_system.common import fhir
from reference_system.common.group import Grouped
from reference_system.common.link import CallFailed
from reference_system.common.patterns import idempotency
from reference_system.common.store import StoreUnavailable
from reference_system.services.billing import statements

if TYPE_CHECKING:
    from reference_system.services.billing.service import Billing

WORKERS = 4
MARK_LINGER_S = 0.1
AGAIN_S = (0.1, 1.0)  # first and longest pause of a worker whose payer does not answer

_encode = msgspec.json.Encoder().encode


class Claims:
    """The claims of billing. With the outbox a claim is on record as queued, and workers submit what is
    queued; without it, the payer is called inside the request."""

    def __init__(self, billing: Billing) -> None:
        self._billing = billing
        self._queue: asyncio.Queue[tuple[str, str, float]] = asyncio.Queue()
        self._marking: Grouped[tuple[str, str], None] = Grouped(self._mark, MARK_LINGER_S)

    async def accept(self, claim: fhir.Resource) -> bool:
        """Put the claim and its invoice on record; False for a repeat. Raises fhir.Refused 400 / 422."""
        billing, id_ = self._billing, fhir.identifier(claim, fhir.CLAIM)
        invoice = fhir.identifier(claim, fhir.INVOICE)
        amount = (claim.get("total") or {}).get("value")
        if not id_ or not invoice or not isinstance(amount, int | float):
            raise fhir.Refused(400, "a Claim needs the identifiers of claim and invoice, and a total")
        at, later = time.time(), billing.patterns.outbox
        body = _encode(claim)
        print_ = idempotency.fingerprint(id_, invoice, f"{amount:.2f}")
        status = "queued" if later else "sending"
        opened = await billing.store.row(
            statements.OPEN_CLAIM, id_, invoice, float(amount), status, body, print_, at
        )
        if opened is None:
            row = await billing.store.row("SELECT fingerprint FROM claim WHERE id = $1", id_)
            if row is not None and row["fingerprint"] != print_:
                raise fhir.Refused(422, f"claim {id_} is known with another invoice or amount")
            return False
        if later:
            self._queue.put_nowait((id_, invoice, float(amount)))
        else:
            await self._submit_at_once(id_, invoice, float(amount))
        return True

    async def _submit_at_once(self, id_: str, invoice: str, amount: float) -> None:
        """The claim is on record already: whatever fails from here on, the answer cannot be "not done"."""
        try:
            await self._submit(id_, invoice, amount)
            await self._marking.add((id_, invoice))
        except (CallFailed, StoreUnavailable) as error:
            raise fhir.Refused(504, f"claim {id_} is on record, but: {error}") from error

    async def _submit(self, id_: str, invoice: str, amount: float) -> None:
        """Raises CallFailed, or fhir.Refused when the payer refuses."""
        keyed = self._billing.patterns.idempotency_key
        headers = {idempotency.HEADER: id_} if keyed else {}
        reply = await self._billing.links["payer"].call(
            "POST",
            "/x12/837",
            {"claim": id_, "invoice": invoice, "amount": amount},
            headers,
            idempotent=keyed,
        )
        if reply.status not in (200, 201):
            raise fhir.Refused(502, f"payer answered {reply.status}")

    async def _mark(self, sent: list[tuple[str, str]]) -> Sequence[None]:
        outbox, at = self._billing.outbox, time.time()
        events = [outbox.event("claim.submitted", id_, at, {"invoice": invoice}) for id_, invoice in sent]
        rows = [row for row in map(outbox.row, events) if row is not None]
        ids, texts = [row[0] for row in rows], [row[1] for row in rows]
        await self._billing.store.row(statements.SUBMITTED, [id_ for id_, _ in sent], ids, texts)
        outbox.committed(*events)
        return [None] * len(sent)

    async def work(self) -> None:
        """One worker: submits what is queued, and stays at a claim until the payer has it."""
        while True:
            run, (id_, invoice, amount) = self._billing.run, await self._queue.get()
            pause = AGAIN_S[0]
            while self._billing.run == run or pause == AGAIN_S[0]:
                run = self._billing.run
                try:
                    await self._submit(id_, invoice, amount)
                    self._billing.spawn(self._mark_sent(id_, invoice))
                    break
                except (CallFailed, fhir.Refused) as error:
                    self._billing.log.seldom("claim waits for the payer", error=str(error))
                    await asyncio.sleep(pause)
                    pause = min(AGAIN_S[1], pause * 2)

    async def _mark_sent(self, id_: str, invoice: str) -> None:
        while True:
            try:
                return await self._marking.add((id_, invoice))
            except StoreUnavailable:
                await asyncio.sleep(AGAIN_S[1])

    async def resume(self) -> None:
        """After a crash: what is on record as queued is submitted; a repeat carries the same key."""
        self.forget()
        for row in await self._billing.store.rows(
            "SELECT id, invoice, amount FROM claim WHERE status = 'queued' ORDER BY at"
        ):
            self._queue.put_nowait((row["id"], row["invoice"], float(row["amount"])))

    def forget(self) -> None:
        while not self._queue.empty():
            self._queue.get_nowait()
