"""What a scenario asks for has to make sense: an objective can be met and missed, a time fits its place.

A bound that every run meets proves nothing, and one that no run can meet says nothing about the system. Each
is a mistake of the file, told before anything starts.
"""

from __future__ import annotations

from dataclasses import fields

from experiment.decoding import Decoder, hints_of, item_mark
from experiment.scenario import LATENCIES, Scenario, fault_window, phase_starts
from experiment.topology import System
from experiment.units import DURATION, Bound, quantity_text
from experiment.yaml_source import Mapping, Node, key_place, place

FIGURES = ("success", *LATENCIES)
SECTIONS = ("baseline", "fault", "after")
# What each process takes beside its rate; another's key would change nothing.
KEYS = {
    "poisson": (),
    "constant": (),
    "ramp": ("to",),
    "burst": ("burst_rate", "burst_every", "burst_for", "burst_at"),
    "replay": ("file",),
}


def check_sense(decoder: Decoder, node: Mapping, scenario: Scenario, system: System) -> None:
    """Every value that changes nothing, or that nothing can meet."""
    _arrivals(decoder, node, scenario)
    _faults(decoder, node, scenario)
    _changes(decoder, node, scenario, system)
    _recovery(decoder, node, scenario)
    _latencies(decoder, node, scenario, system)
    _allowances(decoder, node, scenario, system)
    _journeys(decoder, node, scenario, system)
    _repetitions(decoder, node, scenario)
    _aborts(decoder, node, scenario)
    _counts(decoder, node, scenario, system)


def _arrivals(decoder: Decoder, node: Node, scenario: Scenario) -> None:
    arrivals = scenario.load.arrivals
    known = {name for names in KEYS.values() for name in names} | {"rate"}
    taken = {*KEYS[arrivals.process], *(() if arrivals.process == "replay" else ("rate",))}
    for name in sorted(known - taken):
        if getattr(arrivals, name):
            where = key_place(node, "load", "arrivals", name)
            decoder.fail(
                where, f'the key "{name}" of {arrivals.process} arrivals', "no such key: it changes nothing"
            )
    every, lasting = arrivals.burst_every, arrivals.burst_for
    if arrivals.process == "burst" and every is not None and lasting is not None and lasting > every:
        found = f"bursts of {_text(lasting)} every {_text(every)}"
        decoder.fail(place(node, "load", "arrivals", "burst_for"), found, "bursts that end before the next")


def _faults(decoder: Decoder, node: Node, scenario: Scenario) -> None:
    """A delay that is longer than its fault is another fault: a silence."""
    for index, spec in enumerate(scenario.faults):
        start, end = fault_window(spec, scenario.phases)
        free = getattr(type(spec.fault), "unbounded", ())  # times that need no time, such as a clock's error
        for one in fields(spec.fault):  # type: ignore[arg-type]  # every fault is a dataclass
            value = getattr(spec.fault, one.name)
            if item_mark(hints_of(type(spec.fault))[one.name]) is not DURATION or one.name in free:
                continue
            if value > end - start > 0:
                found = f"a {one.name} of {_text(value)} in a fault of {_text(end - start)}"
                where = place(node, "faults", index, one.name)
                decoder.fail(where, found, "one that is shorter than the fault")


def _changes(decoder: Decoder, node: Node, scenario: Scenario, system: System) -> None:
    """A change that its service does not offer would never be made."""
    for index, spec in enumerate(scenario.faults):
        name: str | None = getattr(spec.fault, "change", None)
        if name is None:
            continue
        for target in spec.targets:
            known = system.services[target].changes
            if name not in known:
                where = place(node, "faults", index, "change")
                found = f'the change "{name}", which {target} does not offer'
                expected = f"one of services.{target}.changes in the system's file"
                decoder.fail(
                    where, found, expected, decoder.nearest(name, known) if known else "it offers none"
                )


def _recovery(decoder: Decoder, node: Node, scenario: Scenario) -> None:
    """After the recovery phase the load ends: what comes later is not seen."""
    length = scenario.phases.recovery
    given = place(node, "expect", "recovery", "within") != place(node, "expect", "recovery")
    if scenario.expect.recovery is not None and given and 0 < length < scenario.expect.recovery.within:
        found = f"a recovery within {scenario.expect.recovery.within:g} s in a phase of {length:g} s"
        decoder.fail(place(node, "expect", "recovery", "within"), found, "at most as long as phases.recovery")


def _latencies(decoder: Decoder, node: Node, scenario: Scenario, system: System) -> None:
    for section in SECTIONS:
        for index, expectation in enumerate(getattr(scenario.expect, section)):
            patience = system.journeys[expectation.journey].patience
            for name in LATENCIES:
                bound = getattr(expectation, name)
                if bound is None:
                    continue
                where = place(node, "expect", section, index, name)
                relative = not isinstance(bound, Bound)
                if relative and section == "baseline":
                    expected = 'a bound of its own such as "<= 2s": the baseline has nothing beside it'
                    decoder.fail(where, f'{name} "{bound.text}" in the baseline', expected)
                elif (bound.extra if relative else bound.limit) > patience:
                    whose = f"{expectation.journey}, whose users give up after {patience:g} s"
                    found = f'{name} "{bound.text}" of {whose}'
                    decoder.fail(where, found, f'a bound that can be missed, "<= {patience:g}s" at most')


def _allowances(decoder: Decoder, node: Node, scenario: Scenario, system: System) -> None:
    """What a phase allows beyond a journey's own objective is more than that, and never the baseline's: a
    system that is refused or late before anything is broken has nothing to be degraded from."""
    for section in SECTIONS:
        for index, expectation in enumerate(getattr(scenario.expect, section)):
            for name in ("refused", "good_within"):
                if section == "baseline" and getattr(expectation, name):
                    where = key_place(node, "expect", section, index, name)
                    expected = "it in fault or after: nothing is broken before"
                    decoder.fail(where, f"{name} in the baseline", expected)
            journey, late = system.journeys[expectation.journey], expectation.good_within
            if late is not None and not journey.p95 < late <= journey.patience:
                found = f"good_within {late:g} s of {expectation.journey}, where {journey.p95:g} s are good"
                expected = (
                    f"more than that, and at most {journey.patience:g} s, after which its users give up"
                )
                decoder.fail(place(node, "expect", section, index, "good_within"), found, expected)


def _journeys(decoder: Decoder, node: Node, scenario: Scenario, system: System) -> None:
    """An objective for what no user does has no data, ever."""
    mixes = [name for name, weight in scenario.load.journeys.items() if weight > 0]
    played = {step.journey for name in mixes for step in system.mixes[name]}
    for index, condition in enumerate(scenario.abort):
        if condition.journey is not None and condition.journey not in played:
            found = f'the journey "{condition.journey}", which the load does not play'
            expected = f"a journey of {', '.join(mixes)}: {', '.join(sorted(played))}"
            decoder.fail(place(node, "abort", index, "journey"), found, expected)
    for section in SECTIONS:
        for index, expectation in enumerate(getattr(scenario.expect, section)):
            if expectation.journey not in played:
                found = f'the journey "{expectation.journey}", which the load does not play'
                expected = f"a journey of {', '.join(mixes)}: {', '.join(sorted(played))}"
                decoder.fail(place(node, "expect", section, index, "journey"), found, expected)


def _repetitions(decoder: Decoder, node: Node, scenario: Scenario) -> None:
    for section in SECTIONS:
        seen: set[tuple[str, str]] = set()
        for index, expectation in enumerate(getattr(scenario.expect, section)):
            for name in FIGURES:
                if getattr(expectation, name) is None:
                    continue
                if (expectation.journey, name) in seen:
                    where = key_place(node, "expect", section, index, name)
                    found = f"{name} of {expectation.journey} a second time in {section}"
                    decoder.fail(where, found, "each figure of a journey once")
                seen.add((expectation.journey, name))
    waived: set[str] = set()
    for index, waiver in enumerate(scenario.waivers):
        if waiver.invariant in waived:
            where = place(node, "waivers", index, "invariant")
            decoder.fail(
                where, f'the waiver of "{waiver.invariant}" a second time', "one waiver for a property"
            )
        waived.add(waiver.invariant)


def _aborts(decoder: Decoder, node: Node, scenario: Scenario) -> None:
    """A condition that no run is long enough for, or that stands there twice, changes nothing."""
    length = phase_starts(scenario.phases)["settle"]
    for index, condition in enumerate(scenario.abort):
        if condition.seconds > length > 0:
            found = f"a condition that must last {_text(condition.lasting)} in a load of {_text(length)}"
            decoder.fail(place(node, "abort", index, "lasting"), found, "one that can be met before the end")
        if condition.p95 is not None and condition.p95 > length > 0:
            found = f"a p95 of {_text(condition.p95)} in a load of {_text(length)}"
            decoder.fail(place(node, "abort", index, "p95"), found, "one that can be met before the end")
        if condition in scenario.abort[:index]:
            decoder.fail(place(node, "abort", index), f"{condition} a second time", "each condition once")


def _counts(decoder: Decoder, node: Node, scenario: Scenario, system: System) -> None:
    """What is counted and what is waited for have to be possible within the run."""
    length = phase_starts(scenario.phases)["settle"]
    if scenario.staleness.age > length > 0:
        found = f"an age of {_text(scenario.staleness.age)} in a run of {_text(length)}"
        decoder.fail(place(node, "staleness", "age"), found, "a bound that can be missed")
    arrivals = scenario.load.arrivals
    if arrivals.process == "replay" or not scenario.faults:
        return
    most = max(len(system.mixes[name]) for name in scenario.load.journeys)
    peak = max(arrivals.rate, arrivals.to or 0.0, arrivals.burst_rate or 0.0)
    possible = peak * length * most
    if scenario.expect.minimum_operations > possible:
        found = f"{scenario.expect.minimum_operations:,} operations of some {possible:,.0f} in the whole run"
        where = place(node, "expect", "minimum_operations")
        decoder.fail(where, found, "a number that the load can reach while faults act")


def _text(seconds: float) -> str:
    return quantity_text(seconds, DURATION)
