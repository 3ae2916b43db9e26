"""The link patterns: how the caller of a link protects itself. The harness's own words, for every system.

Every default is the fragile choice: a pattern that a design does not name is off.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from experiment.units import Duration, Share

MOST_ATTEMPTS = 100  # nobody waits for more


@dataclass(frozen=True, slots=True)
class Retry:
    """Another attempt after a failure.

    `attempts` counts all of them, the first included; `budget` caps retries as a share of requests (none:
    unlimited).
    """

    attempts: int = 3
    """All attempts, the first one included."""
    backoff: Duration = 0.0
    """The pause before the second attempt; it doubles with each further one."""
    cap: Duration = 1.0
    """The longest pause."""
    jitter: Literal["none", "full", "equal", "decorrelated"] = "none"
    """How pauses are spread by chance."""
    budget: Share | None = None
    """The most retries, as a share of requests; without it, there is no limit."""
    only_idempotent: bool = False
    """On where only a request is repeated that may be carried out twice, or certainly was not carried out."""

    def __post_init__(self) -> None:
        if not 1 <= self.attempts <= MOST_ATTEMPTS:
            raise ValueError(
                f"attempts {self.attempts}; expected 1 to {MOST_ATTEMPTS}, the first one included"
            )


@dataclass(frozen=True, slots=True)
class Breaker:
    """Opens after `failures` consecutive failures, lets one probe through after `open_for`."""

    failures: int = 5
    """It opens after this many failures in a row."""
    open_for: Duration = 2.0
    """How long it stays open before it lets one probe through."""

    def __post_init__(self) -> None:
        if self.failures < 1:
            raise ValueError(f"failures {self.failures}; expected 1 or more")
        if self.open_for <= 0:
            raise ValueError("open_for 0 s; expected a time for which it stays open")


@dataclass(frozen=True, slots=True)
class Bulkhead:
    """At most `concurrent` calls at once and `queue` waiting; more are refused at once."""

    concurrent: int = 16
    """The most calls at once."""
    queue: int = 32
    """The most calls that wait; more are refused at once."""

    def __post_init__(self) -> None:
        if self.concurrent < 1:
            raise ValueError(f"concurrent {self.concurrent}; expected 1 or more")
        if self.queue < 0:
            raise ValueError(f"queue {self.queue}; expected 0 or more")


@dataclass(frozen=True, slots=True)
class LinkPatterns:
    """How the caller of one link protects itself."""

    timeout: Duration | None = None
    """An attempt without an answer after this time has failed."""
    propagate_deadline: bool = False
    """On where the caller hands the time that is left of its own request's deadline to the callee."""
    retry: Retry | None = None
    """Another attempt after a failure."""
    breaker: Breaker | None = None
    """Stops calls after failures in a row."""
    bulkhead: Bulkhead | None = None
    """Bounds the calls at once."""

    def __post_init__(self) -> None:
        if self.timeout is not None and self.timeout <= 0:
            raise ValueError("timeout 0 s; expected a time in which an answer can come, or none")


LINK_PATTERNS = tuple(field.name for field in fields(LinkPatterns))
