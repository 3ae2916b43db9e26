"""What is known about one run after it was judged: plain frozen values, stored as analysis.json, read by
reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from experiment.units import noun
from experiment.verdict import CheckResult, Verdict
from measurement.localisation import Localisation

Status = Literal["met", "not met", "undecided", "no data"]


@dataclass(frozen=True, slots=True)
class ValidityCheck:
    """One condition a run must meet before anything may be claimed from it."""

    name: str  # the condition, such as baseline_met or fault_observed
    ok: bool  # whether it is met
    statement: str  # one sentence with what was seen
    verdict_if_broken: Verdict = Verdict.INVALID  # the verdict of a run that does not meet it


@dataclass(frozen=True, slots=True)
class JourneyPhase:
    """One journey in one phase. Latencies in seconds from the intended start; a percentile that the sample
    does not support is None. `errors` counts by kind. Operations belong to the phase of their intended
    start."""

    journey: str  # the name of the journey
    phase: str  # the name of the phase
    offered: int  # operations that were to begin
    good: int  # operations that were good: successful and in time
    acknowledged: int  # operations that succeeded
    rejected: int  # operations that certainly did not happen
    indeterminate: int  # operations that may have happened
    errors: Mapping[str, int]  # how many operations failed, by kind of error
    p50: float | None  # median latency in seconds
    p95: float | None  # 95th percentile of the latency in seconds
    p99: float | None  # 99th percentile of the latency in seconds
    max: float | None  # largest latency in seconds
    success_ratio: float | None  # operations that succeeded, in time or late, as a share of those offered
    offered_rate: float  # offered operations a second
    good_rate: float  # good operations a second
    not_sent: int = 0  # operations that were not sent, because what they needed had failed
    histogram: tuple[tuple[int, int], ...] = ()
    """Pairs of bucket and count of the latencies behind the percentiles."""
    labels: Mapping[str, int] = field(default_factory=dict)
    """How many answers carried each label, such as pending; the others carried none."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """One-second buckets since the run's zero for one journey ("all" for all); None where a bucket is
    empty. A percentile of a second that holds too few operations is that of the 2, 5, 10 or 30 seconds around
    it, or of its whole phase: of the fewest that hold enough."""

    journey: str  # the journey; `all` for all of them
    offered: tuple[int, ...]  # operations offered in each second
    good: tuple[int, ...]  # good operations in each second
    errors: tuple[int, ...]  # failed operations in each second
    p50: tuple[float | None, ...]  # median latency in each second or around it, in seconds
    p95: tuple[float | None, ...]  # 95th percentile of the latency in each second or around it, in seconds
    p99: tuple[float | None, ...]  # 99th percentile of the latency in each second or around it, in seconds
    q: tuple[float | None, ...]  # quality in each second as a share of the baseline; empty without a baseline
    max: tuple[float | None, ...] = ()
    """Largest latency in each second, in seconds, where it holds too few for a percentile."""


@dataclass(frozen=True, slots=True)
class FaultWindow:
    """One activation as measured: from the injection to the verified heal, beside the planned times."""

    fault: str  # the id of the activation
    kind: str  # the kind of fault
    target: str  # the link or service
    planned_start: float  # when it was to begin, in seconds since the start of the run
    planned_end: float  # when it was to end, in seconds since the start of the run
    start: float | None  # when it began, in seconds since the start of the run
    end: float | None  # when its heal was verified, in seconds since the start of the run
    observed: bool  # whether its effect was seen on the callers' own traffic
    healed: bool  # whether its heal was verified
    statement: str  # the effect, with its figure
    existing_connections: str = ""  # what it does to connections that were open
    end_statement: str = ""  # what the looks until the heal found: of a link, what its caller's traffic met
    lasted: bool | None = None  # whether it was in force at every look; none: nobody looked
    looks: int = 0  # so many times it was read back while it lasted
    unwatched_s: float | None = None  # the longest time without a look, from when it was seen to the heal
    healed_at: float | None = None  # when its heal was ordered, in seconds since the start of the run
    carried_before: float | None = 0.0
    """Bytes that the link's caller exchanged before the fault, or requests that the callee counted; none: it
    does not count."""
    met: float | None = None
    """How much of the caller's own traffic the fault met: bytes, requests or connections; none: of a node."""

    @property
    def effect(self) -> str:
        """What its looks found, and what the harness's own probe measured at its begin."""
        if self.lasted is None:
            return self.statement
        if not self.lasted:
            return f"{self.statement}; not in force until its end: {self.end_statement}"
        until = f"looked at {noun(self.looks, 'time')} until the heal, and always in force"
        return f"{self.end_statement} ({until}); the harness's own request: {self.statement}"

    @property
    def of_link(self) -> bool:
        """Whether a caller's traffic has to meet it."""
        return " -> " in self.target


@dataclass(frozen=True, slots=True)
class ExpectationResult:
    """One declared objective against its measurement."""

    phase: str  # the name of the phase
    journey: str  # the name of the journey
    figure: str  # what is bounded: success, p50, p95, p99 or recovery
    bound: str  # the bound as the scenario gives it
    measured: float | None  # the figure, in seconds or as a share; none: no data
    status: Status  # whether the objective was met
    pressure: str = ""  # of one that was not met: what others took of the machine; empty: too little
    beside: str = ""  # of one that is relative to the baseline: the baseline's figure, and how sure both are

    @property
    def name(self) -> str:
        """`pay p95 in fault`; `recovers` for the recovery, which is a check too."""
        return "recovers" if self.phase == "recovery" else f"{self.journey} {self.figure} in {self.phase}"


@dataclass(frozen=True, slots=True)
class RecoveryResult:
    """`seconds` after the last heal until Q held; None and `censored` when it never did within what was
    observed. Not `under_load`: there was too little load after the heal to tell."""

    seconds: float | None  # seconds after the last heal until quality was back; none: never seen
    censored: bool  # whether the run ended before quality was back
    budget: float  # how many seconds it might take
    statement: str  # one sentence with the figure
    under_load: bool = True  # whether there was load enough after the heal to tell


@dataclass(frozen=True, slots=True)
class Score:
    """The score of one run. `value` is None when the run is invalid; 0 when vetoed, then `without_veto` keeps
    the other figure. `interval` is the within-run 95% interval; `parts` are A, D, T, C, E in [0, 1]; a part
    that the run cannot show (no journey is independent of the fault) is None and its weight is shared out."""

    formula: str  # the version of the formula
    value: float | None  # the score from 0 to 100; none: the run is invalid
    without_veto: float | None  # what it would have been without the veto
    parts: Mapping[str, float | None]  # the parts of the score, each from 0 to 1; none: not shown by this run
    interval: tuple[float, float] | None  # 95% interval of the score within this run
    area_under_q: float | None  # mean quality over fault and recovery, from 0 to 1
    resilience_loss: float | None  # integral of 100 - 100 Q over fault and recovery, percent seconds
    veto: str = ""  # the violations that made it 0, in words
    failed: tuple[str, ...] = ()  # what made the run fail without a veto: properties and objectives
    before: Mapping[str, float | None] = field(default_factory=dict)  # what earlier formulas give, by version


@dataclass(frozen=True, slots=True)
class WaiverUse:
    """A waiver of the scenario on the day of the run. `lifts`: it is in force, and what it names was
    violated."""

    invariant: str  # the property that may be violated
    by: str  # who permits it
    until: str  # the last day on which it may be, as an ISO date
    reason: str  # why it may be violated
    in_force: bool  # whether it holds on the day of the run
    lifts: bool  # whether it is in force and its property was violated


@dataclass(frozen=True, slots=True)
class MachineUse:
    """What was used of the machine while the load was on. The run is the system, the generator and the
    harness."""

    cores: float  # how many cores there are
    own: float  # how many of them the run used, on average
    others: float  # how many others took, on average
    most_others: float  # how many others took in the worst second
    waiting: float | None  # share of the time in which something waited for CPU; none: the kernel has no PSI
    pressed: float  # share of the time under pressure from outside


@dataclass(frozen=True, slots=True)
class Analysis:
    """The judgement of one run."""

    verdict: Verdict  # the verdict of the run
    vetoed: bool  # whether a safety property was violated
    reasons: tuple[str, ...]  # why, most serious first; the first one is the headline
    validity: tuple[ValidityCheck, ...]  # the conditions that a run must meet before it says anything
    checks: tuple[CheckResult, ...]  # the judgement of each property
    expectations: tuple[ExpectationResult, ...]  # the declared objectives
    journeys: tuple[JourneyPhase, ...]  # figures of each journey in each phase
    timelines: tuple[Timeline, ...]  # figures of each journey, second by second
    faults: tuple[FaultWindow, ...]  # the faults as measured
    recovery: RecoveryResult | None  # when quality was back after the last heal
    convergence_s: float | None
    """Seconds after the last heal until all work was done; none: never, or not observed."""
    score: Score  # the score of the run
    measures: Mapping[str, float | int | str | None] = field(default_factory=dict)  # figures besides, by name
    waivers: tuple[WaiverUse, ...] = ()  # the permissions to go on with a violated property
    machine: MachineUse | None = None  # what was used of the machine; none: not sampled, or virtual time
    localisation: Localisation | None = None
    """Where the fault is, by telemetry alone; none: nobody collects it."""
