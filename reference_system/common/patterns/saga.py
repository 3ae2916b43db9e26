"""T14: a durable saga: it is on record before its first step, and is driven until it completed or was
compensated.

The orchestrator knows no steps: it drives `advance(key)` again and again, in this process's lifetime and,
by `resume`, in the next one's after a crash.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, TypeVar

from reference_system.common import tracing

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 1.0

End = TypeVar("End")
Spawn = Callable[[Coroutine[Any, Any, Any], tracing.Span | None], "asyncio.Task[Any]"]


class Orchestrator(Generic[End]):
    """Drives at most one task per saga.

    `advance(key, uncertain)` runs one round: how the saga ended, or None to be called again later.
    `uncertain` says that an earlier attempt may have had an effect that nobody has seen.
    """

    def __init__(
        self, advance: Callable[[str, bool], Awaitable[End | None]], spawn: Spawn, rng: random.Random
    ) -> None:
        self._advance = advance
        self._spawn = spawn
        self._rng = rng
        self._running: dict[str, asyncio.Task[End | None]] = {}

    def start(self, key: str, uncertain: bool = False) -> asyncio.Task[End | None]:
        """The task that drives this saga; `uncertain` when an earlier process may have got somewhere."""
        task = self._running.get(key)
        if task is None:
            task = self._spawn(self._drive(key, uncertain), tracing.current.get())
            self._running[key] = task
            task.add_done_callback(lambda _: self._running.pop(key, None))
        return task

    async def wait(self, key: str, timeout: float | None) -> End | None:
        """How the saga ended, None when it goes on after `timeout` seconds."""
        task = self.start(key)
        await asyncio.wait({task}, timeout=timeout)
        return task.result() if task.done() and not task.cancelled() else None

    def resume(self, keys: list[str]) -> None:
        """After a crash: every saga on record that has not ended goes on; what it did before is not known."""
        for key in keys:
            self.start(key, uncertain=True)

    async def _drive(self, key: str, uncertain: bool) -> End | None:
        ceiling = FIRST_PAUSE_S
        while True:
            end = await self._advance(key, uncertain)
            if end is not None:
                return end
            uncertain = True
            await asyncio.sleep(self._rng.uniform(ceiling / 2, ceiling))
            ceiling = min(LONGEST_PAUSE_S, ceiling * 2)
