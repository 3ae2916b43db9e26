"""What a comparison of designs is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from measurement.statistics import Estimate, MedianTime, PairedDifference, Share


@dataclass(frozen=True, slots=True)
class SafetyFigures:
    """One safety property over runs: how many of `exposed` things violated it in all of them, and in how many
    runs any did."""

    name: str
    violations: int
    exposed: int
    runs: Share


@dataclass(frozen=True, slots=True)
class DesignInScenario:
    """One design in one scenario over all seeds. `score` is None when no run was scored. `safety` has the
    properties that something was exposed to. `stale_s` is the largest lag of all runs, `staleness` the mean
    of the runs' largest; both are None where no property bounds staleness. Costs are as in
    `DesignSummary`."""

    scenario: str
    design: str
    runs: int
    invalid: int
    vetoes: int
    score: Estimate | None
    recovery: MedianTime | None
    safety: tuple[SafetyFigures, ...]
    stale_s: float | None
    staleness: Estimate | None
    calls: Estimate | None
    cpu_ms: Estimate | None
    baseline_p95_s: Estimate | None
    added_p95_s: Estimate | None = None


@dataclass(frozen=True, slots=True)
class DesignSummary:
    """One design over all scenarios. Costs: calls between services and CPU for each client operation, p95 in
    the baseline (of merged runs), and what that is above the first design's with the same seeds (None of the
    first itself). The unit of every interval but those of `safety` (runs) is the seed, as of the score:
    costs differ between scenarios, which is no uncertainty."""

    design: str
    title: str
    score: Estimate | None
    vetoes: int
    invalid: int
    safety: tuple[SafetyFigures, ...]
    stale_s: float | None
    staleness: Estimate | None
    calls: Estimate | None
    cpu_ms: Estimate | None
    baseline_p95_s: Estimate | None
    added_p95_s: Estimate | None = None


@dataclass(frozen=True, slots=True)
class EffectSize:
    """A design against the first one, in points of score, paired by seed; `scenario` "all" is the mean of
    all."""

    scenario: str
    design: str
    against: str
    difference: PairedDifference


@dataclass(frozen=True, slots=True)
class ComparisonReport:
    """`words` say what the winner wins and pays. `sources` are the runtimes of the runs."""

    name: str
    started_at: str
    command: str
    sources: tuple[str, ...]
    scenarios: tuple[str, ...]
    designs: tuple[DesignSummary, ...]
    cells: tuple[DesignInScenario, ...]
    effects: tuple[EffectSize, ...]
    words: tuple[str, ...]
    screened: tuple[str, ...] = ()  # designs that the simulation left out, with why
    machine: Mapping[str, str] | None = None
    git: str = ""
    unclean: tuple[str, ...] = ()  # folders of runs after which something was left injected
