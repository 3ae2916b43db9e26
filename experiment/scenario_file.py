"""Reading a scenario file and checking it against the system, its properties and the fault kinds."""

from __future__ import annotations

import random
from collections.abc import Mapping as MappingABC
from dataclasses import fields, replace
from pathlib import Path

from experiment.arrivals import arrival_times
from experiment.controls import Fault
from experiment.decoding import FAILED, Decoder, describe, hints_of
from experiment.errors import ConfigError, Location
from experiment.names import JOURNEY, LINK, MIX, PROPERTY, SERVICE, LinkName, ServiceName
from experiment.scenario import (
    MAX_VISITS,
    Arrivals,
    FaultSpec,
    OneOfLinks,
    OneOfServices,
    Scenario,
    Schedule,
    fault_window,
    phase_starts,
)
from experiment.scenario_sense import check_sense
from experiment.topology import ANSWERED, System
from experiment.units import DURATION, Rate, quantity_text
from experiment.yaml_source import Mapping, Node, Scalar, key_place, place, read_yaml

MAX_FLAPS = 1000
TARGETS = {"link": LinkName, "service": ServiceName}
SCHEDULE_KEYS = frozenset(f.name for f in fields(Schedule))
COMMON_KEYS = SCHEDULE_KEYS | {"kind", *TARGETS}


def load_scenario(path: Path, system: System, kinds: MappingABC[str, type[Fault]]) -> Scenario:
    """Read and cross-check one scenario; `kinds` is the registry of faults. Raises ConfigError with every
    mistake of the file."""
    node = read_yaml(path)

    def fault(decoder: Decoder, child: Node) -> object:
        return _fault(decoder, child, system, kinds)

    def arrivals(decoder: Decoder, child: Node) -> object:
        return _arrivals(decoder, child)

    names = {
        LINK: system.link_names,
        SERVICE: system.services,
        JOURNEY: system.journeys,
        MIX: system.mixes,
        PROPERTY: system.properties,
    }
    decoder = Decoder({FaultSpec: fault, Arrivals: arrivals}, names)
    scenario = decoder.value(node, Scenario)
    if isinstance(scenario, Scenario) and isinstance(node, Mapping):
        scenario = _with_source(scenario, str(path))
        _check_times(decoder, node, scenario)
        _check_load(decoder, node, scenario, path.parent)
        _check_objectives(decoder, node, scenario)
        _check_judged(decoder, node, scenario)
        check_sense(decoder, node, scenario, system)
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
            node.where, describe(node), "a fault such as {kind: latency, link: a -> b, during: fault}"
        )
    names = {key.text: _places(decoder, key.text, child) for key, child in node.items if key.text in TARGETS}
    timing = tuple((key, child) for key, child in node.items if key.text in SCHEDULE_KEYS)
    schedule = decoder.record(Mapping(node.where, timing), Schedule)
    kind_node = node.get("kind")
    kind = kind_node.text if isinstance(kind_node, Scalar) else ""
    if kind not in kinds:
        where = kind_node.where if kind_node is not None else node.where
        found = f'the unknown fault "{kind}"' if kind else 'a fault without "kind"'
        if kind_node is not None and not isinstance(kind_node, Scalar):
            found = f"{describe(kind_node)} as the kind of a fault"
        if kind_node is None:
            _refuse_unknown_keys(decoder, node, kinds)
        return decoder.fail(where, found, "a fault kind", decoder.nearest(kind, kinds))
    targets = _targets(decoder, node, kinds[kind], names, system)
    fault = decoder.record(node, kinds[kind], ignore=COMMON_KEYS)
    if not isinstance(schedule, Schedule):
        return FAILED
    if schedule.during is None and schedule.at is None:
        expected = 'the key "during" (a phase) or "at" and "lasting"'
        return decoder.fail(node.where, "a fault without a time", expected)
    if targets is None or fault is FAILED:
        return FAILED
    one_of = targets if len(targets) > 1 else ()
    return FaultSpec(
        fault, targets[0], schedule.during, schedule.at, schedule.lasting, schedule.repeat, node.where, one_of
    )


def _places(decoder: Decoder, key: str, node: Node) -> tuple[str, ...] | None:
    """The links or services that a fault names: one, or those of which the seed draws one."""
    if not isinstance(node, Mapping):
        name = decoder.value(node, TARGETS[key])
        return (name,) if isinstance(name, str) else None
    one_of = decoder.record(node, OneOfLinks if key == "link" else OneOfServices)
    return None if one_of is FAILED else one_of.one_of


def _refuse_unknown_keys(decoder: Decoder, node: Mapping, kinds: MappingABC[str, type[Fault]]) -> None:
    """Of a fault without a kind: the keys that no kind has, one of which may be a misspelt `kind`."""
    known = COMMON_KEYS.union(*(hints_of(kind) for kind in kinds.values()))
    for key, _ in node.items:
        if key.text not in known:
            hint = decoder.nearest(key.text, known)
            decoder.fail(key.where, f'the unknown key "{key.text}"', "a key of a fault", hint)


def _targets(
    decoder: Decoder,
    node: Mapping,
    kind: type[Fault],
    names: MappingABC[str, tuple[str, ...] | None],
    system: System,
) -> tuple[str, ...] | None:
    """The links or services that a fault of this kind may act on; `names` are those that the file gives.
    None: they are wrong, which is recorded."""
    acts_on = str(kind.target_kind)
    key, other = ("service", "link") if acts_on == "node" else ("link", "service")
    child, found = node.get(key), names.get(key)
    if child is None:
        decoder.fail(node.where, f'a {kind.kind} fault without "{key}"', f"{key}: one of the system's")
        return None
    if other in names:
        decoder.fail(child.where, "both link and service", f"only {key} for a {kind.kind} fault")
        return None
    if acts_on != "behaviour" or found is None:
        return found
    spoken = getattr(kind, "protocol", "http")
    for name in found:
        if system.link(name).protocol in (ANSWERED if spoken in ANSWERED else (spoken,)):
            continue
        expected = f"a link to a service: {kind.kind} acts inside the callee"
        if spoken not in ANSWERED:
            expected = f"a {spoken} link: {kind.kind} acts inside the caller, which consumes"
        decoder.fail(child.where, f"a {system.link(name).protocol} link", expected)
        return None
    return found


def _check_times(decoder: Decoder, node: Node, scenario: Scenario) -> None:
    """Faults inside the fault phase, and none twice at a time on one target."""
    starts = phase_starts(scenario.phases)
    windows: list[tuple[str, str, float, float]] = []
    for index, spec in enumerate(scenario.faults):
        start, end = fault_window(spec, scenario.phases)
        found = f"a fault from {start:g} s to {end:g} s"
        where = _time_place(node, index, late=starts["fault"] <= start < starts["recovery"])
        if _outside_of_its_phase(decoder, node, index, scenario):
            pass
        elif end <= start:
            expected = "a fault that lasts: give its phase a length, or the fault `lasting`"
            decoder.fail(where, found, expected)
        elif end > starts["settle"] + 1e-9:
            expected = f"a fault inside the run, which plays load until {starts['settle']:g} s"
            decoder.fail(where, found, expected)
        elif start < starts["fault"] - 1e-9 or end > starts["recovery"] + 1e-9:
            expected = (
                f"a fault inside the fault phase ({starts['fault']:g} s to {starts['recovery']:g} s): "
                "the baseline is measured before it, the recovery after it"
            )
            decoder.fail(where, found, expected)
        for target, kind, other_start, other_end in windows:
            if target in spec.targets and kind == spec.fault.kind and start < other_end and other_start < end:
                expected = "each kind once at a time on one target"
                decoder.fail(spec.where, f"two overlapping {kind} faults on {target}", expected)
        if spec.repeat is not None and end - start > MAX_FLAPS * (spec.repeat.up + spec.repeat.down):
            where = place(node, "faults", index, "repeat")
            decoder.fail(where, f"more than {MAX_FLAPS} activations", "a longer up or down, or times")
        elif spec.repeat is not None and spec.repeat.length > end - start + 1e-9:
            where = place(node, "faults", index, "repeat", "times")
            found = f"{spec.repeat.times} activations that take {spec.repeat.length:g} s"
            decoder.fail(where, found, f"activations that fit into the fault's {end - start:g} s")
        windows += [(target, spec.fault.kind, start, end) for target in spec.targets]


def _outside_of_its_phase(decoder: Decoder, node: Node, index: int, scenario: Scenario) -> bool:
    """`at: 9s` in a phase of 8 s: with `during`, times count from the begin of the phase and end with it."""
    spec = scenario.faults[index]
    if spec.during is None or (spec.at is None and spec.lasting is None):
        return False
    length = getattr(scenario.phases, spec.during)
    at, lasting = spec.at or 0.0, spec.lasting or 0.0
    phase = f"the {spec.during.replace('_', '-')} phase of {_text(length)}"
    if 0 < length <= at:
        expected = "a time before its end: with `during`, `at` counts from the begin of the phase"
        decoder.fail(place(node, "faults", index, "at"), f"at {_text(at)} in {phase}", expected)
        return True
    if 0 < length < at + lasting - 1e-9:
        found = f"a fault that lasts {_text(lasting)} from {_text(at)} on in {phase}"
        expected = f"one that ends with the phase: at most {_text(length - at)}"
        decoder.fail(place(node, "faults", index, "lasting"), found, expected)
        return True
    return False


def _text(seconds: float) -> str:
    return quantity_text(seconds, DURATION) if seconds else "0s"


def _time_place(node: Node, index: int, late: bool) -> Location:
    """The key that puts a fault where it is: how long it lasts when it starts well, else when it starts."""
    fault = ("faults", index)
    for name in ("lasting", "at", "during") if late else ("at", "during"):
        where = place(node, *fault, name)
        if where != place(node, *fault):
            return where
    return place(node, *fault)


def _check_load(decoder: Decoder, node: Node, scenario: Scenario, folder: Path) -> None:
    """A load that can be planned: with a rate or a file, and of a size that fits into memory."""
    arrivals = scenario.load.arrivals
    where = place(node, "load", "arrivals")
    if arrivals.process == "replay":
        named = place(node, "load", "arrivals", "file")
        if arrivals.file is None:
            decoder.fail(where, "a replay without a file", "file: arrival times, one a line")
        elif not (folder / arrivals.file).is_file():
            decoder.fail(named, f'no file "{arrivals.file}"', f"a file of arrival times in {folder}")
        else:
            _check_replay(decoder, arrivals, phase_starts(scenario.phases)["settle"], folder)
        return
    if arrivals.rate <= 0:
        rate = place(node, "load", "arrivals", "rate")
        decoder.fail(rate, "a load without a rate", "a rate such as 8/s")
    needed = {"ramp": ("to",), "burst": ("burst_rate", "burst_every", "burst_for")}.get(arrivals.process, ())
    for name in needed:
        if not getattr(arrivals, name):
            example = "8/s" if name in ("to", "burst_rate") else "10s"
            decoder.fail(where, f'a {arrivals.process} without "{name}"', f"{name}: such as {example}")
    length_s = phase_starts(scenario.phases)["settle"]
    visits = length_s * max(arrivals.rate, arrivals.to or 0.0, arrivals.burst_rate or 0.0)
    if visits > MAX_VISITS:
        found = f"up to {visits:,.0f} visits in {length_s:g} s"
        decoder.fail(where, found, f"at most {MAX_VISITS:,} visits in a run: a lower rate, shorter phases")


def _check_replay(decoder: Decoder, arrivals: Arrivals, length_s: float, folder: Path) -> None:
    """A file that can be read, with an arrival within the load; each mistake at its line."""
    try:
        arrival_times(arrivals, length_s, random.Random(0), folder)
    except ConfigError as error:
        decoder.problems += error.problems


def _check_judged(decoder: Decoder, node: Node, scenario: Scenario) -> None:
    """A scenario that would judge nothing proves nothing; nor do faults whose effect nobody asks about."""
    expect = scenario.expect
    place_of_expect = key_place(node, "expect")
    hint = "name a property under expect.invariants, or an objective such as {journey: pay, success: "
    if expect.invariants or expect.fault or expect.after or expect.recovery is not None:
        return
    if scenario.faults:
        found = "faults and nothing that is expected of the system under them"
        expected = "a property, or an objective for the fault, the recovery or after it"
        decoder.fail(place_of_expect, found, expected, f'{hint}">= 99%"}} under expect.fault')
    elif not expect.baseline:
        found = "a scenario that expects nothing"
        expected = "a property or an objective"
        decoder.fail(place_of_expect, found, expected, f'{hint}">= 99%"}} under expect.baseline')


def _check_objectives(decoder: Decoder, node: Node, scenario: Scenario) -> None:
    """An objective in a phase that has no length, or a recovery that cannot be seen, would never be met."""
    sections = {"baseline": "baseline", "fault": "fault", "after": "recovery", "recovery": "recovery"}
    for section, phase in sections.items():
        if getattr(scenario.expect, section) and getattr(scenario.phases, phase) <= 0:
            where = key_place(node, "expect", section)
            decoder.fail(where, f"objectives in a {phase} phase of 0 s", f"phases.{phase} with a length")
    recovery = scenario.expect.recovery
    if recovery is not None and 0 < scenario.phases.recovery < recovery.hold:
        found = f"a recovery that must hold {recovery.hold:g} s in a phase of {scenario.phases.recovery:g} s"
        where = place(node, "expect", "recovery", "hold")
        decoder.fail(where, found, "hold at most as long as phases.recovery")
