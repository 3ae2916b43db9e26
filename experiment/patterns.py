"""The link patterns: how the caller of a link protects itself. The harness's own words, for every system.

Every default is the fragile choice: a pattern that a design does not name is off.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from experiment.units import Duration, Share


@dataclass(frozen=True, slots=True)
class Retry:
    """Another attempt after a failure.

    `attempts` counts all of them, the first included; `budget` caps retries as a share of requests (none:
    unlimited).
    """

    attempts: int = 3
    backoff: Duration = 0.0
    cap: Duration = 1.0
    jitter: Literal["none", "full", "equal", "decorrelated"] = "none"
    budget: Share | None = None
    only_idempotent: bool = False

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts {self.attempts}; expected 1 or more, the first one included")


@dataclass(frozen=True, slots=True)
class Breaker:
    """Opens after `failures` consecutive failures, lets one probe through after `open_for`."""

    failures: int = 5
    open_for: Duration = 2.0

    def __post_init__(self) -> None:
        if self.failures < 1:
            raise ValueError(f"failures {self.failures}; expected 1 or more")


@dataclass(frozen=True, slots=True)
class Bulkhead:
    """At most `concurrent` calls at once and `queue` waiting; more are refused at once."""

    concurrent: int = 16
    queue: int = 32

    def __post_init__(self) -> None:
        if self.concurrent < 1:
            raise ValueError(f"concurrent {self.concurrent}; expected 1 or more")
        if self.queue < 0:
            raise ValueError(f"queue {self.queue}; expected 0 or more")


@dataclass(frozen=True, slots=True)
class LinkPatterns:
    """How the caller of one link protects itself (switches T1 to T4)."""

    timeout: Duration | None = None
    propagate_deadline: bool = False
    retry: Retry | None = None
    breaker: Breaker | None = None
    bulkhead: Bulkhead | None = None


LINK_PATTERNS = tuple(field.name for field in fields(LinkPatterns))
