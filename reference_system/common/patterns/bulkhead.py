"""T4: at most so many calls at once on one link, a short queue before it, and a refusal at once beyond."""

from __future__ import annotations

import asyncio
from collections import deque

from reference_system.common.config import BulkheadPattern


class Bulkhead:
    """A bounded pool of permits. Without a pattern it is not there."""

    def __init__(self, pattern: BulkheadPattern | None) -> None:
        self.pattern = pattern
        self._used = 0
        self._queue: deque[asyncio.Future[None]] = deque()

    async def enter(self, timeout: float | None) -> bool:
        """Take a permit; False when the queue is full or the wait took longer than `timeout` seconds."""
        if self.pattern is None:
            return True
        if self._used < self.pattern.concurrent:
            self._used += 1
            return True
        if len(self._queue) >= self.pattern.queue:
            return False
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            async with asyncio.timeout(timeout):
                await turn
        except BaseException as stopped:
            if turn.done() and not turn.cancelled():
                self.leave()  # the permit came in the same instant: hand it on
            elif turn in self._queue:
                self._queue.remove(turn)
            if isinstance(stopped, TimeoutError):
                return False
            raise
        return True

    def leave(self) -> None:
        """Give the permit back, to the first in the queue when there is one."""
        if self.pattern is None:
            return
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._used -= 1
