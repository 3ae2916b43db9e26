"""T26: how the spans of a service reach the collector: OTLP over HTTP, in protobuf.

Blocking, as the simplest processor of a tracing library does it: whoever ends a span waits until the
collector has it, and so does everybody else in this process. Bounded: spans wait in a queue of limited
length, a loop sends them, and what does not fit is dropped and counted. OpenTelemetry's SDK makes the spans
and their encoding. Queue and connection are ours, since its processors count what they drop for themselves
only, and send past the patterns of the link.
"""

from __future__ import annotations

import asyncio
import http.client
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Literal

from reference_system.common.config import Address
from reference_system.common.link import RETRYABLE, CallFailed, Link
from reference_system.common.tracing import CLIENT, CONSUMER, PRODUCER, SERVER, Over, Span, Tracer

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

COLLECTOR = "telemetry"
PATH = "/v1/traces"
HEADERS = {"content-type": "application/x-protobuf"}
EVERY_S = 0.25
LATE_S = 1.0
ASKED = (SERVER, CONSUMER)
BATCH = 512
QUEUE = 2048
BLOCKS_AT_MOST_S = 10.0  # the usual time limit of an exporter, where the design gives the link none

Mode = Literal["blocking", "bounded"]


class Exporter:
    """Takes finished spans. Of one run: what waits when a reset begins is forgotten."""

    def __init__(self, link: Link, address: Address, tracer: Tracer) -> None:
        # Imported here: a run without a collector pays nothing for it.
        from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

        self.mode: Mode = "blocking"
        self.exported = self.dropped = 0
        self._encode_spans, self._readable, self._context = encode_spans, ReadableSpan, SpanContext
        self._kinds = {
            SERVER: SpanKind.SERVER,
            CLIENT: SpanKind.CLIENT,
            CONSUMER: SpanKind.CONSUMER,
            PRODUCER: SpanKind.PRODUCER,
        }
        self._ok, self._error = Status(StatusCode.UNSET), Status(StatusCode.ERROR)
        self._sampled = TraceFlags(TraceFlags.SAMPLED)
        self._resource = Resource({"service.name": link.name.partition(" -> ")[0]})
        self._link = link
        self._address = address
        self._tracer = tracer
        self._queue: deque[Span] = deque()
        self._connection: http.client.HTTPConnection | None = None

    def apply(self, over: Over, mode: Mode, wanted: bool = True) -> None:
        """Follow a design from now on. A run that has no part in a collector that is up tells it nothing, and
        hands contexts on as all such runs do."""
        self.mode = mode
        self._tracer.over = over if wanted else "all"
        self._tracer.tell = self.take if wanted else None

    def clear(self) -> None:
        self._queue.clear()
        self.exported = self.dropped = 0

    @property
    def waiting(self) -> int:
        return len(self._queue)

    @property
    def untold(self) -> int:
        """Spans that a settled service has told: all that belong to a request or an event. A call that
        belongs to none is work in the background, or a look at the backlog itself. There is always one of a
        moment ago, so that it counts only when several rounds of sending have left it behind."""
        since = time.time() - LATE_S
        return sum(span.parent is not None or span.kind in ASKED or span.end < since for span in self._queue)

    def take(self, span: Span) -> None:
        """A span has ended."""
        if self.mode == "blocking":
            self._send_and_wait(self._encoded([span]))
        elif len(self._queue) < QUEUE:
            self._queue.append(span)
        else:
            self.dropped += 1

    async def run(self) -> None:
        """Sends what waits, for as long as the process lives."""
        while True:
            await asyncio.sleep(EVERY_S)
            while self._queue and await self._send_some():
                pass

    async def _send_some(self) -> bool:
        """One batch leaves the queue once the collector has it. Whether it has."""
        queue = self._queue
        batch = [queue[number] for number in range(min(BATCH, len(queue)))]
        try:
            reply = await self._link.call("POST", PATH, self._encoded(batch), HEADERS)
        except CallFailed:
            return False
        if reply.status in RETRYABLE:
            return False
        kept = reply.status == 200
        self.exported += len(batch) if kept else 0
        self.dropped += 0 if kept else len(batch)
        for span in batch:
            if queue and queue[0] is span:  # else a reset emptied it meanwhile
                queue.popleft()
        return True

    def _encoded(self, spans: list[Span]) -> bytes:
        body: bytes = self._encode_spans([self._readable_of(span) for span in spans]).SerializeToString()
        return body

    def _readable_of(self, span: Span) -> ReadableSpan:
        trace, link = int(span.trace, 16), span.attributes.get("link", "")
        attributes: dict[str, Any] = {"peer.service": link.partition(" -> ")[2]} if link else {}
        if "age_s" in span.attributes:
            attributes["messaging.age_s"] = span.attributes["age_s"]
        parent = self._context(trace, int(span.parent, 16), True, self._sampled) if span.parent else None
        return self._readable(
            span.name,
            self._context(trace, int(span.span, 16), False, self._sampled),
            parent,
            self._resource,
            attributes,
            kind=self._kinds[span.kind],
            status=self._ok if span.status == "ok" else self._error,
            start_time=int(span.start * 1e9),
            end_time=int(span.end * 1e9),
        )

    # blocking

    def _send_and_wait(self, body: bytes) -> None:
        """Nothing else happens in this process meanwhile."""
        counters, patterns = self._link.counters, self._link.patterns
        counters.logical += 1
        attempts = patterns.retry.attempts if patterns.retry is not None else 1
        for number in range(attempts):
            counters.attempts += 1
            counters.retries += number > 0
            if self._sent(body, patterns.timeout or BLOCKS_AT_MOST_S):
                self.exported += 1
                return
        self.dropped += 1

    def _sent(self, body: bytes, limit_s: float) -> bool:
        headers = {**HEADERS, "x-caller": self._link.name.partition(" -> ")[0], "x-run": self._link.run}
        if self._address.shown:
            headers["x-access-token"] = self._address.shown
        began = time.monotonic()
        try:
            if self._connection is None:
                address = self._address.host, self._address.port
                self._connection = http.client.HTTPConnection(*address, timeout=limit_s)
                self._connection.connect()
                if (speech := self._link.speech).context is not None:
                    plain = self._connection.sock
                    self._connection.sock = speech.context.wrap_socket(plain, server_hostname=speech.name)
            self._connection.request("POST", PATH, body, headers)
            reply = self._connection.getresponse()
            reply.read()
            return reply.status == 200
        except (OSError, http.client.HTTPException):
            late = time.monotonic() - began >= limit_s
            self._link.counters.timeouts += late
            self._link.counters.errors += not late
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            return False

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
