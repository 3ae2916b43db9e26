"""What a caller does about failure: backoff, retry budget, circuit breaker, bulkhead. State without a clock.

Backoff and jitter follow the AWS architecture blog, "Exponential Backoff And Jitter" (2015).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from simulation.engine.attempts import Attempt
from simulation.engine.failures import Failure
from simulation.engine.randomness import Sampler

Jitter = Literal["none", "equal", "full", "decorrelated"]


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before retry n = 1, 2, ...: the exponential part is base * 2 ** (n - 1 + offset).

    A base of 0 retries at once. `offset` is 1 in the AWS simulator, which counts the first try too.
    """

    base: float = 0.0
    cap: float = 1.0
    jitter: Jitter = "none"
    offset: int = 0

    def delay(self, retry: int, previous: float, uniform: Sampler) -> float:
        """`previous` is the wait before the last retry, 0 before the first; only decorrelated jitter asks."""
        if self.base == 0.0:
            return 0.0
        if self.jitter == "decorrelated":
            low, high = self.base, (previous or self.base) * 3
            return min(self.cap, low + (high - low) * next(uniform))
        whole = min(self.cap, self.base * 2.0 ** (retry - 1 + self.offset))
        if self.jitter == "full":
            return whole * next(uniform)
        if self.jitter == "equal":
            return whole / 2 + whole / 2 * next(uniform)
        return whole


class RetryBudget:
    """A token bucket: every request puts in `ratio`, every retry takes 1. It starts full unless told."""

    __slots__ = ("denied", "ratio", "size", "tokens")

    def __init__(self, ratio: float, size: float, start: float | None = None) -> None:
        self.ratio = ratio
        self.size = size
        self.tokens = size if start is None else start
        self.denied = 0

    def request(self) -> None:
        self.tokens = min(self.size, self.tokens + self.ratio)

    def take(self) -> bool:
        if self.tokens >= 1.0:
            self.tokens -= 1.0
            return True
        self.denied += 1
        return False


class CircuitBreaker:
    """Closed; open after `failures` in a row; half open after `open_for`, when one probe is let through."""

    __slots__ = ("failed", "failures", "open_for", "opened_at", "openings", "probing", "state")

    def __init__(self, failures: int, open_for: float) -> None:
        self.failures = failures
        self.open_for = open_for
        self.failed = 0
        self.openings = 0
        self.opened_at = 0.0
        self.probing = False
        self.state: Literal["closed", "open", "half_open"] = "closed"

    def allows(self, now: float) -> bool:
        """Whether a call may go out now; a true answer in the half-open state is the probe."""
        if self.state == "closed":
            return True
        if self.state == "open" and now >= self.opened_at + self.open_for:
            self.state = "half_open"
            self.probing = False
        if self.state == "half_open" and not self.probing:
            self.probing = True
            return True
        return False

    def succeeded(self) -> None:
        self.failed = 0
        self.state = "closed"

    def failed_at(self, now: float) -> None:
        self.failed += 1
        if self.state == "half_open":  # the probe failed: it was never closed, so it does not open anew
            self.state = "open"
            self.opened_at = now
        elif self.state == "closed" and self.failed >= self.failures:
            self.state = "open"
            self.opened_at = now
            self.openings += 1

    def lets_through(self, now: float) -> bool:
        """Whether `allows` would say yes; asking changes nothing."""
        if self.state == "open":
            return now >= self.opened_at + self.open_for
        return self.state == "closed" or not self.probing


class Bulkhead:
    """At most `concurrent` attempts at once and `queue` waiting; more are refused."""

    __slots__ = ("concurrent", "in_use", "queue", "waiting")

    def __init__(self, concurrent: int, queue: int) -> None:
        self.concurrent, self.queue = concurrent, queue
        self.in_use = 0
        self.waiting: deque[Attempt] = deque()

    def release(self) -> None:
        """A slot is free: the first one still waiting takes it."""
        while self.waiting:
            attempt = self.waiting.popleft()
            if attempt.live:
                attempt.channel.enter(attempt)
                return
        self.in_use -= 1


@dataclass(slots=True)
class Protection:
    """What a caller does on one link; it holds state, so that each channel needs its own.

    `timeout` None waits for ever. `attempts` counts all, the first included. Channels may share a `bulkhead`.
    `may_repeat(request, error)` says whether a request may be sent again, `left(request)` how many seconds
    remain before its own deadline (None: it has none).
    """

    timeout: float | None = None
    attempts: int = 1
    backoff: Backoff = field(default_factory=Backoff)
    budget: RetryBudget | None = None
    breaker: CircuitBreaker | None = None
    bulkhead: Bulkhead | None = None
    may_repeat: Callable[[Any, Failure], bool] | None = None
    left: Callable[[Any], float | None] | None = None
