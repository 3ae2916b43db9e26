"""Paying an invoice: as an orchestrated saga, or as a synchronous charge followed by an update."""

from __future__ import annotations

import random
import time
from typing import Any

from reference_system.common import fhir
from reference_system.common.http_client import Reply
from reference_system.common.link import CallFailed
from reference_system.common.patterns import deadline, idempotency
from reference_system.common.patterns.saga import Orchestrator, Spawn
from reference_system.common.store import StoreUnavailable
from reference_system.services.billing import statements
from reference_system.services.billing.ground import Ground

INLINE_WAIT_S = 1.5  # then the answer is 202 and the saga goes on behind
CAPTURED = (200, 201)
CENT = 0.01
Ended = tuple[str, str | None]  # status of the invoice, id of the charge


def payment_key(run: str, invoice: str) -> str:
    """The one key under which this invoice is ever charged: every attempt, of every process, uses it."""
    return f"pay-{run}-{invoice}"


class Payment:
    """Both ways to pay. `advance` is one round of the saga."""

    def __init__(self, billing: Ground, spawn: Spawn, rng: random.Random) -> None:
        self._billing = billing
        self.sagas: Orchestrator[Ended] = Orchestrator(self.advance, spawn, rng)
        self._begun: dict[str, tuple[float, str | None]] = {}  # amount and key of sagas begun in this process

    async def pay(self, invoice: str, asked: float | None) -> tuple[int, dict[str, Any]]:
        """Status and body of the answer to a request that names the amount `asked`. Raises fhir.Refused."""
        return await (self._by_saga if self._billing.switches.saga else self._at_once)(invoice, asked)

    def _require(self, row: Any, asked: float | None) -> None:
        """Another amount than the invoice's is refused (422): always where payments have keys, since a key
        stands for one charge of one amount; without keys only once the invoice is settled."""
        if asked is None or abs(float(row["amount"]) - asked) < CENT / 2:
            return
        if self._billing.switches.idempotency_key or row["status"] not in ("open", "paying"):
            raise fhir.Refused(422, f"found the amount {asked:.2f}, expected that of the invoice")

    # saga

    async def _by_saga(self, invoice: str, asked: float | None) -> tuple[int, dict[str, Any]]:
        billing = self._billing
        key = payment_key(billing.run, invoice) if billing.switches.idempotency_key else None
        exact = None if key is None else asked
        begun = await billing.store.row(statements.BEGIN_SAGA, invoice, key, time.time(), exact)
        if begun is None:
            row = await self._row(invoice)
            self._require(row, asked)
            if row["status"] != "paying":
                return self._answer(invoice, row["status"], row["charge"])
        else:
            self._begun[invoice] = (float(begun["amount"]), key)
        left = deadline.remaining()
        wait = INLINE_WAIT_S if left is None else min(INLINE_WAIT_S, left)
        end = await self.sagas.wait(invoice, wait)
        return self._answer(invoice, *(end or ("paying", None)))

    def _answer(self, invoice: str, status: str, charge: str | None) -> tuple[int, dict[str, Any]]:
        if status == "paid":
            return 200, {"invoice": invoice, "status": "paid", "charge": charge}
        if status in ("failed", "refunded"):
            return 402, {"invoice": invoice, "status": "declined"}
        return 202, {"invoice": invoice, "status": "processing"}

    async def _row(self, invoice: str) -> Any:
        row = await self._billing.store.row(
            "SELECT amount, status, charge FROM invoice WHERE id = $1", invoice
        )
        if row is None:
            raise fhir.Refused(404, f"invoice {invoice} is not known")
        return row

    async def advance(self, invoice: str, uncertain: bool) -> Ended | None:
        """Look up what may have happened, else charge; then complete or compensate. None: try again later."""
        billing = self._billing
        try:
            begun = self._begun.pop(invoice) if invoice in self._begun else await self._on_record(invoice)
            amount, key = begun
            if uncertain and key is not None and billing.switches.lookup_before_retry:
                found = await self._call("GET", f"/v1/charges/by-key/{key}", None, {}, True)
                if found is None or found.status not in (*CAPTURED, 404):
                    return None
                if found.status in CAPTURED:
                    return await self._settle(invoice, amount, found.json())
            headers = {idempotency.HEADER: key} if key is not None else {}
            body = {"invoice": invoice, "amount": amount}
            charged = await self._call("POST", "/v1/charges", body, headers, key is not None)
            if charged is None or charged.status not in (*CAPTURED, 402, 422):
                return None
            if charged.status in CAPTURED:
                return await self._settle(invoice, amount, charged.json())
            return await self._end(invoice, "compensated", "failed", None)
        except StoreUnavailable as error:
            billing.log.seldom("saga waits", error=str(error))
            return None

    async def _on_record(self, invoice: str) -> tuple[float, str | None]:
        row = await self._billing.store.row(
            "SELECT i.amount, s.key FROM invoice AS i JOIN saga AS s ON s.invoice = i.id WHERE i.id = $1",
            invoice,
        )
        assert row is not None, f"saga {invoice} has no record"
        return float(row["amount"]), row["key"]

    async def _call(
        self, method: str, path: str, body: Any, headers: dict[str, str], idempotent: bool
    ) -> Reply | None:
        """None when payments did not answer."""
        try:
            link = self._billing.links["payments"]
            return await link.call(method, path, body, headers, idempotent=idempotent)
        except CallFailed as error:
            self._billing.log.seldom("saga waits", error=str(error))
            return None

    async def _settle(self, invoice: str, amount: float, charge: dict[str, Any]) -> Ended | None:
        """The money was taken: the right amount completes the saga, a wrong one is given back."""
        if abs(float(charge["amount"]) - amount) < CENT / 2:
            return await self._end(invoice, "completed", "paid", str(charge["id"]))
        refund = await self._call("POST", "/v1/refunds", {"charge": charge["id"]}, {}, True)
        if refund is None or refund.status not in CAPTURED:
            return None
        return await self._end(invoice, "compensated", "refunded", str(charge["id"]))

    async def _end(self, invoice: str, end: str, status: str, charge: str | None) -> Ended:
        billing, at = self._billing, time.time()
        event = billing.outbox.event(f"payment.{status}", invoice, at, {"charge": charge})
        ended = await billing.store.row(
            statements.END_SAGA, invoice, end, status, charge, at, billing.outbox.row(event)
        )
        if ended is not None:
            billing.outbox.committed(event)
        return status, charge

    # without a saga

    async def _at_once(self, invoice: str, asked: float | None) -> tuple[int, dict[str, Any]]:
        """Charge, then update: what happens between the two is nobody's concern."""
        billing, row = self._billing, await self._row(invoice)
        self._require(row, asked)
        if row["status"] != "open":
            return self._answer(invoice, row["status"], row["charge"])
        keyed = billing.switches.idempotency_key
        headers = {idempotency.HEADER: payment_key(billing.run, invoice)} if keyed else {}
        body = {"invoice": invoice, "amount": float(row["amount"])}
        charged = await billing.links["payments"].call("POST", "/v1/charges", body, headers, idempotent=keyed)
        if charged.status == 402:
            await billing.store.row(statements.PAID, invoice, "failed", None, None)
            return 402, {"invoice": invoice, "status": "declined"}
        if charged.status not in CAPTURED:
            raise fhir.Refused(502, f"payments answered {charged.status}")
        charge = str(charged.json()["id"])
        event = billing.outbox.event("payment.paid", invoice, time.time(), {"charge": charge})
        try:
            await billing.store.row(statements.PAID, invoice, "paid", charge, billing.outbox.row(event))
        except StoreUnavailable as error:
            raise fhir.Refused(504, f"invoice {invoice} was charged, but: {error}") from error
        billing.outbox.committed(event)
        return 200, {"invoice": invoice, "status": "paid", "charge": charge}
