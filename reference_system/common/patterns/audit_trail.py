"""T24: every access leaves an event in the audit, numbered by the service that saw it.

Best effort: the event is sent behind the answer; what audit does not take is lost, and its number is
missing. With the spool the event is durable here before anything is shown, and is sent until audit has it; a
full spool refuses further reads.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from reference_system.common import fhir
from reference_system.common.group import Grouped
from reference_system.common.link import CallFailed, Link
from reference_system.common.logs import Log
from reference_system.common.metrics import Metrics
from reference_system.common.store import Store, StoreUnavailable

DDL = "CREATE TABLE IF NOT EXISTS audit_spool (seq bigint PRIMARY KEY, event bytea NOT NULL)"
BATCH = 200
LINGER_S = 0.002  # events that come together share one statement
SHIP_LINGER_S = 0.05
LOOK_AGAIN_S = 1.0
AFTER_FAILURE_S = 0.25

Event = Callable[[int], fhir.Resource]  # an AuditEvent, once it has its number
OfRun = Callable[[Callable[[], Coroutine[Any, Any, bool]]], Coroutine[Any, Any, bool | None]]
Spawn = Callable[[Coroutine[Any, Any, Any]], Any]
FULL = "the audit spool is full: nothing more is shown until audit has taken what waits"


class AuditTrail:
    """Numbers events from 1 in each run. `record` returns when the design lets the answer go out."""

    def __init__(self, link: Link, store: Store, log: Log, metrics: Metrics, spawn: Spawn) -> None:
        self._link = link
        self._store = store
        self._log = log
        self._metrics = metrics
        self._spawn = spawn
        self._durable = False
        self._limit: int | None = None
        self._last = self._sent = 0
        self._pending = 0
        self._sure = True  # whether `_last` is what the table holds
        self._lines: Grouped[Event, None] = Grouped(self._write, LINGER_S)
        self._wake = asyncio.Event()

    def apply(self, durable: bool, limit: int | None) -> None:
        self._durable = durable
        self._limit = limit

    def clear(self) -> None:
        """A new run: numbers begin anew."""
        self._last = self._sent = self._pending = 0
        self._sure = True
        self._lines = Grouped(self._write, LINGER_S)

    async def opened(self) -> None:
        """Go on where the process before this one ended. Raises StoreUnavailable."""
        row = await self._store.row("SELECT min(seq) AS first, max(seq) AS last FROM audit_spool")
        if row is not None and row["last"] is not None:
            self._last, self._sent = int(row["last"]), int(row["first"]) - 1

    @property
    def waiting(self) -> int:
        """Events that audit does not have yet."""
        return self._last - self._sent + self._pending if self._durable else 0

    async def record(self, event: Event) -> None:
        """Raises Refused 503 when the spool is full, and StoreUnavailable: then nothing may be shown."""
        if not self._durable:
            self._last += 1
            self._spawn(self._send([event(self._last)]))
            return
        if self._limit is not None and self.waiting >= self._limit:
            self._metrics.count("reads_refused_by_audit")
            raise fhir.Refused(503, FULL, fhir.NOT_DONE)
        self._pending += 1
        try:
            await self._lines.add(event)
        finally:
            self._pending = max(0, self._pending - 1)
        self._wake.set()

    async def _write(self, events: list[Event]) -> list[None]:
        """Number the events and keep them. After a failure the table says which numbers were used."""
        if not self._sure:
            row = await self._store.row("SELECT max(seq) AS last FROM audit_spool")
            self._last = max(self._sent, int(row["last"] or 0) if row is not None else 0)
            self._sure = True
        numbers = [self._last + place for place, _ in enumerate(events, 1)]
        lines = [fhir.encode(event(number)) for number, event in zip(numbers, events, strict=True)]
        self._sure = False
        await self._store.run(
            "INSERT INTO audit_spool (seq, event) SELECT * FROM unnest($1::bigint[], $2::bytea[])",
            numbers,
            lines,
        )
        self._last, self._sure = numbers[-1], True
        return [None] * len(events)

    async def _send(self, events: list[fhir.Resource]) -> bool:
        """Whether audit has them now."""
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": e} for e in events]}
        try:
            reply = await self._link.call("POST", "/fhir/AuditEvent", bundle)
            why = f"audit answered {reply.status}"
        except CallFailed as error:
            reply, why = None, str(error)
        if reply is not None and reply.status in (200, 201):
            return True
        if not self._durable:
            self._metrics.count("audit_events_lost", len(events))
        self._log.seldom("audit does not take events", error=why, waiting=self.waiting)
        return False

    async def ship(self, of_run: OfRun) -> None:
        """Sends what the spool holds, in order, for as long as the process lives."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN_S):
                    await self._wake.wait()
                await asyncio.sleep(SHIP_LINGER_S)
            self._wake.clear()
            while self._durable and self._sent < self._last:
                if not await of_run(self._ship_batch):
                    await asyncio.sleep(AFTER_FAILURE_S)

    async def _ship_batch(self) -> bool:
        try:
            rows = await self._store.rows(
                "SELECT seq, event FROM audit_spool WHERE seq > $1 ORDER BY seq LIMIT $2", self._sent, BATCH
            )
            if not rows:
                return False
            if not await self._send([fhir.decode(row["event"]) for row in rows]):
                return False
            self._sent = int(rows[-1]["seq"])
            # The last one stays: it says how far the numbers got.
            await self._store.run("DELETE FROM audit_spool WHERE seq < $1", self._sent)
        except StoreUnavailable as error:
            self._log.seldom("audit spool waits", error=str(error))
            return False
        return True
