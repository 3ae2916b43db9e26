"""HL7 sender: an instrument that stands for the hospital's old systems. It keeps on record what it sent and
which acknowledgement it got."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reference_system.common import fhir
from reference_system.common.config import Design
from reference_system.common.mllp import code_of
from reference_system.common.operations import plain
from reference_system.common.service import Reset, Service, records_of
from reference_system.common.tracing import CLIENT, Span
from reference_system.services.hl7_sender.feed import Feed
from reference_system.services.hl7_sender.files import night
from reference_system.services.hl7_sender.generator import DEFECTS, SENDERS, Sending, Who, sending, who_is
from reference_system.services.hl7_sender.sending import Outbound, Unanswered

GATEWAY = "hl7_gateway"
GOOD, ODD = "good", "odd"  # of a feed

_sent = (
    "INSERT INTO sent (control, print, origin, kind, status, ack, attempts, at) "
    "SELECT control, print, $3, $4, 'sent', '', 0, $5 "
    "FROM unnest($1::text[], $2::text[]) AS s (control, print) "
    "ON CONFLICT DO NOTHING"
)
_told = "UPDATE sent SET status = $2, ack = $3, attempts = $4 WHERE control = ANY($1::text[])"


class Order(msgspec.Struct, frozen=True):
    """What is to be sent. `number` chooses from a feed of files, where there is one."""

    key: str
    patient: str
    message: str = "ORU^R01"
    defect: str = ""
    number: int = 0


_order = msgspec.json.Decoder(Order).decode


class Hl7Sender(Service):
    """Sends one message, or one file, for each request, and answers when it is acknowledged."""

    DDL: ClassVar[str] = """
        CREATE TABLE IF NOT EXISTS sent (
            control text NOT NULL, print text NOT NULL, origin text NOT NULL, kind text NOT NULL,
            status text NOT NULL, ack text NOT NULL, attempts int NOT NULL, at float8 NOT NULL,
            PRIMARY KEY (control, print))
    """
    TABLES: ClassVar[tuple[str, ...]] = ("sent",)

    def routes(self) -> list[Route]:
        return [
            Route("/messages", self.message, methods=["POST"]),
            Route("/odd-messages", self.odd_message, methods=["POST"]),
            Route("/files", self.file, methods=["POST"]),
        ]

    def build(self) -> None:
        super().build()
        name = f"{self.name} -> {GATEWAY}"
        self.outbound = Outbound(
            name,
            self.config.links[GATEWAY],
            self.design.link(name),
            self.metrics.link(GATEWAY),
            f"{self.config.seed}/{self.name}/{GATEWAY}",
        )
        self._feed = Feed(())
        self._people: dict[str, Who] = {}
        self._speak_for_files()

    def apply(self, design: Design) -> None:
        super().apply(design)
        self.outbound.apply(design.link(self.outbound.name))
        self._speak_for_files()

    def _speak_for_files(self) -> None:
        name = self.config.links[GATEWAY].name
        self.outbound.speak(self.transport.speech(self.design, GATEWAY, name))

    async def obeyed(self) -> dict[str, Any]:
        return await super().obeyed() | self.outbound.obeyed()

    async def message(self, request: Request) -> Response:
        """A message as it must be; answered when it is accepted."""
        order = self._read(await request.body())
        if order.message.partition("^")[0] not in SENDERS:
            raise fhir.Refused(400, f"found {order.message!r}, expected one of {', '.join(SENDERS)}")
        return await self._send(order, GOOD)

    async def odd_message(self, request: Request) -> Response:
        """A message with a defect; answered when it got the acknowledgement that it must get."""
        order = self._read(await request.body())
        if order.defect not in DEFECTS:
            raise fhir.Refused(400, f"found {order.defect!r}, expected one of {', '.join(DEFECTS)}")
        return await self._send(order, ODD)

    def _read(self, body: bytes) -> Order:
        order = fhir.read(_order, body, '{"key": "hl7-…", "patient": "p-…", message?, defect?, number?}')
        if not fhir.KEY.fullmatch(order.key) or not fhir.KEY.fullmatch(order.patient):
            raise fhir.Refused(400, "found no key or no patient, expected names of at most 128 characters")
        return order

    async def _send(self, order: Order, where: str) -> Response:
        with self._call("HL7 message") as span:
            what = self._feed.sending(where, order.number, order.key) or self._made(order, where, span)
            await self._record({order.key: what.contents}, "message", what.kind)
            try:
                if what.first is not None:
                    await self.outbound.message(what.first, 1)
                acks, attempts = await self.outbound.message(what.raw, what.answers)
            except Unanswered as error:
                span.status = "error"
                await self.store.run(_told, [order.key], "unanswered", "", 0)
                return fhir.outcome(504, f"{error}: no acknowledgement")
        codes = [code_of(ack) for ack in acks]
        status = "acknowledged" if set(codes) == {"AA"} else "refused"
        await self.store.run(_told, [order.key], status, " ".join(codes), attempts)
        answer = {"ack": codes[0], "attempts": attempts, "listed": list(what.listed)}
        if what.listed and not set(codes) <= set(what.listed):
            return plain({**answer, "issue": "another acknowledgement than is listed"}, 422)
        return plain(answer)

    def _made(self, order: Order, where: str, span: Span) -> Sending:
        """A generated message. A file of a folder goes out as it lies there: it names no trace."""
        context = span.traceparent if self.tracer.over == "all" else ""
        defect, who = order.defect if where == ODD else "", self._people.get(order.patient, Who())
        return sending(order.message, order.key, order.patient, self.seed, defect, who=who, context=context)

    @contextmanager
    def _call(self, name: str) -> Iterator[Span]:
        """A message is one call, however often it is sent: its bytes, which name the span, stay as they
        are."""
        span = self.tracer.start(name, CLIENT)
        span.attributes = {"link": self.outbound.name}
        try:
            yield span
        finally:
            self.tracer.finish(span, span.status == "ok")

    async def file(self, request: Request) -> Response:
        """The files of one night; answered when the last is taken and each was answered as it must be."""
        order = self._read(await request.body())
        try:
            files = night(order.key, order.patient, self.seed, order.defect)
        except KeyError:
            raise fhir.Refused(400, f"found the unknown defect {order.defect!r}") from None
        await self._record({name: (content,) for name, content in files.due.items()}, "file", "ORU^R01")
        statuses: list[int] = []
        try:
            for upload in files.uploads:
                with self._call("file") as span:
                    context = span.traceparent if self.tracer.over != "none" else ""
                    statuses.append((await self.outbound.file(order.key, upload.content, context)).status)
        except Unanswered as error:
            await self.store.run(_told, list(files.due), "unanswered", "", 0)
            return fhir.outcome(504, f"{error}: the file is not taken")
        taken = 200 <= statuses[-1] < 300
        await self.store.run(
            _told, list(files.due), "acknowledged" if taken else "refused", str(statuses[-1]), 1
        )
        wrong = [
            status for one, status in zip(files.uploads, statuses, strict=True) if status not in one.listed
        ]
        return plain({"statuses": statuses}, 422 if wrong else 200)

    async def _record(self, contents: Mapping[str, tuple[bytes, ...]], origin: str, kind: str) -> None:
        pairs = [(key, print_of(one)) for key, several in contents.items() for one in several]
        await self.store.run(
            _sent, [key for key, _ in pairs], [one for _, one in pairs], origin, kind, time.time()
        )

    async def cleared(self, reset: Reset) -> None:
        self.outbound.hang_up()
        self._feed = Feed(reset.hl7_feed or ())
        self._people = {str(one["id"]): who_is(one) for one in reset.patients or ()}

    async def records(self) -> list[dict[str, Any]]:
        rows = await self.store.rows("SELECT * FROM sent ORDER BY at")
        sent = [
            {"key": row["control"], "at": row["at"], "status": row["status"], "value": row["ack"]}
            for row in rows
        ]
        due = [
            {"key": row["control"], "at": row["at"]}
            for row in rows
            if row["origin"] == "file" and row["status"] == "acknowledged"
        ]
        contents = [{"key": f"{row['control']}:{row['print']}", "at": row["at"]} for row in rows]
        return [
            *records_of("hl7_sent", sent),
            *records_of("hl7_due", due),
            *records_of("hl7_content", contents),
        ]

    async def stop(self) -> None:
        await super().stop()
        self.outbound.close()


def print_of(content: bytes) -> str:
    """The digest under which the gateway keeps a message."""
    return hashlib.sha256(content).hexdigest()[:16]
