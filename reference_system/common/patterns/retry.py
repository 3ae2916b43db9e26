"""T2: another attempt after a failure: backoff, jitter, and a budget that caps retries as a share of
requests."""

from __future__ import annotations

import random

from reference_system.common.config import RetryPattern

BUDGET_CAP = 10.0  # retries that a quiet link may save up


class Retries:
    """Decides on one link whether and when a failed attempt is repeated."""

    def __init__(self, pattern: RetryPattern | None, rng: random.Random) -> None:
        self.pattern = pattern
        self._rng = rng
        self._tokens = 0.0

    def request(self) -> None:
        """A new logical request: it earns its share of a retry."""
        if self.pattern is not None and self.pattern.budget is not None:
            self._tokens = min(BUDGET_CAP, self._tokens + self.pattern.budget)

    def allowed(self, attempts_made: int, idempotent: bool) -> bool:
        """Whether the policy knows a further attempt; the budget is asked apart, by `spend`."""
        pattern = self.pattern
        if pattern is None or attempts_made >= pattern.attempts:
            return False
        return idempotent or not pattern.only_idempotent

    def spend(self) -> bool:
        """Take one retry from the budget; False when it is empty."""
        if self.pattern is None or self.pattern.budget is None:
            return True
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def pause(self, attempts_made: int, previous: float) -> float:
        """Seconds until the next attempt. `previous` is the last pause, for decorrelated jitter."""
        pattern = self.pattern
        if pattern is None or pattern.backoff <= 0:
            return 0.0
        ceiling: float = min(pattern.cap, pattern.backoff * 2 ** (attempts_made - 1))
        if pattern.jitter == "full":
            return self._rng.uniform(0, ceiling)
        if pattern.jitter == "equal":
            return ceiling / 2 + self._rng.uniform(0, ceiling / 2)
        if pattern.jitter == "decorrelated":
            return min(pattern.cap, self._rng.uniform(pattern.backoff, max(previous, pattern.backoff) * 3))
        return ceiling

    def reset(self) -> None:
        self._tokens = 0.0
