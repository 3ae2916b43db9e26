"""Sms: an instrument that stands for a channel by which people are paged. Its ledger is the truth about who
was told what how often. The hospital has two: text messages, and pagers on a network of their own."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Any, ClassVar, Literal
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reference_system.common import fhir
from reference_system.common.operations import plain
from reference_system.common.patterns import idempotency
from reference_system.common.service import Reset, Service, records_of
from reference_system.common.store import Row

PROCESSING_S = (0.005, 0.015)  # its own work per message, before the commit


class Message(msgspec.Struct, frozen=True):
    """A page: what it is about, and whether the person who is asked first gets it or the second one."""

    about: str
    kind: Literal["page", "escalation"]


_message = msgspec.json.Decoder(Message).decode


class Sms(Service):
    """A message with an Idempotency-Key reaches its person once, any other as often as it is sent."""

    DDL: ClassVar[str] = """
        CREATE TABLE IF NOT EXISTS message (
            id text PRIMARY KEY, about text NOT NULL, kind text NOT NULL, key text,
            guard text NOT NULL UNIQUE, fingerprint text NOT NULL, caller text, at float8 NOT NULL)
    """
    TABLES: ClassVar[tuple[str, ...]] = ("message",)

    def routes(self) -> list[Route]:
        return [Route("/v1/messages", self.take, methods=["POST"])]

    def build(self) -> None:
        super().build()
        self._rng = random.Random(f"{self.seed}/{self.name}")

    async def take(self, request: Request) -> Response:
        """201 when its person has it, 200 for a repeat under the same key, 422 for another content."""
        message = fhir.read(
            _message, await request.body(), '{"about": "ntf-…", "kind": "page or escalation"}'
        )
        key = request.headers.get(idempotency.HEADER)
        await asyncio.sleep(self._rng.uniform(*PROCESSING_S))
        id_, print_ = f"msg-{uuid4().hex[:16]}", idempotency.fingerprint(message.about, message.kind)
        taken = await self.store.row(
            "INSERT INTO message (id, about, kind, key, guard, fingerprint, caller, at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (guard) DO NOTHING RETURNING id",
            id_,
            message.about,
            message.kind,
            key,
            idempotency.guard(key is not None, key),
            print_,
            request.headers.get("x-caller", ""),
            time.time(),
        )
        if taken is not None:
            return plain({"id": id_, "status": "delivered"}, 201)
        row = await self.store.row("SELECT id, fingerprint FROM message WHERE guard = $1", key)
        if row is None or idempotency.judge(row["fingerprint"], print_) is idempotency.Repeat.MISMATCH:
            raise fhir.Refused(422, f"the key {key!r} was used with another message")
        return plain({"id": row["id"], "status": "delivered"}, 200)

    async def cleared(self, reset: Reset) -> None:
        self._rng = random.Random(f"{reset.seed}/{self.name}")

    async def records(self) -> list[dict[str, Any]]:
        return [
            *records_of("page", await self._messages("page")),
            *records_of("escalation", await self._messages("escalation")),
        ]

    async def _messages(self, kind: str) -> Sequence[Row]:
        return await self.store.rows(
            "SELECT about AS key, id, at, 'delivered' AS status, key AS value, caller FROM message "
            "WHERE kind = $1 ORDER BY at",
            kind,
        )
