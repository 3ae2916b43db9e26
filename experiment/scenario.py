"""A scenario: load, phases, faults, expectations. Frozen and validated against the system it is for."""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Literal

from experiment.controls import Fault
from experiment.decoding import FAILED, Decoder
from experiment.errors import Location, nearest
from experiment.topology import System
from experiment.units import Duration, DurationBound, Rate, Share, ShareBound
from experiment.yaml_source import Mapping, Node, Scalar, read_yaml

PHASES = ("warm_up", "baseline", "fault", "recovery", "settle")


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
    journeys: dict[str, float]
    workers: int = 1


@dataclass(frozen=True, slots=True)
class Repeat:
    """Flapping: active for `up`, healed for `down`, `times` over (none: as often as fits in the window)."""

    up: Duration
    down: Duration
    times: int | None = None


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
    """The keys every fault shares."""

    kind: str
    link: str | None = None
    service: str | None = None
    during: Literal["warm_up", "baseline", "fault", "recovery"] | None = None
    at: Duration | None = None
    lasting: Duration | None = None
    repeat: Repeat | None = None


@dataclass(frozen=True, slots=True)
class Expectation:
    """An objective of one journey in one phase; all named figures must hold."""

    journey: str
    success: ShareBound | None = None
    p50: DurationBound | None = None
    p95: DurationBound | None = None
    p99: DurationBound | None = None
    degraded: bool = False  # the allowed degraded profile: labelled or pending answers count as good


@dataclass(frozen=True, slots=True)
class Recovery:
    """Back to `share` of the baseline for `hold`, `within` this time after the heal, under load."""

    within: Duration = 30.0
    hold: Duration = 10.0
    share: Share = 0.95


@dataclass(frozen=True, slots=True)
class Expect:
    invariants: tuple[str, ...] = ()
    baseline: tuple[Expectation, ...] = ()
    fault: tuple[Expectation, ...] = ()
    recovery: Recovery | None = None
    after: tuple[Expectation, ...] = ()  # in the recovery phase, once recovered
    minimum_operations: int = 20  # fewer that overlap the fault: inconclusive


@dataclass(frozen=True, slots=True)
class Waiver:
    """A named, dated permission to go on with a violated invariant; every report keeps showing it."""

    invariant: str
    reason: str
    by: str
    until: str  # ISO date


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


COMMON_KEYS = frozenset(f.name for f in fields(Schedule))


def load_scenario(
    path: Path, system: System, kinds: MappingABC[str, type[Fault]], invariants: MappingABC[str, object]
) -> Scenario:
    """Read and cross-check one scenario. `kinds` and `invariants` are the registries of faults and checkers.
    Raises ConfigError with every mistake of the file."""
    node = read_yaml(path)

    def fault(decoder: Decoder, child: Node) -> object:
        return _fault(decoder, child, system, kinds)

    def arrivals(decoder: Decoder, child: Node) -> object:
        return _arrivals(decoder, child)

    decoder = Decoder({FaultSpec: fault, Arrivals: arrivals})
    scenario = decoder.value(node, Scenario)
    if isinstance(scenario, Scenario) and isinstance(node, Mapping):
        scenario = _with_source(scenario, str(path))
        _check_names(decoder, node, scenario, system, invariants)
        _check_times(decoder, scenario)
    decoder.finish()
    return scenario  # type: ignore[no-any-return]


def _with_source(scenario: Scenario, source: str) -> Scenario:
    return replace(scenario, source=source)


def _arrivals(decoder: Decoder, node: Node) -> object:
    """`8/s` is short for Poisson arrivals at that rate."""
    if isinstance(node, Scalar):
        rate = decoder.value(node, Rate)
        return rate if rate is FAILED else Arrivals("poisson", rate)
    return decoder.record(node, Arrivals)


def _fault(decoder: Decoder, node: Node, system: System, kinds: MappingABC[str, type[Fault]]) -> object:
    if not isinstance(node, Mapping):
        return decoder.fail(
            node.where, "no mapping", "a fault such as {kind: latency, link: a -> b, during: fault}"
        )
    kind_node = node.get("kind")
    kind = kind_node.text if isinstance(kind_node, Scalar) else ""
    if kind not in kinds:
        where = kind_node.where if kind_node is not None else node.where
        found = f'the unknown fault "{kind}"' if kind else 'a fault without "kind"'
        return decoder.fail(where, found, "a fault kind", nearest(kind, kinds))
    own = frozenset(f.name for f in fields(kinds[kind]) if f.init)  # type: ignore[arg-type]
    schedule = _schedule(decoder, node, own)
    fault = decoder.record(node, kinds[kind], ignore=COMMON_KEYS)
    if schedule is FAILED or fault is FAILED:
        return FAILED
    assert isinstance(schedule, Schedule)
    target = _target(decoder, node, schedule, fault, system)
    if target is None:
        return FAILED
    if schedule.during is None and schedule.at is None:
        return decoder.fail(
            node.where, "a fault without a time", 'the key "during" (a phase) or "at" and "lasting"'
        )
    return FaultSpec(
        fault, target, schedule.during, schedule.at, schedule.lasting, schedule.repeat, node.where
    )


def _schedule(decoder: Decoder, node: Mapping, own: frozenset[str]) -> object:
    """The common keys of a fault; keys of its own kind are decoded elsewhere, any other is refused there."""
    return decoder.record(
        Mapping(node.where, tuple((k, v) for k, v in node.items if k.text in COMMON_KEYS)),
        Schedule,
        ignore=own,
    )


def _target(decoder: Decoder, node: Mapping, schedule: Schedule, fault: Fault, system: System) -> str | None:
    wants_link = fault.target_kind in ("link", "behaviour")
    key, name = ("link", schedule.link) if wants_link else ("service", schedule.service)
    known = system.link_names if wants_link else tuple(system.services)
    other = schedule.service if wants_link else schedule.link
    if name is None:
        found = f'a {fault.kind} fault without "{key}"'
        decoder.fail(node.where, found, f"{key}: one of the system's")
        return None
    child = node.get(key)
    where = child.where if child is not None else node.where
    if name not in known:
        decoder.fail(where, f'the unknown {key} "{name}"', f"a {key} of the system", nearest(name, known))
        return None
    if other is not None:
        decoder.fail(where, "both link and service", f"only {key} for a {fault.kind} fault")
        return None
    if fault.target_kind == "behaviour" and system.link(name).protocol != "http":
        expected = f"an http link: {fault.kind} acts inside the callee"
        decoder.fail(where, f"a {system.link(name).protocol} link", expected)
        return None
    return name


def _check_names(
    decoder: Decoder,
    node: Mapping,
    scenario: Scenario,
    system: System,
    invariants: MappingABC[str, object],
) -> None:
    def place(*path: str) -> Location:
        current: Node | None = node
        where = node.where
        for key in path:
            current = current.get(key) if isinstance(current, Mapping) else None
            where = current.where if current is not None else where
        return where

    for mix in scenario.load.journeys:
        if mix not in system.mixes:
            where = place("load", "journeys")
            decoder.fail(
                where, f'the unknown journey mix "{mix}"', "a mix of the system", nearest(mix, system.mixes)
            )
    for section in ("baseline", "fault", "after"):
        for expectation in getattr(scenario.expect, section):
            if expectation.journey not in system.journeys:
                found = f'the unknown journey "{expectation.journey}"'
                mend = nearest(expectation.journey, system.journeys)
                decoder.fail(place("expect", section), found, "a journey of the system", mend)
    named = [*scenario.expect.invariants, *(waiver.invariant for waiver in scenario.waivers)]
    for name in named:
        if name not in invariants:
            where = place("expect", "invariants")
            decoder.fail(where, f'the unknown invariant "{name}"', "an invariant", nearest(name, invariants))


def _check_times(decoder: Decoder, scenario: Scenario) -> None:
    starts = phase_starts(scenario.phases)
    end_of_load = starts["settle"]
    windows: list[tuple[str, str, float, float]] = []
    for spec in scenario.faults:
        start, end = fault_window(spec, scenario.phases)
        if end <= start:
            expected = "a fault that lasts: give its phase a length, or the fault `lasting`"
            decoder.fail(spec.where, f"a fault from {start:g} s to {end:g} s", expected)
        elif end > end_of_load + 1e-9:
            expected = f"a fault inside the run, which plays load until {end_of_load:g} s"
            decoder.fail(spec.where, f"a fault from {start:g} s to {end:g} s", expected)
        elif start < starts["fault"] - 1e-9 or end > starts["recovery"] + 1e-9:
            expected = (
                f"a fault inside the fault phase ({starts['fault']:g} s to {starts['recovery']:g} s): "
                "the baseline is measured before it, the recovery after it"
            )
            decoder.fail(spec.where, f"a fault from {start:g} s to {end:g} s", expected)
        for target, kind, other_start, other_end in windows:
            if target == spec.target and kind == spec.fault.kind and start < other_end and other_start < end:
                expected = "each kind once at a time on one target"
                decoder.fail(spec.where, f"two overlapping {kind} faults on {target}", expected)
        windows.append((spec.target, spec.fault.kind, start, end))
    arrivals = scenario.load.arrivals
    if arrivals.process != "replay" and arrivals.rate <= 0:
        decoder.fail(
            Location(scenario.source), "a load without rate", "load.arrivals with a rate such as 8/s"
        )
    if arrivals.process == "replay" and arrivals.file is None:
        decoder.fail(Location(scenario.source), "a replay without file", "load.arrivals.file")


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
    end = starts[spec.during] + getattr(phases, spec.during)
    return start, min(end, start + spec.lasting) if spec.lasting is not None else end
