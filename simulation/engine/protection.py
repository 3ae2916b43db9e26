"""What a caller does about failure on one link, as one value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from simulation.engine.bulkheads import Bulkhead
from simulation.engine.policies import Backoff, CircuitBreaker, RetryBudget


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
    may_repeat: Callable[[Any, str], bool] | None = None
    left: Callable[[Any], float | None] | None = None
