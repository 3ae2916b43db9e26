"""What is known about one run after it was judged: plain frozen values, stored as analysis.json, read by
reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from experiment.verdict import CheckResult, Verdict

Status = Literal["met", "not met", "no data"]


@dataclass(frozen=True, slots=True)
class ValidityCheck:
    """One condition a run must meet before anything may be claimed from it."""

    name: (
        str  # baseline_met, fault_observed, generator_kept_up, enough_operations, clean_up_verified, complete
    )
    ok: bool
    statement: str
    verdict_if_broken: Verdict = Verdict.INVALID


@dataclass(frozen=True, slots=True)
class JourneyPhase:
    """One journey in one phase. Latencies in seconds from the intended start; a percentile that the sample
    does not support is None. `errors` counts by kind. Operations belong to the phase of their intended
    start."""

    journey: str
    phase: str
    offered: int
    good: int
    acknowledged: int
    rejected: int
    indeterminate: int
    errors: Mapping[str, int]
    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None
    success_ratio: float | None
    offered_rate: float  # per second
    good_rate: float
    not_sent: int = 0  # what they needed had failed before; not among the offered
    histogram: tuple[tuple[int, int], ...] = ()  # of the latencies behind the percentiles, see `histogram`


@dataclass(frozen=True, slots=True)
class Timeline:
    """One-second buckets since the run's zero for one journey ("all" for all); None where a bucket is
    empty."""

    journey: str
    offered: tuple[int, ...]
    good: tuple[int, ...]
    errors: tuple[int, ...]
    p50: tuple[float | None, ...]
    p95: tuple[float | None, ...]
    p99: tuple[float | None, ...]
    q: tuple[float | None, ...]  # normalised by the baseline, 0..1; empty for a journey without a baseline
    max: tuple[float | None, ...] = ()  # the slowest, where a second holds too few for a percentile


@dataclass(frozen=True, slots=True)
class FaultWindow:
    """One activation as measured: from the injection to the verified heal, beside the planned times."""

    fault: str
    kind: str
    target: str
    planned_start: float
    planned_end: float
    start: float | None
    end: float | None
    observed: bool
    healed: bool
    statement: str
    existing_connections: str = ""
    end_statement: str = ""  # of the same measurement, made once more before the heal
    lasted: bool | None = None  # whether the effect was still seen then; None: not measured again

    @property
    def effect(self) -> str:
        """What was measured of it, at its begin and at its end."""
        if self.lasted is None:
            return self.statement
        if not self.lasted:
            return f"{self.statement}; not seen any more at its end: {self.end_statement}"
        if self.end_statement == self.statement:
            return f"{self.statement}, at its end too"
        return f"{self.statement}; at its end: {self.end_statement}"


@dataclass(frozen=True, slots=True)
class ExpectationResult:
    """One declared objective against its measurement."""

    phase: str
    journey: str
    figure: str  # success, p50, p95, p99, recovery
    bound: str  # ">= 99%"
    measured: float | None
    status: Status

    @property
    def name(self) -> str:
        """`pay p95 in fault`; `recovers` for the recovery, which is a check too."""
        return "recovers" if self.phase == "recovery" else f"{self.journey} {self.figure} in {self.phase}"


@dataclass(frozen=True, slots=True)
class RecoveryResult:
    """`seconds` after the last heal until Q held; None and `censored` when it never did within what was
    observed. Not `under_load`: there was too little load after the heal to tell."""

    seconds: float | None
    censored: bool
    budget: float
    statement: str
    under_load: bool = True


@dataclass(frozen=True, slots=True)
class Score:
    """The score of one run. `value` is None when the run is invalid; 0 when vetoed, then `without_veto` keeps
    the other figure. `interval` is the within-run 95% interval; `parts` are A, D, T, C, E in [0, 1]; a part
    that the run cannot show (no journey is independent of the fault) is None and its weight is shared out."""

    formula: str
    value: float | None
    without_veto: float | None
    parts: Mapping[str, float | None]
    interval: tuple[float, float] | None
    area_under_q: float | None  # mean of Q over fault and recovery, 0..1
    resilience_loss: float | None  # integral of 100 - 100 Q over fault and recovery, percent seconds
    veto: str = ""  # "3 orders shipped twice"
    failed: tuple[str, ...] = ()  # what made the run fail without a veto: properties and objectives


@dataclass(frozen=True, slots=True)
class WaiverUse:
    """A waiver of the scenario on the day of the run. `lifts`: it is in force, and what it names was
    violated."""

    invariant: str
    by: str
    until: str  # ISO date
    reason: str
    in_force: bool
    lifts: bool


@dataclass(frozen=True, slots=True)
class Analysis:
    """The judgement of one run."""

    verdict: Verdict
    vetoed: bool
    reasons: tuple[str, ...]  # the first one is the headline
    validity: tuple[ValidityCheck, ...]
    checks: tuple[CheckResult, ...]
    expectations: tuple[ExpectationResult, ...]
    journeys: tuple[JourneyPhase, ...]
    timelines: tuple[Timeline, ...]
    faults: tuple[FaultWindow, ...]
    recovery: RecoveryResult | None
    convergence_s: float | None  # after the last heal, see `Convergence`; None: never or not observed
    score: Score
    measures: Mapping[str, float | int | str | None] = field(default_factory=dict)
    waivers: tuple[WaiverUse, ...] = ()
