"""A scenario: load, phases, faults, expectations. Frozen and validated against the system it is for."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from experiment.aborting import AbortCondition
from experiment.controls import Fault
from experiment.errors import Location
from experiment.names import JourneyName, LinkName, MixName, PropertyName, ServiceName, require_name
from experiment.units import Bound, Duration, LatencyBound, Rate, RelativeBound, Share, ShareBound, noun

LATENCIES = ("p50", "p95", "p99")
PHASES = ("warm_up", "baseline", "fault", "recovery", "settle")
CAUSES, PRINCIPLES = range(1, 8), range(1, 11)  # of failure, of design: what a scenario may cover
MAX_VISITS = 1_000_000  # of one run: a plan is held in memory


@dataclass(frozen=True, slots=True)
class Phases:
    """Lengths of the phases, in their order. `settle` is the longest wait for convergence, without load."""

    baseline: Duration
    """How long the undisturbed system is measured."""
    warm_up: Duration = 1.0
    """How long the load runs before anything is measured."""
    fault: Duration = 0.0
    """How long faults may act."""
    recovery: Duration = 0.0
    """How long the load goes on after the faults."""
    settle: Duration = 5.0
    """The longest wait, without load, until the system has finished its work."""

    def __post_init__(self) -> None:
        if self.baseline <= 0:
            raise ValueError("a baseline of 0 s; expected a baseline to compare with")


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How visits arrive: the open-loop schedule. `rate` is the mean, of `ramp` the start (`to` its end)."""

    process: Literal["poisson", "constant", "burst", "ramp", "replay"] = "poisson"
    """How the times between arrivals are spread."""
    rate: Rate = 0.0
    """The mean rate of arrivals; of `ramp` the rate at its start."""
    to: Rate | None = None
    """Of `ramp`: the rate at the end of the load."""
    burst_rate: Rate | None = None
    """Of `burst`: the rate inside a burst."""
    burst_every: Duration | None = None
    """Of `burst`: the time from the start of one burst to that of the next."""
    burst_for: Duration | None = None
    """Of `burst`: how long one lasts."""
    burst_at: Duration = 0.0
    """Of `burst`: when the first one begins, since the start of the load."""
    file: str | None = None
    """Of `replay`: a file with one arrival time in seconds a line, relative to this one."""


@dataclass(frozen=True, slots=True)
class Load:
    """`journeys` weighs the mixes of the system file."""

    arrivals: Arrivals
    """How visits arrive, whatever the answers are (open loop)."""
    journeys: dict[MixName, float]
    """The system's mixes with their weights."""
    workers: int = 1
    """How many processes make the load."""

    def __post_init__(self) -> None:
        if not self.journeys or min(self.journeys.values()) < 0 or sum(self.journeys.values()) <= 0:
            raise ValueError("no weight above 0 in journeys; expected a mix of the system with a weight of 1")
        if not 1 <= self.workers <= 64:
            raise ValueError(f"{self.workers} workers; expected 1 to 64 processes")


@dataclass(frozen=True, slots=True)
class Repeat:
    """Flapping: active for `up`, healed for `down`, `times` over (none: as often as fits in the window)."""

    up: Duration
    """How long the fault is active each time."""
    down: Duration
    """How long it is removed each time."""
    times: int | None = None
    """How often it is active; without it, as often as fits."""

    def __post_init__(self) -> None:
        if self.up <= 0:
            raise ValueError("up 0 s; expected a time for which the fault acts")
        if self.down <= 0:
            raise ValueError("down 0 s; expected a time for which the fault is removed, or no repeat")
        if self.times is not None and self.times < 1:
            raise ValueError(f"times {self.times}; expected at least 1, or no such key")

    @property
    def length(self) -> float:
        """Seconds from the first injection to the last heal; 0 when it flaps as long as the fault lasts."""
        return 0.0 if self.times is None else self.times * (self.up + self.down) - self.down


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """One fault: what, where, when. `during` names a phase; or `at` (since the run's zero) with `lasting`;
    both `during` and `at` place it relative to the phase's start. Of several places in `one_of` the seed
    draws `target` when the run is planned."""

    fault: Fault
    target: str
    during: str | None
    at: float | None
    lasting: float | None
    repeat: Repeat | None
    where: Location
    one_of: tuple[str, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """Every place at which it may act."""
        return self.one_of or (self.target,)


@dataclass(frozen=True, slots=True)
class OneOfLinks:
    """The seed draws one of several links."""

    one_of: tuple[LinkName, ...]
    """The links of which one is drawn."""

    def __post_init__(self) -> None:
        _require_choice(self.one_of)


@dataclass(frozen=True, slots=True)
class OneOfServices:
    """The seed draws one of several services."""

    one_of: tuple[ServiceName, ...]
    """The services of which one is drawn."""

    def __post_init__(self) -> None:
        _require_choice(self.one_of)


def _require_choice(one_of: tuple[str, ...]) -> None:
    if len(one_of) < 2:
        raise ValueError(
            f"one_of with {noun(len(one_of), 'name')}; expected two or more, or one name without it"
        )


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a fault acts: the keys that every kind shares, beside its link or service."""

    during: Literal["warm_up", "baseline", "fault", "recovery"] | None = None
    """The phase in which it acts."""
    at: Duration | None = None
    """When it begins: since the start of the run, or of the phase in `during`."""
    lasting: Duration | None = None
    """How long it lasts; without it, until the end of the phase."""
    repeat: Repeat | None = None
    """Makes it come and go (flapping)."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """An objective of one journey in one phase; all named figures must hold."""

    journey: JourneyName
    """The journey that the objective is about."""
    success: ShareBound | None = None
    """The share of its operations that must be good."""
    p50: LatencyBound | None = None
    """The median latency, from the intended start."""
    p95: LatencyBound | None = None
    """The 95th percentile of the latency, from the intended start."""
    p99: LatencyBound | None = None
    """The 99th percentile of the latency, from the intended start."""
    degraded: bool | tuple[str, ...] = False
    """On where labelled or pending answers count as good; a list where only these labels do."""
    refused: tuple[int, ...] = ()
    """Statuses of refusals that count as good here, such as 503 where nobody can be asked for a right."""
    good_within: Duration | None = None
    """How late an answer may come here and still be good, in place of the journey's own `p95`."""

    def __post_init__(self) -> None:
        if (self.success, self.p50, self.p95, self.p99) == (None, None, None, None):
            raise ValueError("an objective for a journey without a figure; expected success, p50, p95 or p99")
        if self.degraded == ():
            raise ValueError("degraded with no label; expected on, off, or the labels that count as good")
        for status in self.refused:
            if not 400 <= status < 600:
                raise ValueError(f"refused with the status {status}; expected statuses of refusals, from 400")
        if self.success is not None and not self.success.at_least:
            raise ValueError(f'success "{self.success.text}"; expected a lower bound such as ">= 99%"')
        if self.success is not None and self.success.limit <= 0:
            raise ValueError(f'success "{self.success.text}"; expected a bound that can be missed')
        for name in LATENCIES:
            bound = getattr(self, name)
            if isinstance(bound, Bound) and bound.at_least:
                raise ValueError(f'{name} "{bound.text}"; expected an upper bound such as "<= 2s"')
            if isinstance(bound, Bound) and bound.limit <= 0:
                raise ValueError(f'{name} "{bound.text}"; expected a bound that can be met, such as "<= 2s"')

    @property
    def relative(self) -> bool:
        """Whether a figure of it is compared with the baseline's own."""
        return any(isinstance(getattr(self, name), RelativeBound) for name in LATENCIES)


@dataclass(frozen=True, slots=True)
class Recovery:
    """Back to `share` of the baseline for `hold`, `within` this time after the heal, under load."""

    within: Duration = 30.0
    """How soon after the heal quality must be back."""
    hold: Duration = 10.0
    """How long it must stay there."""
    share: Share = 0.95
    """The part of the baseline that counts as back."""

    def __post_init__(self) -> None:
        if self.within <= 0:
            raise ValueError("within 0 s; expected a time that a recovery may take")
        if self.hold <= 0:
            raise ValueError("hold 0 s; expected a time for which the recovery lasts")
        if self.share <= 0:
            raise ValueError("share 0%; expected a share of the baseline such as 95%")


@dataclass(frozen=True, slots=True)
class Expect:
    invariants: tuple[PropertyName, ...] = ()
    """The properties that must hold, by their names in the system."""
    baseline: tuple[Expectation, ...] = ()
    """Objectives of the baseline: when one is missed the run is invalid."""
    fault: tuple[Expectation, ...] = ()
    """Objectives while faults act."""
    recovery: Recovery | None = None
    """When quality must be back after the heal."""
    after: tuple[Expectation, ...] = ()
    """Objectives of the recovery phase, once it has recovered."""
    minimum_operations: int = 20
    """With fewer operations that overlap the fault, the run is inconclusive."""

    def __post_init__(self) -> None:
        if self.minimum_operations < 1:
            raise ValueError(f"minimum_operations {self.minimum_operations}; expected 1 or more")


@dataclass(frozen=True, slots=True)
class Waiver:
    """A named, dated permission to go on with a violated property; every report keeps showing it."""

    invariant: PropertyName
    """The property that may be violated."""
    reason: str
    """Why it may be violated for now."""
    by: str
    """Who permits it."""
    until: str
    """The last day on which it may be, as an ISO date."""

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
    """The causes of failure that the scenario shows, by their numbers."""
    principles: tuple[int, ...] = ()
    """The principles of design that it puts to the test, by their numbers."""

    def __post_init__(self) -> None:
        for name, known in (("causes", CAUSES), ("principles", PRINCIPLES)):
            for number in getattr(self, name):
                if number not in known:
                    raise ValueError(f"{name} {number}; expected numbers from {known[0]} to {known[-1]}")


@dataclass(frozen=True, slots=True)
class Staleness:
    """Bounds for reads of copies (properties of the kind bounded_staleness)."""

    age: Duration = 0.0
    """How far an unlabelled read may lag behind an acknowledged write."""
    versions: int = 0
    """How many versions it may lag behind."""

    def __post_init__(self) -> None:
        if self.versions < 0:
            raise ValueError(f"versions {self.versions}; expected 0 or more")


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    """What the scenario is called; best as its file."""
    title: str
    """What it shows, in one sentence."""
    load: Load
    """What users do, and how often."""
    phases: Phases
    """The lengths of the phases, in their order."""
    faults: tuple[FaultSpec, ...] = ()
    """What goes wrong, where and when."""
    expect: Expect = field(default_factory=Expect)
    """What the run is judged by."""
    covers: Covers = field(default_factory=Covers)
    """What the scenario is about, for coverage."""
    staleness: Staleness = field(default_factory=Staleness)
    """Bounds for reads of copies, for the property bounded_staleness."""
    abort: tuple[AbortCondition, ...] = ()
    """When the run ends at once: everything is healed, and its verdict is aborted."""
    waivers: tuple[Waiver, ...] = ()
    """Named, dated permissions to go on with a violated property."""
    clock_scale: float = 1.0
    """How many times faster long business times run; latencies inside the system never do."""
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
        for figure in ("success", *LATENCIES)
        if getattr(expectation, figure) is not None
    ]
    return (*named, "recovers") if expect.recovery is not None else tuple(named)


def relative(expect: Expect) -> bool:
    """Whether any objective is compared with the baseline's own figure."""
    return any(one.relative for one in (*expect.fault, *expect.after))


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
