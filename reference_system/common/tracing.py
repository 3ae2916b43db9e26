"""W3C trace context and spans. Spans go to a local file in batches, never in the way of a request: the flight
recorder of a run. Where a run has a collector they go there too, as the design says (T26)."""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any, Literal

import msgspec

FLUSH_EVERY_S = 0.25
MAX_WAITING = 20_000
CLIENT, SERVER, CONSUMER, PRODUCER = "client", "server", "consumer", "producer"

Over = Literal["none", "http", "all"]
"""Over what the context of a trace is handed on: nothing, requests, or requests and events."""

_encode = msgspec.json.Encoder().encode


class Span(msgspec.Struct):
    """One piece of work. Times are unix seconds; `parent` is None for a root."""

    trace: str
    span: str
    parent: str | None
    service: str
    name: str
    kind: str
    start: float
    end: float = 0.0
    status: str = "ok"
    attributes: dict[str, Any] = {}

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace}-{self.span}-01"


current: ContextVar[Span | None] = ContextVar("span", default=None)
_causes: ContextVar[tuple[str, ...]] = ContextVar("causes", default=())


@contextlib.contextmanager
def caused_by(traces: Iterable[str]) -> Iterator[None]:
    """What is done within is one piece of work for several traces, such as a batch of events."""
    before = _causes.set(tuple(dict.fromkeys(traces)))
    try:
        yield
    finally:
        _causes.reset(before)


def causes() -> tuple[str, ...]:
    """The traces that what is done now belongs to: that of the current span, else those of the batch."""
    span = current.get()
    return _causes.get() if span is None else (span.trace,)


def parse(traceparent: str | None) -> tuple[str, str] | None:
    """Trace id and parent span id, or None when the header is absent or malformed (it is then ignored)."""
    if traceparent is None or len(traceparent) < 55:
        return None
    parts = traceparent.split("-")
    if len(parts) < 4 or len(parts[1]) != 32 or len(parts[2]) != 16 or parts[1] == "0" * 32:
        return None
    return parts[1], parts[2]


def remote(traceparent: str) -> Span | None:
    """The span that a context names, for what is done under it elsewhere or later; it ended where it is."""
    named = parse(traceparent)
    return None if named is None else Span(named[0], named[1], None, "", "", "", 0.0)


class Tracer:
    """Makes spans and writes finished ones; counts those it had to drop."""

    def __init__(self, service: str, path: str | None, seed: int) -> None:
        self.dropped = 0
        self._service = service
        self._random = random.Random(f"{seed}/{service}/{os.getpid()}/{time.time_ns()}")
        self._fd = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644) if path else None
        self._waiting: list[bytes] = []
        self.over: Over = "all"
        self.tell: Callable[[Span], None] | None = None  # to the collector

    @property
    def tells_calls(self) -> bool:
        """Whether a collector hears of calls. Without a context over requests nobody knows of more than what
        was asked of itself."""
        return self.tell is not None and self.over != "none"

    def start(self, name: str, kind: str, traceparent: str | None = None) -> Span:
        """A span under `traceparent`, else under the current span, else a new trace. A design that hands no
        context on takes none either."""
        if self.over == "none" or (self.over == "http" and kind == CONSUMER):
            traceparent = None
        remote = parse(traceparent)
        parent = current.get() if remote is None else None
        if remote is not None:
            trace, parent_id = remote[0], remote[1]
        elif parent is not None:
            trace, parent_id = parent.trace, parent.span
        else:
            trace, parent_id = f"{self._random.getrandbits(128):032x}", None
        span_id = f"{self._random.getrandbits(64):016x}"
        return Span(trace, span_id, parent_id, self._service, name, kind, time.time())

    def past(
        self,
        name: str,
        start: float,
        ok: bool,
        attributes: dict[str, Any],
        kind: str = CLIENT,
        kept: bool = True,
    ) -> None:
        """A span that began at `start` (unix seconds) and ends now, under the current span. One that is not
        `kept` goes to the collector alone."""
        span = self.start(name, kind)
        span.start, span.attributes = start, attributes
        self.finish(span, ok, kept)

    def finish(self, span: Span, ok: bool = True, kept: bool = True) -> None:
        span.end = time.time()
        if not ok:
            span.status = "error"
        if self.tell is not None and (self.over != "none" or span.kind == SERVER):
            self.tell(span)
        if self._fd is None or not kept:
            return
        if len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
            return
        self._waiting.append(_encode(span))

    def flush(self) -> None:
        """Write what waits. A full disk costs spans, not requests."""
        if not self._waiting or self._fd is None:
            return
        lines, self._waiting = self._waiting, []
        try:
            os.write(self._fd, b"\n".join(lines) + b"\n")
        except OSError:
            self.dropped += len(lines)
