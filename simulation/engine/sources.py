"""Open-loop sources: what checks and benchmarks begin with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulation.engine.clock import Clock, Occurrence
from simulation.engine.randomness import Sampler


class Source(Occurrence):
    """Calls `action(n)` for n = 0, 1, ... at intervals drawn from `gaps`, `count` times or until `end`."""

    __slots__ = ("_action", "_clock", "_gaps", "count", "end", "started")

    def __init__(
        self,
        clock: Clock,
        gaps: Sampler,
        action: Callable[[int], Any],
        count: int | None = None,
        end: float | None = None,
    ) -> None:
        self._clock = clock
        self._gaps = gaps
        self._action = action
        self.count = count
        self.end = end
        self.started = 0
        self.fire = Source._next
        clock.schedule_at(clock._now + next(gaps), self)

    def _next(self) -> None:
        number = self.started
        self.started = number + 1
        self._action(number)
        if self.count is not None and self.started >= self.count:
            return
        following = self._clock._now + next(self._gaps)
        if self.end is None or following <= self.end:
            self._clock.schedule_at(following, self)
