"""Payer: an instrument that stands for the insurer. It keeps the true cover and a ledger of all it was
asked and sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, ClassVar
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reference_system.common import fhir
from reference_system.common.group import Grouped
from reference_system.common.operations import plain
from reference_system.common.patterns import idempotency
from reference_system.common.service import Reset, Service, record

PROCESSING_S = (
    0.01  # its own work per request; the ledger is written once per such interval, before the answers
)

_decode = msgspec.json.Decoder(dict[str, Any]).decode
Inquiry = tuple[str, str, str, float, str]
ClaimRow = tuple[str, str, float, float, str, str]


class Payer(Service):
    """X12 270/271 and 837 as JSON. A claim that carries an Idempotency-Key is accepted once, any other as
    often as sent."""

    DDL: ClassVar[str] = """
        CREATE TABLE IF NOT EXISTS truth (coverage text PRIMARY KEY, status text NOT NULL);
        CREATE TABLE IF NOT EXISTS inquiry (
            receipt text PRIMARY KEY, coverage text NOT NULL, status text NOT NULL,
            at float8 NOT NULL, caller text);
        CREATE TABLE IF NOT EXISTS claim (
            id text PRIMARY KEY, claim text NOT NULL, amount float8 NOT NULL, at float8 NOT NULL,
            caller text, guard text NOT NULL UNIQUE)
    """
    TABLES: ClassVar[tuple[str, ...]] = ("truth", "inquiry", "claim")

    def routes(self) -> list[Route]:
        return [
            Route("/x12/270", self.inquire, methods=["POST"]),
            Route("/x12/837", self.claim, methods=["POST"]),
            Route("/truth", self.truth, methods=["GET"]),
        ]

    def build(self) -> None:
        super().build()
        self._inquiries: Grouped[Inquiry, None] = Grouped(self._write_inquiries, PROCESSING_S)
        self._claims: Grouped[ClaimRow, bool] = Grouped(self._write_claims, PROCESSING_S)

    async def inquire(self, request: Request) -> Response:
        body = _decode(await request.body())
        coverage = str(body.get("coverage"))
        status = self._known.get(coverage, "not-covered")
        receipt = f"271-{uuid4().hex[:12]}"
        caller = request.headers.get("x-caller", "")
        await self._inquiries.add((receipt, coverage, status, time.time(), caller))
        return plain({"coverage": coverage, "status": status, "receipt": receipt})

    async def _write_inquiries(self, rows: list[Inquiry]) -> Sequence[None]:
        columns = list(zip(*rows, strict=True))
        await self.store.run(
            "INSERT INTO inquiry (receipt, coverage, status, at, caller) "
            "SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::float8[], $5::text[])",
            *map(list, columns),
        )
        return [None] * len(rows)

    async def claim(self, request: Request) -> Response:
        body = _decode(await request.body())
        claim, amount = body.get("claim"), body.get("amount")
        if not isinstance(claim, str) or not isinstance(amount, int | float):
            raise fhir.Refused(400, 'expected {"claim": "clm-…", "amount": number}')
        key = request.headers.get(idempotency.HEADER)
        guard = idempotency.guard(key is not None, key)
        row = (uuid4().hex, claim, float(amount), time.time(), request.headers.get("x-caller", ""), guard)
        accepted = await self._claims.add(row)
        return plain({"claim": claim, "accepted": True, "repeat": not accepted}, 201 if accepted else 200)

    async def _write_claims(self, rows: list[ClaimRow]) -> Sequence[bool]:
        columns = list(zip(*rows, strict=True))
        written = await self.store.rows(
            "INSERT INTO claim (id, claim, amount, at, caller, guard) SELECT * FROM "
            "unnest($1::text[], $2::text[], $3::float8[], $4::float8[], $5::text[], $6::text[]) "
            "ON CONFLICT (guard) DO NOTHING RETURNING id",
            *map(list, columns),
        )
        new = {row["id"] for row in written}
        return [row[0] in new for row in rows]

    async def truth(self, _: Request) -> Response:
        return plain(self._known)

    async def opened(self) -> None:
        rows = await self.store.rows("SELECT coverage, status FROM truth")
        self._known: dict[str, str] = {row["coverage"]: row["status"] for row in rows}

    async def cleared(self, reset: Reset) -> None:
        """FHIR Coverage.status active means in force, anything else not covered."""
        self._known = {
            str(coverage["id"]): "in-force" if coverage.get("status") == "active" else "not-covered"
            for coverage in reset.coverages or []
        }
        await self.store.run(
            "INSERT INTO truth SELECT * FROM unnest($1::text[], $2::text[])",
            list(self._known),
            list(self._known.values()),
        )

    async def records(self) -> list[dict[str, Any]]:
        inquiries, claims = await asyncio.gather(
            self.store.rows("SELECT * FROM inquiry ORDER BY at"),
            self.store.rows("SELECT * FROM claim ORDER BY at"),
        )
        return [
            *(
                record(
                    "eligibility_inquiry",
                    key=r["coverage"],
                    id=r["receipt"],
                    at=r["at"],
                    status=r["status"],
                    caller=r["caller"],
                )
                for r in inquiries
            ),
            *(
                record(
                    "claim",
                    key=r["claim"],
                    id=r["id"],
                    at=r["at"],
                    status="accepted",
                    amount=r["amount"],
                    caller=r["caller"],
                )
                for r in claims
            ),
        ]
