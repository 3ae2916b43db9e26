"""T9: an event is written in the transaction of the change it tells of, and published from there until
acknowledged.

Without the pattern (dual write) events wait in memory after the commit, as in a producer's buffer: what the
bus has
not acknowledged when the process dies is lost.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any
from uuid import uuid4

from reference_system.common import tracing
from reference_system.common.bus import Bus, BusUnavailable, Event, decode_event, encode_event
from reference_system.common.logs import Log
from reference_system.common.store import Store, StoreUnavailable

BATCH = 256
IDLE_LOOK_S = 1.0  # without a wake-up the table is looked at this often
LINGER_S = 0.1  # dual write: how long the buffer gathers
AFTER_FAILURE_S = 0.25

DDL = """
CREATE TABLE IF NOT EXISTS outbox (seq bigserial PRIMARY KEY, event bytea NOT NULL)
"""


class Outbox:
    """Both ways to publish. `statement` is the tail of the writing statement, `after` is called once it
    committed.

    With the pattern on, `row(event)` gives the bytes for the outbox table; with it off it gives None, and the
    writing statement inserts nothing.
    """

    def __init__(self, store: Store, bus: Bus, log: Log, enabled: bool, poll: float, run: str) -> None:
        self.enabled = enabled
        self.run = run
        self._store = store
        self._bus = bus
        self._log = log
        self._poll = poll
        self._buffer: deque[Event] = deque()
        self._wake = asyncio.Event()
        self._busy = False

    def apply(self, enabled: bool, poll: float) -> None:
        self.enabled = enabled
        self._poll = poll

    def event(
        self, type_: str, key: str, at: float, body: dict[str, Any], version: int | None = None
    ) -> Event:
        """A new event of this run, in the trace of the current request."""
        span = tracing.current.get()
        return Event(
            uuid4().hex,
            self.run,
            type_,
            key,
            at,
            body,
            version,
            span.traceparent if span is not None else None,
        )

    def row(self, event: Event) -> bytes | None:
        """What the change's own statement writes into `outbox.event`."""
        return encode_event(event) if self.enabled else None

    def committed(self, *events: Event) -> None:
        """The change is durable: publish. With the outbox on, this only wakes the relay."""
        if not self.enabled:
            self._buffer.extend(events)
        self._wake.set()

    async def relay(self) -> None:
        """Publishes for as long as the process lives; the only publisher of this service."""
        while True:
            try:
                async with asyncio.timeout(IDLE_LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            await asyncio.sleep(self._poll if self.enabled else LINGER_S)
            try:
                self._busy = True
                await self._publish_buffer()
                while await self._publish_table() == BATCH:
                    pass
            except (BusUnavailable, StoreUnavailable) as error:
                self._log.seldom("outbox waits", error=str(error))
                await asyncio.sleep(AFTER_FAILURE_S)
                self._wake.set()
            finally:
                self._busy = False

    async def _publish_buffer(self) -> None:
        while self._buffer:
            batch = [self._buffer[i] for i in range(min(BATCH, len(self._buffer)))]
            await self._bus.publish(batch)
            for _ in batch:
                if self._buffer:  # a reset may have emptied it meanwhile
                    self._buffer.popleft()

    async def _publish_table(self) -> int:
        rows = await self._store.rows("SELECT seq, event FROM outbox ORDER BY seq LIMIT $1", BATCH)
        if rows:
            await self._bus.publish([decode_event(row["event"]) for row in rows])
            await self._store.run(
                "DELETE FROM outbox WHERE seq = ANY($1::bigint[])", [row["seq"] for row in rows]
            )
        return len(rows)

    async def waiting(self) -> int:
        """Events not yet acknowledged by the bus."""
        row = await self._store.row("SELECT count(*) AS n FROM outbox")
        return len(self._buffer) + (int(row["n"]) if row else 0)

    def clear(self, run: str) -> None:
        self.run = run
        self._buffer.clear()
