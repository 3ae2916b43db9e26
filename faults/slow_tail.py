"""A slow tail: the callee takes as long as a partner on a real day, now and then very long."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from math import log
from typing import ClassVar

from experiment.controls import Behaviour, BehaviourProbe, Controls, DrawnDelays, Effect
from experiment.units import Duration, Share
from faults.behaviour_measures import require_share, switched_off, touched
from faults.in_callees import InCallee

DRAWS = 512  # of one activation; after so many requests they come again in the same order
MOST_SIGMA = 3.0  # a thousandth of the draws is then above ten thousand times the median


@dataclass(frozen=True, slots=True)
class Tail:
    """The few that take much longer."""

    share: Share
    """The share of requests that are in the tail."""
    median: Duration
    """The median of how much longer these take."""
    sigma: float
    """How widely they are spread: the standard deviation of the logarithm."""

    def __post_init__(self) -> None:
        require_share(self.share)
        _require(self.median, self.sigma)


@dataclass(frozen=True, slots=True)
class SlowTail(InCallee):
    """Each request of this caller takes longer before its work is committed, by a time that is log-normal.
    The times are drawn from the seed when the run is planned: the n-th request takes the n-th."""

    kind: ClassVar[str] = "slow_tail"
    requires: ClassVar[str] = "drawn_delays"
    fault_class: ClassVar[str] = "slow"
    done: ClassVar[str] = "slowed down by a time that was drawn"
    # What came while it lasted is carried out when its own time has passed, be that after the heal.
    unbounded: ClassVar[tuple[str, ...]] = ("median",)

    median: Duration
    """The median of how much longer a request takes."""
    sigma: float
    """How widely the times are spread: the standard deviation of the logarithm."""
    tail: Tail | None = None
    """A share of requests that take much longer, by times of their own."""
    delays_s: tuple[float, ...] = field(default=(), metadata={"internal": True})

    def __post_init__(self) -> None:
        _require(self.median, self.sigma)

    def drawn(self, rng: random.Random) -> SlowTail:
        """The same with its times, in whole milliseconds."""
        return replace(self, delays_s=tuple(round(self._draw(rng), 3) for _ in range(DRAWS)))

    def _draw(self, rng: random.Random) -> float:
        apart = self.tail is not None and rng.random() < self.tail.share
        median, sigma = (
            (self.tail.median, self.tail.sigma) if apart and self.tail else (self.median, self.sigma)
        )
        return rng.lognormvariate(log(median), sigma)

    @property
    def behaviour(self) -> Behaviour:
        return DrawnDelays(self.delays_s)

    def measure(self, controls: Controls, target: str) -> BehaviourProbe:
        """What the callee says of itself."""
        return controls.behaviour(target).probe(DrawnDelays)

    def judge(self, before: object, during: object) -> Effect:
        """The callee counted requests that it touched."""
        return touched(before, during, self.done)

    def gone(self, before: object, after: object) -> Effect:
        """The callee says that it is off."""
        return switched_off(before, after)


def _require(median: float, sigma: float) -> None:
    if median <= 0:
        raise ValueError(f"a median of {median:g} s; expected a time above 0")
    if not 0 < sigma <= MOST_SIGMA:
        raise ValueError(f"a sigma of {sigma:g}; expected more than 0 and at most {MOST_SIGMA:g}")
