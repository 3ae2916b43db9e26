"""Reading a scenario file and checking it against the system, the fault kinds and the invariants."""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from dataclasses import fields, replace
from pathlib import Path

from experiment.controls import Fault
from experiment.decoding import FAILED, Decoder
from experiment.errors import Location, nearest
from experiment.scenario import Arrivals, FaultSpec, Scenario, Schedule, fault_window, phase_starts
from experiment.topology import System
from experiment.units import Rate
from experiment.yaml_source import Mapping, Node, Scalar, read_yaml

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
