"""HL7 gateway: takes HL7 v2 in over MLLP and in files, keeps each message as it came, applies it once, and
brings what it says to the services that keep it."""

from __future__ import annotations

import asyncio
import time
from typing import Any, ClassVar
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reference_system.common import fhir, tracing
from reference_system.common.mllp import BUSY, Block
from reference_system.common.operations import plain
from reference_system.common.service import Reset, Service, records_of
from reference_system.common.store import StoreUnavailable
from reference_system.common.tracing import SERVER
from reference_system.services.hl7_gateway import statements
from reference_system.services.hl7_gateway.acknowledgements import acknowledgement
from reference_system.services.hl7_gateway.batches import read_batch
from reference_system.services.hl7_gateway.delivering import Deliveries
from reference_system.services.hl7_gateway.intake import Intake, Switches
from reference_system.services.hl7_gateway.listener import Listener, OnReceipt
from reference_system.services.hl7_gateway.messages import context_of, header_of, read
from reference_system.services.hl7_gateway.resources import LAB, PRESCRIPTIONS

SPAN = "HL7 message"
MLLP, FILE = "mllp", "file"
FEED = "hl7_sender"  # MLLP names no caller: what comes by it is counted as the feed's
AT_ONCE = 32  # messages on their way into the store; further ones wait in their connections
WORK_OFF_EVERY_S = 0.25  # how long a message that was acknowledged on receipt stays in memory alone
# Until the first window for files, and until each next one; divided by the clock scale.
EVENING_S, NIGHT_S = 1_800.0, 86_400.0
LOOK_S = 0.1


class Hl7Gateway(Service):
    """MLLP and HTTP on one port: what does not begin as HTTP is MLLP."""

    DDL: ClassVar[str] = statements.DDL
    TABLES: ClassVar[tuple[str, ...]] = statements.TABLES
    SWITCHES = Switches
    switches: Switches

    def routes(self) -> list[Route]:
        return [
            Route("/batches", self.upload, methods=["POST"]),
            Route("/results/{order}", self.results, methods=["GET"]),
            Route("/dead-letters", self.dead_letters, methods=["GET"]),
            Route("/dead-letters/{id}/replay", self.replay, methods=["POST"]),
        ]

    def build(self) -> None:
        super().build()
        self.deliveries = Deliveries(self.store, self.links, self.log, self.metrics, self.spawn)
        self.intake = Intake(self.store, self.deliveries, self.calls)
        self.intake.follow(self.switches)
        self._places = asyncio.Semaphore(AT_ONCE)
        self._night = 0.0
        self._listeners: set[Listener] = set()

    @property
    def listener(self) -> Any:
        return self.converse

    # MLLP

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        listener = Listener(reader, writer, self._answer)
        if not self.ready:
            listener.abort()
            return
        self._listeners.add(listener)
        try:
            early = OnReceipt(self._receipt, self._hold)
            await listener.serve(early if self.switches.hl7_ack == "on_receipt" else None)
        finally:
            self._listeners.discard(listener)

    def _hold(self, content: bytes) -> None:
        """The whole of a block that was acknowledged on receipt, if it came whole."""
        span = self.tracer.start(SPAN, SERVER, self._context(content))
        token = tracing.current.set(span)
        self.intake.hold(content, MLLP)
        tracing.current.reset(token)
        self.tracer.finish(span)

    def _context(self, content: bytes) -> str | None:
        """The trace of the message, where the design hands contexts on over messages."""
        return context_of(content) if self.tracer.over == "all" else None

    async def _receipt(self, content: bytes) -> tuple[bytes | None, bool]:
        """The acknowledgement on receipt, and whether the message is to be kept."""
        self._count()
        ack = acknowledgement(header_of(content), "AA")
        behaviours = self.behaviours
        if not behaviours:
            return ack, True
        if behaviours.refusal(FEED) is not None:
            return acknowledgement(header_of(content), "AR", BUSY), False
        if (pause := behaviours.delay(FEED)) > 0:
            await asyncio.sleep(pause)
        return (None if self._loses() else ack), True

    def _loses(self) -> bool:
        """Whether this acknowledgement is lost, on request of an experiment."""
        if not self.behaviours.loses_response(FEED):
            return False
        self.metrics.dropped_replies[FEED] = self.metrics.dropped_replies.get(FEED, 0) + 1
        return True

    def _count(self) -> None:
        self.metrics.requests += 1
        self.metrics.received[FEED] = self.metrics.received.get(FEED, 0) + 1

    async def _answer(self, block: Block) -> bytes | None:
        """The acknowledgement; None when the message is not certainly stored, or on request of an
        experiment: then the connection closes, and the sender asks again."""
        if block.is_sign_of_life:
            return acknowledgement(None, "AA")
        self._count()
        self.metrics.in_flight += 1
        span, ok = self.tracer.start(SPAN, SERVER, self._context(block.content)), False
        token = tracing.current.set(span)
        try:
            async with self._places:
                taken = await self.of_run(lambda: self._taken(block))
            ok = taken is not None
            return taken
        finally:
            self.metrics.in_flight -= 1
            tracing.current.reset(token)
            self.tracer.finish(span, ok)

    async def _taken(self, block: Block) -> bytes | None:
        behaviours = self.behaviours
        if self.deliveries.full or (behaviours and behaviours.refusal(FEED) is not None):
            return acknowledgement(header_of(block.content), "AR", BUSY)
        if behaviours and (pause := behaviours.delay(FEED)) > 0:
            await asyncio.sleep(pause)
        try:
            _, ack = await self.intake.take(block.content, MLLP, block.fault)
        except StoreUnavailable as error:
            self.log.seldom("a message is not stored", error=str(error))
            return None
        return None if behaviours and self._loses() else ack

    # files

    async def upload(self, request: Request) -> Response:
        """A file of messages: taken message by message at once, or kept whole for the night."""
        content, name = await request.body(), request.query_params.get("name", "")
        if not fhir.KEY.fullmatch(name):
            raise fhir.Refused(400, "found no name of the file, expected ?name=")
        found = read_batch(content)
        waits = self.switches.hl7_batch == "nightly"
        status = "waiting" if waits else "quarantined" if found.fault else "taken"
        fault = "" if waits else found.fault
        row = (f"file-{uuid4().hex[:12]}", name, status, fault, len(found.messages), time.time(), content)
        if waits:
            await self.store.run(statements.BATCH, *row)
            return plain({"name": name, "status": status}, 202)
        if found.fault:
            await self.store.run(statements.BATCH, *row)
            raise fhir.Refused(422, f"the file is quarantined: {found.fault}")
        counts: dict[str, int] = {}
        for message in found.messages:
            outcome, _ = await self.intake.take(message, FILE)
            counts[outcome] = counts.get(outcome, 0) + 1
        await self.store.run(statements.BATCH, *row)
        return plain({"name": name, "status": status, "messages": counts})

    async def _nights(self) -> None:
        """At the end of every day the files that wait are applied, each whole or not at all."""
        while True:
            await asyncio.sleep(LOOK_S)
            if time.time() < self._night or not self.ready:
                continue
            self._night = time.time() + NIGHT_S / self.clock_scale
            try:
                await self.of_run(self._night_shift)
            except StoreUnavailable as error:
                self.log.seldom("the files of the night wait", error=str(error))

    async def _night_shift(self) -> None:
        for row in await self.store.rows(statements.WAITING, time.time()):
            messages = read_batch(row["raw"]).messages
            bad = next((reason for one in messages if (reason := read(one).reason)), "")
            if bad or not messages:
                self.log.error("a file was dropped", file=row["id"], reason=bad or "no message")
                await self.store.run(statements.BATCH_DONE, row["id"], "dropped", bad)
                continue
            for message in messages:
                await self.intake.take(message, FILE)
            await self.store.run(statements.BATCH_DONE, row["id"], "taken", "")

    # what was kept

    async def results(self, request: Request) -> Response:
        order = request.path_params["order"]
        rows = await self.store.rows(statements.RESULTS, order)
        if not rows:
            raise fhir.Refused(404, f"no result of the order {order!r}")
        found = [
            {"code": row["key"].rpartition("/")[2], "status": row["status"], "value": row["value"]}
            for row in rows
        ]
        return plain({"order": order, "results": found})

    async def dead_letters(self, _: Request) -> Response:
        rows = await self.store.rows(statements.DEAD_LETTERS)
        return plain({"dead_letters": [dict(row) for row in rows]})

    async def replay(self, request: Request) -> Response:
        """The message of a dead letter is judged again: as it is, or with the body in its place."""
        id_, body = request.path_params["id"], await request.body()
        try:
            why_not = await self.intake.replay(id_, body or None)
        except KeyError:
            raise fhir.Refused(404, f"no dead letter {id_!r}") from None
        if why_not is not None:
            raise fhir.Refused(422, why_not)
        return plain({"id": id_, "status": "applied"})

    # the run

    async def start(self) -> None:
        await super().start()
        self.loop(self._work_off())
        self.loop(self._nights())

    async def _work_off(self) -> None:
        while True:
            await asyncio.sleep(WORK_OFF_EVERY_S)
            if not self.intake.waiting:
                continue
            try:
                await self.of_run(self.intake.work_off)
            except StoreUnavailable as error:
                self.log.seldom("held messages wait", error=str(error))

    async def opened(self) -> None:
        self._begin_day()
        await self.deliveries.resume()

    def _begin_day(self) -> None:
        self.intake.follow(self.switches)
        self._night = time.time() + EVENING_S / self.clock_scale

    async def cleared(self, reset: Reset) -> None:
        """A connection goes by the design under which it was opened: none is left from the run before."""
        for listener in self._listeners:
            listener.abort()
        self.intake.forget()
        self.deliveries.forget()
        self._begin_day()

    async def backlog(self) -> dict[str, int]:
        row = await self.store.row("SELECT count(*) AS n FROM batch WHERE status = 'waiting'")
        waiting = {"held_messages": self.intake.waiting, "deliveries": len(self.deliveries)}
        return {**waiting, "waiting_files": row["n"] if row else 0}

    async def records(self) -> list[dict[str, Any]]:
        applied, received, outcomes, files, asked = await asyncio.gather(
            self.store.rows(statements.APPLIED),
            self.store.rows(statements.RECEIVED),
            self.store.rows(statements.OUTCOMES),
            self.store.rows(statements.BATCHES),
            self.store.rows(statements.ASKED, [LAB, PRESCRIPTIONS]),
        )
        messages = [
            {"key": row["control"], "id": row["id"], "at": row["at"], "value": row["print"]}
            | {"status": "applied", "caller": row["caller"]}
            for row in applied
        ]
        contents = [{"key": f"{row['control']}:{row['print']}", "at": row["at"]} for row in applied]
        return [
            *records_of("hl7_message", messages),
            *records_of("hl7_content", contents),
            *records_of("hl7_received", received),
            *records_of("hl7_outcome", outcomes),
            *records_of("hl7_file", files),
            *records_of("hl7_asked", asked),
        ]
