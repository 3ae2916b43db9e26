"""Billing: claims to the payer, invoices, and one charge an invoice, whatever is lost on the way."""

from __future__ import annotations

import random
from typing import Any, ClassVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reference_system.common import fhir
from reference_system.common.operations import plain
from reference_system.common.service import Reset, Service, records_of
from reference_system.services.billing import statements
from reference_system.services.billing.claims import Claims
from reference_system.services.billing.ground import Switches
from reference_system.services.billing.payment import Payment


class Order(msgspec.Struct, frozen=True):
    """What is to be paid; without an amount, what the invoice says."""

    amount: float | None = None


_order = msgspec.json.Decoder(Order).decode


class Billing(Service):
    """Claim, invoice and payment saga."""

    SWITCHES: ClassVar[type[msgspec.Struct]] = Switches
    switches: Switches
    DDL: ClassVar[str] = statements.DDL
    TABLES: ClassVar[tuple[str, ...]] = ("claim", "invoice", "saga")

    def build(self) -> None:
        super().build()
        self._claims = Claims(self)
        self._payment = Payment(self, self.spawn, random.Random(f"{self.seed}/saga"))

    def routes(self) -> list[Route]:
        return [
            Route("/claims", self.claim, methods=["POST"]),
            Route("/invoices/{invoice}", self.invoice, methods=["GET"]),
            Route("/invoices/{invoice}/pay", self.pay, methods=["POST"]),
        ]

    async def claim(self, request: Request) -> Response:
        claim = fhir.parse(await request.body(), "Claim")
        new = await self._claims.accept(claim)
        return fhir.reply(201 if new else 200, {**claim, "id": fhir.identifier(claim, fhir.CLAIM)})

    async def pay(self, request: Request) -> Response:
        asked = fhir.read(_order, await request.body() or b"{}", '{"amount": number}').amount
        status, body = await self._payment.pay(request.path_params["invoice"], asked)
        return plain(body, status)

    async def invoice(self, request: Request) -> Response:
        invoice = request.path_params["invoice"]
        row = await self.store.row("SELECT claim, amount, status, charge FROM invoice WHERE id = $1", invoice)
        if row is None:
            raise fhir.Refused(404, f"invoice {invoice} is not known")
        return plain({"invoice": invoice, **dict(row)})

    async def opened(self) -> None:
        """After a crash: queued claims and running sagas go on."""
        if self.publishing.outbox:
            await self._claims.resume()
        rows = await self.store.rows("SELECT invoice FROM saga WHERE status = 'running'")
        if self.switches.saga:
            self._payment.sagas.resume([row["invoice"] for row in rows])
        self.loop(self._claims.work())

    async def cleared(self, reset: Reset) -> None:
        self._claims.forget()

    async def backlog(self) -> dict[str, int]:
        row = await self.store.row(
            "SELECT (SELECT count(*) FROM saga WHERE status = 'running') AS sagas, "
            "(SELECT count(*) FROM claim WHERE status <> 'submitted') AS claims"
        )
        return {"sagas_open": int(row["sagas"]), "claims_unsent": int(row["claims"])}  # type: ignore[index]

    async def records(self) -> list[dict[str, Any]]:
        claims = await self.store.rows(
            "SELECT id AS key, id, at, status, amount, invoice AS value FROM claim ORDER BY at"
        )
        invoices = await self.store.rows(
            "SELECT id AS key, id, at, status, amount, charge AS value FROM invoice ORDER BY at"
        )
        sagas = await self.store.rows(
            "SELECT invoice AS key, invoice AS id, at, status, key AS value FROM saga ORDER BY at"
        )
        return [
            *records_of("claim", claims),
            *records_of("invoice", invoices),
            *records_of("saga", sagas),
        ]
