"""What a comparison of designs is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from experiment.plain_text import Plain
from experiment.verdict import Verdict
from measurement.statistics import Estimate, MedianTime, PairedDifference, Share


@dataclass(frozen=True, slots=True)
class SafetyFigures:
    """One safety property over runs: how many of `exposed` things violated it in all of them, and in how many
    runs any did."""

    name: str  # the name of the property
    violations: int  # how many things violated it, in all runs
    exposed: int  # how many things could have, in all runs
    runs: Share  # in how many runs any did


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """One run of a design in a scenario."""

    seed: int  # its seed
    verdict: Verdict  # how it came out
    link: str  # where its page is, beside the comparison's; empty: not known
    vetoed: bool = False  # whether a safety property was violated


@dataclass(frozen=True, slots=True)
class Difference:
    """What two designs say about one switch of one service or link."""

    what: str  # the service or link, and the switch
    first: str  # the value in the first design
    other: str  # the value in the other one


@dataclass(frozen=True, slots=True)
class DesignDifferences:
    """What differs between the first design and another one."""

    design: str  # the other design
    against: str  # the first design
    differences: tuple[Difference, ...]  # every switch that differs


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignFigures:
    """One design over runs. Costs: calls between services and CPU for each client operation, p95 in the
    baseline (of merged runs), and what that is above the first design's with the same seeds (None of the
    first itself). `stale_s` is the largest lag of all runs; it and `staleness` are None where no property
    bounds staleness."""

    design: str  # the name of the design
    score: Estimate | None  # the mean score with its interval; none: no run was scored
    vetoes: int  # runs with a violated safety property
    vetoed_by: tuple[tuple[str, int], ...]  # each violated safety property, with its number of runs
    invalid: int  # runs that are invalid
    safety: tuple[SafetyFigures, ...]  # the safety properties that something was exposed to
    stale_s: float | None  # the largest lag of a read, in seconds; none: no property bounds it
    staleness: Estimate | None  # the mean of the runs' largest lags, in seconds
    repair_s: Estimate | None
    """Seconds until a scripted operator who follows telemetry has found the fault; none: no run asks."""
    calls: Estimate | None  # calls between services for each client operation
    cpu_ms: Estimate | None  # CPU milliseconds of the services for each client operation
    baseline_p95_s: Estimate | None  # p95 of all journeys before the fault, in seconds
    added_p95_s: Estimate | None
    """What that is above the first design's with the same seeds, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignInScenario(DesignFigures):
    """One design in one scenario over all seeds."""

    scenario: str  # the name of the scenario
    runs: int  # how many runs there are
    recovery: MedianTime | None  # the median time to recover, in seconds
    verdict: Verdict  # the worst of its runs
    verdicts: tuple[ComparedRun, ...]  # every run


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignSummary(DesignFigures):
    """One design over all scenarios. The unit of every interval but those of `safety` (runs) is the seed, as
    of the score: costs differ between scenarios, which is not uncertainty."""

    title: str  # what the design does otherwise


@dataclass(frozen=True, slots=True)
class EffectSize:
    """A design against the first one, in points of score, paired by seed; `scenario` "all" is the mean of
    all."""

    scenario: str  # the scenario; `all` for the mean of all
    design: str  # the name of the design
    against: str  # the first design
    difference: PairedDifference  # the difference in points of score


@dataclass(frozen=True, slots=True)
class ComparisonReport(Plain):
    """`words` say what the winner wins and pays. `sources` are the runtimes of the runs."""

    name: str  # what the comparison is called
    started_at: str  # when it started, as ISO 8601
    command: str  # the command that runs it again
    sources: tuple[str, ...]  # the runtimes of the runs
    scenarios: tuple[str, ...]  # the names of the scenarios
    designs: tuple[DesignSummary, ...]  # each design over all scenarios
    cells: tuple[DesignInScenario, ...]  # each design in each scenario
    effects: tuple[EffectSize, ...]  # each design against the first one
    words: tuple[str, ...]  # what the winner wins and pays
    screened: tuple[str, ...] = ()  # designs that the simulation left out, with why
    machine: Mapping[str, str] | None = None  # the machine and its software, by name
    git: str = ""  # the commit of the project
    alike: tuple[str, ...] = ()  # designs whose services obeyed the very same, in a sentence for each pair
    differences: tuple[DesignDifferences, ...] = ()  # what differs between the first design and each other
    unclean: tuple[str, ...] = ()  # folders of runs after which something was left injected
