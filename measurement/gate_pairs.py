"""Paired runs of a baseline and a candidate, and how sure a look at them must be."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from scipy import stats

from measurement.histogram import Histogram

MIN_PAIRS = 3  # before the first look
CONFIRMED = 2  # runs of one scenario that must be invalid, or fail, beyond the baseline's
# O'Brien and Fleming's boundaries for 2.5% one-sided, by the largest number of looks they hold for (Jennison
# and Turnbull 2000, table 2.3); the last holds for any number: P(max B(t) > c) = 2 (1 - Phi(c)).
BOUNDARIES = ((1, 1.960), (7, 2.063), (20, 2.126), (math.inf, 2.2414))


@dataclass(frozen=True, slots=True)
class Side:
    """One run of a pair. `score` is None when the run was invalid; `good` of `offered` operations; `failed`:
    its verdict was fail; `lost_before`: earlier attempts at it that were invalid."""

    score: float | None
    vetoes: frozenset[str] = frozenset()  # names of violated safety invariants, in any attempt
    latency: Histogram = ()  # before any fault
    good: int = 0
    offered: int = 0
    failed: bool = False
    lost_before: int = 0
    present: bool = True  # False: there is no such run

    @property
    def lost(self) -> int:
        """Attempts that were invalid."""
        return self.lost_before + (self.present and self.score is None)


ABSENT = Side(None, present=False)


@dataclass(frozen=True, slots=True)
class PairedRun:
    """One scenario with one seed on both. `measured` False: the machine could not keep up, which says
    nothing about either. `unlike`: in what the two differ that a pair must share; empty: nothing."""

    scenario: str
    seed: int
    baseline: Side
    candidate: Side
    measured: bool = True
    unlike: str = ""

    @property
    def whole(self) -> bool:
        """Both were run."""
        return self.baseline.present and self.candidate.present


@dataclass(frozen=True, slots=True)
class Look:
    """Which look at the pairs this is: after `number` of at most `n_max`."""

    number: int = 1
    n_max: int = 1

    @property
    def last(self) -> bool:
        return self.number >= self.n_max

    @property
    def level(self) -> float:
        """One-sided, for a pass as for a regression; over all looks together 2.5% (O'Brien and Fleming 1979:
        the boundary of the sum is the same at every look), 3% with the t of so few pairs."""
        looks = 1 if self.n_max <= MIN_PAIRS else self.n_max
        boundary = next(value for most, value in BOUNDARIES if looks <= most)
        return float(stats.norm.sf(boundary * math.sqrt(max(1.0, self.n_max / self.number))))


def by_scenario(runs: Iterable[PairedRun]) -> dict[str, list[PairedRun]]:
    """In the order of appearance."""
    found: dict[str, list[PairedRun]] = {}
    for run in runs:
        found.setdefault(run.scenario, []).append(run)
    return found


def scores(runs: Iterable[PairedRun]) -> list[tuple[float, float]]:
    """(baseline, candidate) of the pairs in which both were valid."""
    return [
        (run.baseline.score, run.candidate.score)
        for run in runs
        if run.measured and run.baseline.score is not None and run.candidate.score is not None
    ]
