"""A scenario: load, phases, faults, expectations. Frozen and validated against the system it is for."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from experiment.controls import Fault
from experiment.errors import Location
from experiment.names import JourneyName, MixName, PropertyName, require_name
from experiment.units import Duration, DurationBound, Rate, Share, ShareBound

PHASES = ("warm_up", "baseline", "fault", "recovery", "settle")
MAX_VISITS = 1_000_000  # of one run: a plan is held in memory


@dataclass(frozen=True, slots=True)
class Phases:
    """Lengths of the phases, in their order. `settle` is the longest wait for convergence, without load."""

    baseline: Duration
    warm_up: Duration = 1.0
    fault: Duration = 0.0
    recovery: Duration = 0.0
    settle: Duration = 5.0

    def __post_init__(self) -> None:
        if self.baseline <= 0:
            raise ValueError("a baseline of 0 s; expected a baseline to compare with")


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How visits arrive: the open-loop schedule. `rate` is the mean, of `ramp` the start (`to` its end)."""

    process: Literal["poisson", "constant", "burst", "ramp", "replay"] = "poisson"
    rate: Rate = 0.0
    to: Rate | None = None  # ramp: rate at the end of the load
    burst_rate: Rate | None = None  # burst: rate inside bursts
    burst_every: Duration | None = None
    burst_for: Duration | None = None
    file: str | None = None  # replay: one arrival time in seconds a line, relative to the scenario file


@dataclass(frozen=True, slots=True)
class Load:
    """`journeys` weighs the mixes of the system file."""

    arrivals: Arrivals
    journeys: dict[MixName, float]
    workers: int = 1

    def __post_init__(self) -> None:
        if not self.journeys or min(self.journeys.values()) < 0 or sum(self.journeys.values()) <= 0:
            raise ValueError("no weight above 0 in journeys; expected a mix of the system with a weight of 1")
        if not 1 <= self.workers <= 64:
            raise ValueError(f"{self.workers} workers; expected 1 to 64 processes")


@dataclass(frozen=True, slots=True)
class Repeat:
    """Flapping: active for `up`, healed for `down`, `times` over (none: as often as fits in the window)."""

    up: Duration
    down: Duration
    times: int | None = None

    def __post_init__(self) -> None:
        if self.up <= 0:
            raise ValueError("up 0 s; expected a time for which the fault acts")
        if self.times is not None and self.times < 1:
            raise ValueError(f"times {self.times}; expected at least 1, or no such key")

    @property
    def length(self) -> float:
        """Seconds from the first injection to the last heal; 0 when it flaps as long as the fault lasts."""
        return 0.0 if self.times is None else self.times * (self.up + self.down) - self.down


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """One fault: what, where, when. `during` names a phase; or `at` (since the run's zero) with `lasting`;
    both `during` and `at` place it relative to the phase's start."""

    fault: Fault
    target: str
    during: str | None
    at: float | None
    lasting: float | None
    repeat: Repeat | None
    where: Location


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a fault acts: the keys that every kind shares, beside its link or service."""

    during: Literal["warm_up", "baseline", "fault", "recovery"] | None = None
    at: Duration | None = None
    lasting: Duration | None = None
    repeat: Repeat | None = None


@dataclass(frozen=True, slots=True)
class Expectation:
    """An objective of one journey in one phase; all named figures must hold."""

    journey: JourneyName
    success: ShareBound | None = None
    p50: DurationBound | None = None
    p95: DurationBound | None = None
    p99: DurationBound | None = None
    degraded: bool = False  # the allowed degraded profile: labelled or pending answers count as good

    def __post_init__(self) -> None:
        if (self.success, self.p50, self.p95, self.p99) == (None, None, None, None):
            raise ValueError("an objective for a journey without a figure; expected success, p50, p95 or p99")
        if self.success is not None and not self.success.at_least:
            raise ValueError(f'success "{self.success.text}"; expected a lower bound such as ">= 99%"')
        for name in ("p50", "p95", "p99"):
            bound = getattr(self, name)
            if bound is not None and bound.at_least:
                raise ValueError(f'{name} "{bound.text}"; expected an upper bound such as "<= 2s"')


@dataclass(frozen=True, slots=True)
class Recovery:
    """Back to `share` of the baseline for `hold`, `within` this time after the heal, under load."""

    within: Duration = 30.0
    hold: Duration = 10.0
    share: Share = 0.95

    def __post_init__(self) -> None:
        if self.hold <= 0:
            raise ValueError("hold 0 s; expected a time for which the recovery lasts")
        if self.share <= 0:
            raise ValueError("share 0%; expected a share of the baseline such as 95%")


@dataclass(frozen=True, slots=True)
class Expect:
    invariants: tuple[PropertyName, ...] = ()
    baseline: tuple[Expectation, ...] = ()
    fault: tuple[Expectation, ...] = ()
    recovery: Recovery | None = None
    after: tuple[Expectation, ...] = ()  # in the recovery phase, once recovered
    minimum_operations: int = 20  # fewer that overlap the fault: inconclusive


@dataclass(frozen=True, slots=True)
class Waiver:
    """A named, dated permission to go on with a violated invariant; every report keeps showing it."""

    invariant: PropertyName
    reason: str
    by: str
    until: str  # ISO date

    def __post_init__(self) -> None:
        for name in ("reason", "by"):
            if not getattr(self, name).strip():
                raise ValueError(f"an empty {name}; expected a waiver with a reason and a name")
        try:
            date.fromisoformat(self.until)
        except ValueError:
            raise ValueError(f'until "{self.until}"; expected a date such as 2027-03-31') from None


@dataclass(frozen=True, slots=True)
class Covers:
    causes: tuple[int, ...] = ()
    principles: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Staleness:
    """Bounds for projection reads (invariant bounded_staleness)."""

    age: Duration = 0.0  # an unlabelled read may lag an acknowledged write by at most this
    versions: int = 0


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    title: str
    load: Load
    phases: Phases
    faults: tuple[FaultSpec, ...] = ()
    expect: Expect = field(default_factory=Expect)
    covers: Covers = field(default_factory=Covers)
    staleness: Staleness = field(default_factory=Staleness)
    waivers: tuple[Waiver, ...] = ()
    clock_scale: float = 1.0  # long business times run this much faster; in-cluster latencies never do
    source: str = field(default="", metadata={"internal": True})

    def __post_init__(self) -> None:
        require_name(self.name)
        if not 0 < self.clock_scale <= 1000:
            raise ValueError(f"clock_scale {self.clock_scale:g}; expected a factor above 0 and up to 1000")


def objectives(expect: Expect) -> tuple[str, ...]:
    """The names of all objectives: `pay p95 in fault`, and `recovers` for the recovery."""
    named = [
        f"{expectation.journey} {figure} in {section}"
        for section in ("baseline", "fault", "after")
        for expectation in getattr(expect, section)
        for figure in ("success", "p50", "p95", "p99")
        if getattr(expectation, figure) is not None
    ]
    return (*named, "recovers") if expect.recovery is not None else tuple(named)


def phase_starts(phases: Phases) -> dict[str, float]:
    """Phase name to its start, in seconds since the run's zero."""
    starts: dict[str, float] = {}
    clock = 0.0
    for name in PHASES:
        starts[name] = clock
        clock += getattr(phases, name)
    return starts


def fault_window(spec: FaultSpec, phases: Phases) -> tuple[float, float]:
    """First injection and last heal, seconds since the run's zero."""
    starts = phase_starts(phases)
    if spec.during is None:
        start = spec.at or 0.0
        return start, start + (spec.lasting or 0.0)
    start = starts[spec.during] + (spec.at or 0.0)
    if spec.lasting is not None:
        return start, start + spec.lasting
    return start, starts[spec.during] + getattr(phases, spec.during)


def activations(number: int, spec: FaultSpec, phases: Phases) -> list[tuple[str, float, float]]:
    """(id, injection, heal) of every time the scenario's fault `number` (from 1) acts, in seconds since the
    run's zero: f1, or f1.1, f1.2 ... of a fault that repeats."""
    start, end = fault_window(spec, phases)
    if spec.repeat is None:
        return [(f"f{number}", start, end)]
    spans: list[tuple[str, float, float]] = []
    clock = start
    while clock < end - 1e-9 and (spec.repeat.times is None or len(spans) < spec.repeat.times):
        spans.append((f"f{number}.{len(spans) + 1}", clock, min(end, clock + spec.repeat.up)))
        clock += spec.repeat.up + spec.repeat.down
    return spans
