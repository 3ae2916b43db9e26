"""From the bytes of a message to its acknowledgement: judged, stored with its outcome, applied."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Literal
from uuid import uuid4

import msgspec

from reference_system.common import tracing
from reference_system.common.store import Store
from reference_system.services.hl7_gateway import statements
from reference_system.services.hl7_gateway.acknowledgements import acknowledgement
from reference_system.services.hl7_gateway.delivering import Deliveries, Waiting
from reference_system.services.hl7_gateway.messages import (
    Header,
    Reading,
    Thing,
    fingerprint,
    header_of,
    read,
)
from reference_system.services.hl7_gateway.resources import Delivery, deliveries

UNKNOWN = "unknown"  # the sender of what has no header


class Switches(msgspec.Struct, frozen=True):
    """What the gateway obeys."""

    hl7_ack: Literal["on_receipt", "after_store"]
    dead_letters: bool
    hl7_batch: Literal["nightly", "streaming"]
    dedupe: bool
    outbox: bool


class Order:
    """Lets one at a time go on with each name, in the order in which they came."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def of(self, *names: str) -> AsyncIterator[None]:
        """Hold these names, taken in an order that lets no two wait for one another."""
        taken: list[asyncio.Lock] = []
        wanted = sorted(set(names))
        try:
            for name in wanted:
                lock, users = self._locks.get(name, (asyncio.Lock(), 0))
                self._locks[name] = lock, users + 1
                try:
                    await lock.acquire()
                except BaseException:
                    self._leave(name)
                    raise
                taken.append(lock)
            yield
        finally:
            for name, lock in zip(wanted, taken, strict=False):
                lock.release()
                self._leave(name)

    def _leave(self, name: str) -> None:
        lock, users = self._locks.pop(name)
        if users > 1:
            self._locks[name] = lock, users - 1


class Intake:
    """Takes messages in. With `after_store` the acknowledgement is given when the message, its outcome and
    what it changes are committed, in one statement; with `on_receipt` before any of it."""

    def __init__(self, store: Store, waiting: Deliveries, calls: Callable[[str], bool]) -> None:
        """`calls` says whether a service takes part in the run."""
        self._store = store
        self._deliveries = waiting
        self._calls = calls
        self._order = Order()
        self._held: deque[tuple[bytes, str, str]] = deque()
        self.switches: Switches

    def follow(self, switches: Switches) -> None:
        """Obey a design from now on."""
        self.switches = switches
        self._deliveries.durable, self._deliveries.keeps_refused = switches.outbox, switches.dead_letters

    @property
    def waiting(self) -> int:
        """Messages that were acknowledged and are in memory alone."""
        return len(self._held)

    def forget(self) -> None:
        self._held.clear()

    async def take(self, content: bytes, origin: str, fault: str = "") -> tuple[str, bytes]:
        """Store and apply; the outcome and the acknowledgement. `fault` of its frame or its file is one of
        the message. Raises StoreUnavailable: then nothing may be acknowledged."""
        reading = Reading(header_of(content) or Header(), "AR", fault) if fault else read(content)
        header, switches, asked = reading.header, self.switches, self._asked(reading)
        kept = switches.dead_letters or (switches.hl7_ack == "after_store" and reading.code == "AR")
        ack = acknowledgement(header, reading.code, reading.reason)
        sender = header.sender or UNKNOWN
        # Of one message and of one patient there is never more than one on its way into the store.
        async with self._order.of(f"m {sender} {header.control}", f"p {reading.patient}"):
            id_, context = f"hl7-{uuid4().hex}", _context()
            row = await self._store.row(
                statements.TAKE,
                id_,
                sender,
                header.control,
                header.kind,
                reading.patient,
                origin,
                time.time(),
                reading.sent_at,
                fingerprint(content),
                content,
                reading.code,
                reading.reason,
                ack,
                switches.dedupe,
                kept,
                *_columns(reading, asked),
                context,
                switches.outbox,
            )
            assert row is not None
            self._deliveries.add(_waiting(id_, reading.patient, context, asked, row["kept"]))
        if row["reused"]:
            return row["status"], acknowledgement(header, "AE", "MSH-10 was used for another message")
        return row["status"], row["ack"] if row["status"] == "duplicate" else ack

    def hold(self, content: bytes, origin: str) -> None:
        """Keep in memory what was acknowledged on receipt, in the trace of now."""
        self._held.append((content, origin, _context()))

    async def work_off(self) -> int:
        """Store and apply what is held; how many. Raises StoreUnavailable."""
        count = 0
        while self._held:
            content, origin, context = self._held[0]
            token = tracing.current.set(tracing.remote(context))
            try:
                await self.take(content, origin)
            finally:
                tracing.current.reset(token)
            self._held.popleft()
            count += 1
        return count

    async def replay(self, id_: str, content: bytes | None) -> str | None:
        """Apply a dead letter after all, with other content in its place where there is any. Returns why
        not, or None; raises KeyError where there is no such dead letter, StoreUnavailable."""
        letter = await self._store.row(statements.DEAD_LETTER, id_)
        if letter is None:
            raise KeyError(id_)
        raw = letter["raw"] if content is None else content
        reading = read(raw)
        if reading.code != "AA":
            return reading.reason
        if (
            reading.header.control != letter["control"]
            or (reading.header.sender or UNKNOWN) != letter["sender"]
        ):
            return "it is another message: MSH-3, MSH-4 or MSH-10 differ"
        asked, context = self._asked(reading), _context()
        async with self._order.of(f"p {reading.patient}"):
            now = time.time()
            facts = (reading.header.kind, reading.patient, now, reading.sent_at, fingerprint(raw), raw)
            columns = (*_columns(reading, asked), context, self.switches.outbox)
            row = await self._store.row(statements.REPLAY, id_, *facts, *columns)
            if row is None:
                raise KeyError(id_)
            self._deliveries.again(id_, _waiting(id_, reading.patient, context, asked, row["kept"]))
        return None

    def _asked(self, reading: Reading) -> tuple[Delivery, ...]:
        """What the message asks of services that take part."""
        return tuple(one for one in deliveries(reading) if self._calls(one.callee))


def _context() -> str:
    """The trace in which deliveries are made: the one that the gateway is in now."""
    span = tracing.current.get()
    return span.traceparent if span is not None else ""


def _columns(reading: Reading, asked: Sequence[Delivery]) -> tuple[list[str], ...]:
    """The arrays of the things that a message sets, what it asks of others among them, and of the latter."""
    things = [*reading.things, *(Thing(one.callee, one.key, one.status, "") for one in asked)]
    return (
        [thing.kind for thing in things],
        [thing.key for thing in things],
        [thing.status for thing in things],
        [thing.value for thing in things],
        [one.callee for one in asked],
        [one.key for one in asked],
        [one.what for one in asked],
        [one.body.decode() for one in asked],
    )


def _waiting(
    id_: str, patient: str, context: str, asked: Sequence[Delivery], kept: Sequence[str]
) -> list[Waiting]:
    """What is to be delivered: an older message than the one that is known asks for nothing any more."""
    return [
        Waiting(id_, patient, one.callee, one.key, one.what, one.body, context)
        for one in asked
        if f"{one.callee} {one.key}" in kept
    ]
