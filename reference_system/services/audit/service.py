"""Audit: every access to patient data, in a chain in which nothing can be changed or left out unseen."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reference_system.common import fhir
from reference_system.common.config import Config
from reference_system.common.group import Grouped
from reference_system.common.service import Reset, Service, record, records_of

LINGER_S = 0.005
GENESIS = "0" * 64
PAGE = 1000


class Line(msgspec.Struct, frozen=True):
    """What audit reads of an AuditEvent, and the event as it came."""

    id: str
    source: str
    number: int
    request: str
    patient: str
    outcome: str
    body: bytes


def line_of(event: fhir.Resource) -> Line:
    """Raises Refused 400 for an AuditEvent that does not say whose access it is."""
    try:
        number = next(e["valueDecimal"] for e in event["extension"] if e["url"] == fhir.AUDIT_NUMBER)
        entity = event["entity"][0]
        request = next(d["valueString"] for d in entity["detail"] if d["type"] == "request")
        return Line(
            id=str(event["id"]),
            source=str(event["source"]["observer"]["identifier"]["value"]),
            number=int(number),
            request=str(request),
            patient=str(fhir.reference_id(entity["what"], "Patient")),
            outcome=str(event["outcome"]),
            body=fhir.encode(event),
        )
    except (LookupError, StopIteration, TypeError, ValueError) as error:
        expected = "an AuditEvent with id, outcome, source, number, and an entity with patient and request"
        raise fhir.Refused(400, f"{type(error).__name__}: {error}; expected {expected}") from error


def link_of(before: str, body: bytes) -> str:
    """The hash of an event in the chain: of the hash before it and of its own bytes."""
    return hashlib.sha256(before.encode() + body).hexdigest()


class Switches(msgspec.Struct, frozen=True):
    """The switches that it obeys, besides those of every service."""

    chain_head: Literal["memory", "database"]


class Audit(Service):
    """One writer appends; a repeat of an event that is there changes nothing."""

    SWITCHES: ClassVar[type[msgspec.Struct]] = Switches
    switches: Switches

    DDL: ClassVar[str] = """
        CREATE TABLE IF NOT EXISTS line (
            place bigint PRIMARY KEY, id text UNIQUE NOT NULL, source text NOT NULL, number bigint NOT NULL,
            request text NOT NULL, outcome text NOT NULL,
            at float8 NOT NULL DEFAULT extract(epoch FROM now()),
            body bytea NOT NULL, hash text NOT NULL)
    """
    TABLES: ClassVar[tuple[str, ...]] = ("line",)

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._place, self._head, self._sure = 0, GENESIS, False
        self._lines: Grouped[list[Line], None] = Grouped(self._append, LINGER_S)

    def routes(self) -> list[Route]:
        return [
            Route("/fhir/AuditEvent", self.take, methods=["POST"]),
            Route("/verify", self.verify, methods=["GET"]),
        ]

    async def take(self, request: Request) -> Response:
        """One AuditEvent, or a Bundle of them in the order of their numbers."""
        found = fhir.read(fhir.decode, await request.body(), "an AuditEvent or a Bundle of them")
        if found.get("resourceType") == "Bundle":
            events = [entry.get("resource") or {} for entry in found.get("entry") or []]
        else:
            events = [found]
        if not events or any(event.get("resourceType") != "AuditEvent" for event in events):
            raise fhir.Refused(400, "found something else than AuditEvents; expected one or a Bundle of them")
        await self._lines.add([line_of(event) for event in events])
        return fhir.reply(201, {"accepted": len(events)})

    async def _append(self, batches: list[list[Line]]) -> list[None]:
        """The next links of the chain. After a failure the table says where it ends; without that a process
        that came back knows no hash before its own, and the chain has a break."""
        lines = [line for batch in batches for line in batch]
        if not self._sure:
            row = await self.store.row("SELECT place, hash FROM line ORDER BY place DESC LIMIT 1")
            self._place = row["place"] if row is not None else 0
            if self.switches.chain_head == "database":
                self._head = row["hash"] if row is not None else GENESIS
        known = {
            row["id"]
            for row in await self.store.rows(
                "SELECT id FROM line WHERE id = ANY($1::text[])", [line.id for line in lines]
            )
        }
        new = list({line.id: line for line in lines if line.id not in known}.values())
        places, hashes, head = [], [], self._head
        for place, line in enumerate(new, self._place + 1):
            head = link_of(head, line.body)
            places.append(place)
            hashes.append(head)
        self._sure = False
        if new:
            await self.store.run(
                "INSERT INTO line (place, id, source, number, request, outcome, body, hash) "
                "SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::text[], "
                "$6::text[], $7::bytea[], $8::text[])",
                places,
                [line.id for line in new],
                [line.source for line in new],
                [line.number for line in new],
                [line.request for line in new],
                [line.outcome for line in new],
                [line.body for line in new],
                hashes,
            )
            self._place, self._head = places[-1], head
        self._sure = True
        return [None] * len(batches)

    async def verify(self, _: Request) -> Response:
        """Whether each event is the one that was taken, and none is missing between two."""
        events, broken = await self._walk()
        return fhir.reply(200, {"events": events, "intact": broken is None, "broken_at": broken})

    async def _walk(self) -> tuple[int, int | None]:
        """How many links the chain has, and the place of the first that is wrong."""
        head, place = GENESIS, 0
        while True:
            rows = await self.store.rows(
                "SELECT place, body, hash FROM line WHERE place > $1 ORDER BY place LIMIT $2", place, PAGE
            )
            for row in rows:
                head = link_of(head, row["body"])
                if row["place"] != place + 1 or row["hash"] != head:
                    return place, place + 1
                place += 1
            if len(rows) < PAGE:
                return place, None

    async def cleared(self, reset: Reset) -> None:
        self._place, self._head, self._sure = 0, GENESIS, True
        self._lines = Grouped(self._append, LINGER_S)

    async def records(self) -> list[dict[str, Any]]:
        """Each access under the name of its request, each number under its source, and the chain."""
        accesses = await self.store.rows(
            "SELECT request AS key, id, at, CASE outcome WHEN '0' THEN 'shown' ELSE 'refused' END AS status, "
            "source AS caller FROM line ORDER BY place"
        )
        numbers = await self.store.rows(
            "SELECT source AS key, id, at, number AS version FROM line ORDER BY place"
        )
        events, broken = await self._walk()
        state = "intact" if broken is None else "broken"
        chain = [record("chain", key="chain", id="chain", status=state, version=events)] if events else []
        return [*records_of("access", accesses), *records_of("number", numbers), *chain]
