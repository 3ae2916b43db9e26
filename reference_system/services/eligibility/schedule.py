"""When open inquiries are due again; in memory, with the store as its memory across a crash."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Awaitable, Callable
from typing import Any

AT_ONCE = 8  # repeats in flight: a backlog drains, it does not storm


class Schedule:
    """One due time per encounter; `put` moves it later or earlier, `drop` forgets it. Times are unix
    seconds."""

    def __init__(self, repeat: Callable[[str], Awaitable[None]], gate: Callable[[], bool]) -> None:
        self._repeat = repeat
        self._gate = gate  # False while the payer's breaker is open: nothing is started in vain
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._running = 0

    def put(self, encounter: str, due: float) -> None:
        self._due[encounter] = due
        heapq.heappush(self._heap, (due, encounter))

    def ensure(self, encounter: str, due: float) -> None:
        """As `put`, unless the encounter is on the schedule already."""
        if encounter not in self._due:
            self.put(encounter, due)

    def drop(self, encounter: str) -> None:
        self._due.pop(encounter, None)

    def clear(self) -> None:
        self._due.clear()
        self._heap.clear()

    def next_due(self, now: float) -> str | None:
        """Take one encounter that is due, None when none is."""
        while self._heap and self._heap[0][0] <= now:
            due, encounter = heapq.heappop(self._heap)
            if self._due.get(encounter) == due:
                del self._due[encounter]
                return encounter
        return None

    async def look(self, spawn: Callable[[Any], asyncio.Task[Any]]) -> None:
        """Start what is due, at most AT_ONCE at a time."""
        while (
            self._running < AT_ONCE and self._gate() and (encounter := self.next_due(time.time())) is not None
        ):
            self._running += 1
            # A task that is cancelled before its first step runs no `finally` of its own.
            spawn(self._one(encounter)).add_done_callback(self._ended)

    def _ended(self, _: asyncio.Task[Any]) -> None:
        self._running -= 1

    async def _one(self, encounter: str) -> None:
        try:
            await self._repeat(encounter)
        except Exception:
            self.put(encounter, time.time() + 1.0)  # the store was away: it stays on the schedule
            raise
