"""T5: refuse at once what cannot be served in time: a bound on requests in flight and on their rate."""

from __future__ import annotations

import time
from collections.abc import Callable

from reference_system.common.switches import Admission

RETRY_AFTER_S = 1
BURST_S = 0.5  # how long a burst above the rate is let through


class Shedding:
    """Admission at a service's front; admits everything when the design has neither bound."""

    def __init__(self, switches: Admission, clock: Callable[[], float] = time.monotonic) -> None:
        self.switches = switches
        self._concurrent = switches.shedding.concurrent if switches.shedding else None
        self._rate = switches.max_rate
        self._clock = clock
        self._tokens = (self._rate or 0.0) * BURST_S
        self._at = clock()

    def admits(self, in_flight: int) -> bool:
        if self._concurrent is not None and in_flight >= self._concurrent:
            return False
        if self._rate is None:
            return True
        now = self._clock()
        self._tokens = min(max(1.0, self._rate * BURST_S), self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
