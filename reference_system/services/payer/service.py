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
from reference_system.common.service import Reset, Service, records_of

PROCESSING_S = 0.01  # its own work per request; inquiries of so long are written together, before the answers

Inquiry = tuple[str, str, str, float, str]


class Question(msgspec.Struct, frozen=True):
    """A 270: whose cover is asked about."""

    coverage: str


class SubmittedClaim(msgspec.Struct, frozen=True):
    """One claim of an 837; `key` makes a repeat of it harmless."""

    claim: str
    amount: fhir.Amount
    key: str | None = None


class Batch(msgspec.Struct, frozen=True):
    """An 837: the claims that travel together."""

    claims: list[SubmittedClaim]


_claims = msgspec.json.Decoder(Batch).decode
_question = msgspec.json.Decoder(Question).decode


class Payer(Service):
    """X12 270/271 and 837 as JSON. A claim with a key is accepted once, any other as often as it is sent."""

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

    async def inquire(self, request: Request) -> Response:
        coverage = fhir.read(_question, await request.body(), '{"coverage": "cov-…"}').coverage
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
        """A batch of claims: with its key a claim is accepted once, without one as often as it comes."""
        batch = fhir.read(_claims, await request.body(), "{claims: [{claim, amount, key?}]}")
        await asyncio.sleep(PROCESSING_S)
        at, caller = time.time(), request.headers.get("x-caller", "")
        accepted = await self.store.rows(
            "INSERT INTO claim (id, claim, amount, at, caller, guard) "
            "SELECT id, claim, amount, $5, $6, guard "
            "FROM unnest($1::text[], $2::text[], $3::float8[], $4::text[]) AS c (id, claim, amount, guard) "
            "ON CONFLICT (guard) DO NOTHING RETURNING id",
            [uuid4().hex for _ in batch.claims],
            [claim.claim for claim in batch.claims],
            [claim.amount for claim in batch.claims],
            [idempotency.guard(claim.key is not None, claim.key) for claim in batch.claims],
            at,
            caller,
        )
        return plain({"accepted": len(accepted), "repeated": len(batch.claims) - len(accepted)})

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
            self.store.rows(
                "SELECT coverage AS key, receipt AS id, at, status, caller FROM inquiry ORDER BY at"
            ),
            self.store.rows(
                "SELECT claim AS key, id, at, 'accepted' AS status, amount, caller FROM claim ORDER BY at"
            ),
        )
        return [*records_of("eligibility_inquiry", inquiries), *records_of("claim", claims)]
