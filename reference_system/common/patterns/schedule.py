"""What is due when: in memory, with the store as its memory across a crash."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Awaitable, Callable
from typing import Any

AT_ONCE = 8  # repeats in flight: a backlog drains, it does not storm


class Schedule:
    """One due time per key; `put` moves it later or earlier, `drop` forgets it. Times are unix seconds."""

    def __init__(
        self, repeat: Callable[[str], Awaitable[None]], gate: Callable[[], bool], at_once: int = AT_ONCE
    ) -> None:
        self._repeat = repeat
        self._gate = gate  # False while the callee's breaker is open: nothing is started in vain
        self._at_once = at_once
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._running = 0

    def put(self, key: str, due: float) -> None:
        self._due[key] = due
        heapq.heappush(self._heap, (due, key))

    def ensure(self, key: str, due: float) -> None:
        """As `put`, unless the key is on the schedule already."""
        if key not in self._due:
            self.put(key, due)

    def drop(self, key: str) -> None:
        self._due.pop(key, None)

    def clear(self) -> None:
        self._due.clear()
        self._heap.clear()

    def next_due(self, now: float) -> str | None:
        """Take one key that is due, None when none is."""
        while self._heap and self._heap[0][0] <= now:
            due, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                del self._due[key]
                return key
        return None

    async def look(self, spawn: Callable[[Any], asyncio.Task[Any]]) -> None:
        """Start what is due, at most so many at a time."""
        while (
            self._running < self._at_once and self._gate() and (key := self.next_due(time.time())) is not None
        ):
            self._running += 1
            # A task that is cancelled before its first step runs no `finally` of its own.
            spawn(self._one(key)).add_done_callback(self._ended)

    def _ended(self, _: asyncio.Task[Any]) -> None:
        self._running -= 1

    async def _one(self, key: str) -> None:
        try:
            await self._repeat(key)
        except Exception:
            self.put(key, time.time() + 1.0)  # the store was away: it stays on the schedule
            raise
