"""T3: a circuit breaker: closed, open after consecutive failures, half open for one probe at a time."""

from __future__ import annotations

import time
from collections.abc import Callable

from reference_system.common.config import BreakerPattern
from reference_system.common.metrics import LinkCounters


class Breaker:
    """Guards one link. Without a pattern it lets everything through and keeps no state."""

    def __init__(
        self,
        pattern: BreakerPattern | None,
        counters: LinkCounters,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pattern = pattern
        self._counters = counters
        self._clock = clock
        self._failures = 0
        self._opened_at: float | None = None
        self._probing = False
        counters.breaker_state = "closed"

    @property
    def lets_through(self) -> bool:
        """Whether `allow` would say yes; asking changes nothing."""
        if self.pattern is None or self._opened_at is None:
            return True
        return not self._probing and self._clock() - self._opened_at >= self.pattern.open_for

    def allow(self) -> bool:
        """Whether a call may go out now; a True while half open is the one probe and must be answered for."""
        if not self.lets_through:
            self._counters.short_circuited += 1
            return False
        if self._opened_at is not None:
            self._probing = True
            self._counters.breaker_state = "half_open"
        return True

    def succeeded(self) -> None:
        self._failures = 0
        if self._opened_at is not None:
            self._opened_at = None
            self._probing = False
            self._counters.breaker_state = "closed"

    def failed(self) -> None:
        if self.pattern is None:
            return
        self._failures += 1
        if self._probing or (self._opened_at is None and self._failures >= self.pattern.failures):
            if not self._probing:
                self._counters.breaker_openings += 1
            self._opened_at = self._clock()
            self._probing = False
            self._counters.breaker_state = "open"

    def abandoned(self) -> None:
        """The call was given up without learning anything of the callee (its caller went away)."""
        if self._probing:
            self._probing = False
            self._counters.breaker_state = "open"
