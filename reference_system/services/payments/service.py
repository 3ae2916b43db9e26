"""Payments: an instrument that stands for the card processor. Its ledger is the truth about who was charged
how often."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any, ClassVar
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reference_system.common import fhir
from reference_system.common.operations import plain
from reference_system.common.patterns import idempotency
from reference_system.common.service import Reset, Service, records_of

PROCESSING_S = (0.015, 0.025)  # its own work per charge, before the commit
KEY_HONOURED_S = 3600.0  # after that a key is forgotten, on the run's clock; the ledger keeps it

CAPTURE = """
    INSERT INTO charge (id, invoice, amount, key, guard, fingerprint, caller, at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (guard) DO NOTHING RETURNING id
"""


class Order(msgspec.Struct, frozen=True):
    """What a charge is for."""

    invoice: str
    amount: fhir.Amount


class Return(msgspec.Struct, frozen=True):
    """Which charge is to be refunded."""

    charge: str


_order = msgspec.json.Decoder(Order).decode
_return = msgspec.json.Decoder(Return).decode


class Payments(Service):
    """Honours an Idempotency-Key when one is given: 409 in progress, 422 other payload, replay when done. An
    hour after its charge the key is forgotten: the same request is then another charge, as elsewhere."""

    DDL: ClassVar[str] = """
        CREATE TABLE IF NOT EXISTS charge (
            id text PRIMARY KEY, invoice text NOT NULL, amount float8 NOT NULL, key text,
            guard text NOT NULL UNIQUE, fingerprint text NOT NULL, caller text, at float8 NOT NULL);
        CREATE INDEX IF NOT EXISTS charge_invoice ON charge (invoice);
        CREATE INDEX IF NOT EXISTS charge_key ON charge (key);
        CREATE TABLE IF NOT EXISTS refund (
            id text PRIMARY KEY, charge text NOT NULL UNIQUE, invoice text NOT NULL, amount float8 NOT NULL,
            caller text, at float8 NOT NULL)
    """
    TABLES: ClassVar[tuple[str, ...]] = ("charge", "refund")

    def routes(self) -> list[Route]:
        return [
            Route("/v1/charges", self.charge, methods=["POST"]),
            Route("/v1/charges", self.by_invoice, methods=["GET"]),
            Route("/v1/charges/by-key/{key}", self.by_key, methods=["GET"]),
            Route("/v1/refunds", self.refund, methods=["POST"]),
        ]

    def build(self) -> None:
        super().build()
        self._in_progress: set[str] = set()
        self._rng = random.Random(f"{self.seed}/payments")

    async def charge(self, request: Request) -> Response:
        order = fhir.read(_order, await request.body(), '{"invoice": "inv-…", "amount": number above 0}')
        key, caller = request.headers.get(idempotency.HEADER), request.headers.get("x-caller", "")
        if key is not None and key in self._in_progress:
            raise fhir.Refused(409, f"a charge with the key {key!r} is in progress")
        if key is not None:
            self._in_progress.add(key)
        try:
            return await self._capture(order.invoice, order.amount, key, caller)
        finally:
            if key is not None:
                self._in_progress.discard(key)

    async def _capture(self, invoice: str, amount: float, key: str | None, caller: str) -> Response:
        if self.behaviours.declines(caller):
            return plain({"invoice": invoice, "status": "declined"}, 402)
        await asyncio.sleep(self._rng.uniform(*PROCESSING_S))
        id_, print_ = f"ch-{uuid4().hex[:16]}", idempotency.fingerprint(invoice, f"{amount:.2f}")
        guard, at = idempotency.guard(key is not None, key), time.time()
        charge = (id_, invoice, amount, key, guard, print_, caller, at)
        captured = await self.store.row(CAPTURE, *charge)
        if captured is None and await self._forgotten(key, at):
            captured = await self.store.row(CAPTURE, *charge)
        if captured is not None:
            return plain({"id": id_, "invoice": invoice, "amount": amount, "status": "captured"}, 201)
        row = await self.store.row(
            "SELECT id, invoice, amount, fingerprint FROM charge WHERE guard = $1", key
        )
        if row is None or idempotency.judge(row["fingerprint"], print_) is idempotency.Repeat.MISMATCH:
            raise fhir.Refused(422, f"the key {key!r} was used with another payload")
        return plain(_charge(row), 200)

    async def _forgotten(self, key: str | None, now: float) -> bool:
        """Whether the charge under this key is so old that the key is free again, which it then is."""
        oldest = now - KEY_HONOURED_S / self.clock_scale
        freed = "UPDATE charge SET guard = id WHERE guard = $1 AND at < $2 RETURNING id"
        return await self.store.row(freed, key, oldest) is not None

    async def by_invoice(self, request: Request) -> Response:
        invoice = request.query_params.get("invoice", "")
        rows = await self.store.rows(
            "SELECT id, invoice, amount FROM charge WHERE invoice = $1 ORDER BY at", invoice
        )
        return plain({"charges": [_charge(row) for row in rows]})

    async def by_key(self, request: Request) -> Response:
        key = request.path_params["key"]
        row = await self.store.row(
            "SELECT id, invoice, amount FROM charge WHERE key = $1 ORDER BY at LIMIT 1", key
        )
        if row is not None:
            return plain(_charge(row))
        if key in self._in_progress:
            raise fhir.Refused(409, f"the charge with the key {key!r} is in progress")
        raise fhir.Refused(404, f"no charge with the key {key!r}")

    async def refund(self, request: Request) -> Response:
        """A charge is refunded once and whole; a repeat gives the same refund."""
        charge = fhir.read(_return, await request.body(), '{"charge": "ch-…"}').charge
        found = await self.store.row("SELECT id, invoice, amount FROM charge WHERE id = $1", charge)
        if found is None:
            raise fhir.Refused(404, f"no charge {charge!r}")
        id_ = f"re-{uuid4().hex[:16]}"
        row = await self.store.row(
            "INSERT INTO refund AS r (id, charge, invoice, amount, caller, at) "
            "VALUES ($1, $2, $3, $4, $5, $6) "
            "ON CONFLICT (charge) DO UPDATE SET at = r.at RETURNING id",
            id_,
            charge,
            found["invoice"],
            found["amount"],
            request.headers.get("x-caller", ""),
            time.time(),
        )
        assert row is not None
        return plain({"id": row["id"], "charge": charge, "amount": found["amount"]}, 201)

    async def cleared(self, reset: Reset) -> None:
        self._in_progress.clear()
        self._rng = random.Random(f"{reset.seed}/payments")

    async def records(self) -> list[dict[str, Any]]:
        charges = await self.store.rows(
            "SELECT invoice AS key, id, at, 'captured' AS status, amount, key AS value, caller "
            "FROM charge ORDER BY at"
        )
        refunds = await self.store.rows(
            "SELECT invoice AS key, id, at, amount, charge AS value, caller FROM refund ORDER BY at"
        )
        return [*records_of("charge", charges), *records_of("refund", refunds)]


def _charge(row: Any) -> dict[str, Any]:
    return {"id": row["id"], "invoice": row["invoice"], "amount": row["amount"], "status": "captured"}
