"""T9: an event is written in the transaction of the change it tells of, and published until acknowledged.

The relay publishes what this process has just committed from memory, and sweeps the table for what an
earlier process or a longer outage left there. Without the pattern (dual write) events wait in memory for a
moment, as in a producer's buffer, and are published once: what the bus does not take, or what waits when
the process dies, is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import Any

from reference_system.common import tracing
from reference_system.common.bus import Bus, BusUnavailable, Event, decode_event, encode_event
from reference_system.common.logs import Log
from reference_system.common.metrics import Metrics
from reference_system.common.store import Store, StoreUnavailable

BATCH = 256
SWEEP_EVERY_S = 1.0
LINGER_S = 0.1  # dual write: how long the buffer gathers
AFTER_FAILURE_S = 0.25
HELD_AT_MOST = 10_000  # with the outbox on; the table holds the rest

DDL = "CREATE TABLE IF NOT EXISTS outbox (id text PRIMARY KEY, event text NOT NULL)"


def insert(parameter: int, source: str) -> str:
    """SQL that writes the row of `Outbox.row`, parameter number `parameter`, once per row of the CTE
    `source`."""
    row = f"${parameter}::text[]"
    return (
        f"INSERT INTO outbox (id, event) SELECT ({row})[1], ({row})[2] FROM {source} WHERE {row} IS NOT NULL"
    )


def _traces(events: Iterable[Event]) -> list[str]:
    """Of the requests and events that these tell of."""
    named = (tracing.parse(event.traceparent) for event in events)
    return [one[0] for one in named if one is not None]


class Outbox:
    """Both ways to publish: a change writes `row(event)` in its own statement, and calls `committed`
    afterwards."""

    def __init__(self, store: Store, bus: Bus, log: Log, metrics: Metrics) -> None:
        self.enabled = False
        self.run = ""
        self._store = store
        self._bus = bus
        self._log = log
        self._metrics = metrics
        self.poll = LINGER_S
        self._buffer: deque[Event] = deque()
        self._wake = asyncio.Event()
        self._last = 0
        self._swept = 0.0

    def apply(self, enabled: bool, poll: float) -> None:
        self.enabled = enabled
        self.poll = poll

    def event(
        self, type_: str, key: str, at: float, body: dict[str, Any], version: int | None = None
    ) -> Event:
        """A new event of this run, in the trace of the current request; ids of one service sort by time."""
        self._last = max(self._last + 1, time.time_ns())
        span = tracing.current.get()
        traceparent = span.traceparent if span is not None else None
        return Event(
            f"{self._bus.service}-{self._last:020d}", self.run, type_, key, at, body, version, traceparent
        )

    def row(self, event: Event) -> list[str] | None:
        """What the change's own statement writes; None without the pattern."""
        return [event.id, encode_event(event).decode()] if self.enabled else None

    def committed(self, *events: Event) -> None:
        """The change is durable: publish."""
        if not self.enabled or len(self._buffer) < HELD_AT_MOST:
            self._buffer.extend(events)
        self._wake.set()

    async def relay(self) -> None:
        """Publishes for as long as the process lives; the only publisher of this service."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SWEEP_EVERY_S):
                    await self._wake.wait()
                await asyncio.sleep(self.poll if self.enabled else LINGER_S)
            self._wake.clear()
            try:
                while self._buffer:
                    await self._publish_buffer()
                if time.monotonic() - self._swept > SWEEP_EVERY_S:
                    while await self._sweep() == BATCH:
                        pass
                    self._swept = time.monotonic()
            except (BusUnavailable, StoreUnavailable) as error:
                self._give_up(str(error))
                await asyncio.sleep(AFTER_FAILURE_S)
                self._wake.set()

    async def _publish_buffer(self) -> None:
        batch = self._next()
        await self._bus.publish(batch)
        for event in batch:
            if self._buffer and self._buffer[0] is event:  # else a reset emptied it meanwhile
                self._buffer.popleft()
        if self.enabled:
            await self._forget([event.id for event in batch])

    def _next(self) -> list[Event]:
        return list(islice(self._buffer, BATCH))

    def _give_up(self, why: str) -> None:
        """With the outbox nothing is lost by a failure: it is tried again. Without it there is no second
        place."""
        if self.enabled or not self._buffer:
            with tracing.caused_by(_traces(self._next())):
                self._log.seldom("outbox waits", error=why)
            return
        self._metrics.count("events_lost", len(self._buffer))
        for event in self._buffer:
            with tracing.caused_by(_traces([event])):
                self._log.often("event lost", error=why, event=event.id, type=event.type)
        self._buffer.clear()

    async def _sweep(self) -> int:
        """Publish what the table holds though memory is empty: a repeat within two minutes is dropped by
        the bus."""
        rows = await self._store.rows("SELECT id, event FROM outbox ORDER BY id LIMIT $1", BATCH)
        if rows:
            await self._bus.publish([decode_event(row["event"]) for row in rows])
            await self._forget([row["id"] for row in rows])
        return len(rows)

    async def _forget(self, ids: list[str]) -> None:
        await self._store.run("DELETE FROM outbox WHERE id = ANY($1::text[])", ids)

    async def waiting(self) -> int:
        """Events not yet acknowledged by the bus."""
        row = await self._store.row("SELECT count(*) AS n FROM outbox")
        return max(len(self._buffer), int(row["n"]) if row else 0)

    def clear(self, run: str) -> None:
        self.run = run
        self._buffer.clear()
