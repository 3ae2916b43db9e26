"""`explain`: a scenario, or a kind of fault, in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from execution.commands.completing import scenarios_or_faults
from execution.commands.lazy import Pasteable
from execution.commands.option_sets import system_option
from execution.commands.parameters import json_option
from execution.commands.saying import dump, say_table

if TYPE_CHECKING:
    from experiment.controls import Fault
    from experiment.scenario import Scenario
    from experiment.topology import System

Told = dict[str, tuple[tuple[str, str], ...]]  # heading to rows of label and text


@click.command(cls=Pasteable, epilog="Example: codeblue explain smoke/registry_flapping")
@click.argument("name", metavar="SCENARIO_OR_FAULT", shell_complete=scenarios_or_faults)
@system_option
@json_option
def explain(name: str, system: Path | None, as_json: bool) -> int:
    """Says what load a scenario plays, what breaks when, what must hold and why; of a kind of fault, what it
    does and which keys it takes. Nothing is started.
    """
    from execution.catalogue import default_catalogue
    from experiment.errors import ExitCode
    from experiment.tables import Table
    from faults import KINDS

    catalogue = default_catalogue(system, [name])
    if name in KINDS and name not in catalogue.scenario_files():
        told = of_fault(KINDS[name])
    else:
        of = catalogue.system()
        told = of_scenario(name, catalogue.scenario(name, of), of)
    if as_json:
        dump({heading: [list(row) for row in rows] for heading, rows in told.items()})
    else:
        for heading, rows in told.items():
            say_table(Table(heading, (), rows))
    return int(ExitCode.PASS)


def of_scenario(name: str, scenario: Scenario, system: System) -> Told:
    """Headings with their rows, in the order of a run."""
    return {
        scenario.name: (("shows", scenario.title), *_why(scenario)),
        "load": tuple(_load(scenario, system)),
        "what breaks": tuple(_breaks(scenario, system)) or (("nothing", "no fault is injected"),),
        "what must hold": tuple(_holds(scenario, system)),
        **({"what ends it at once": _ends(scenario)} if scenario.abort else {}),
        "next": (
            ("timeline", f"codeblue plan {name}"),
            ("in virtual time", f"codeblue run {name} --runtime simulation"),
            ("live", f"codeblue run {name}"),
        ),
    }


def _why(scenario: Scenario) -> Iterator[tuple[str, str]]:
    covers = scenario.covers
    for label, numbers in (("causes", covers.causes), ("principles", covers.principles)):
        if numbers:
            yield label, f"{', '.join(map(str, numbers))} (of those that `codeblue list` counts)"


def _load(scenario: Scenario, system: System) -> Iterator[tuple[str, str]]:
    from execution.spelling import spelt_time
    from experiment.scenario import PHASES

    arrivals = scenario.load.arrivals
    rates = {
        "poisson": f"{arrivals.rate:g} a second on average, at random times",
        "constant": f"{arrivals.rate:g} a second, evenly spaced",
        "ramp": f"from {arrivals.rate:g} to {arrivals.to or 0:g} a second",
        "burst": f"{arrivals.rate:g} a second, and {arrivals.burst_rate or 0:g} a second for "
        f"{spelt_time(arrivals.burst_for)} every {spelt_time(arrivals.burst_every)}",
        "replay": f"at the times in {arrivals.file}",
    }
    yield "arrivals", f"{rates[arrivals.process]}; they do not wait for answers"
    whole = sum(scenario.load.journeys.values())
    for mix, weight in scenario.load.journeys.items():
        steps = ", ".join(
            f"{step.journey}{f' after {spelt_time(step.at)}' if step.at else ''}"
            f"{f' ({step.share:.0%})' if step.share < 1 else ''}"
            for step in system.mixes.get(mix, ())
        )
        yield f"{mix} {weight / whole:.0%}", steps
    lengths = [(name, getattr(scenario.phases, name)) for name in PHASES]
    told = [f"{name.replace('_', '-')} {spelt_time(length)}" for name, length in lengths if length]
    yield "phases", ", ".join(told)


def _breaks(scenario: Scenario, system: System) -> Iterator[tuple[str, str]]:
    from execution.spelling import fault_text, spelt_time
    from experiment.needs import played
    from experiment.scenario import fault_window

    for spec in scenario.faults:
        start, end = fault_window(spec, scenario.phases)
        when = f"{start:g} s to {end:g} s"
        flaps = ""
        if spec.repeat is not None:
            flaps = f", {spelt_time(spec.repeat.up)} on and {spelt_time(spec.repeat.down)} off"
        yield when, fault_text(spec) + flaps
        yield "", _does(type(spec.fault))
        met = sorted(name for name in played(system, scenario) if _meets(system, name, spec.targets))
        yield "", f"users who may meet it: {', '.join(met)}" if met else "no user of this load can meet it"


def _meets(system: System, journey: str, targets: tuple[str, ...]) -> bool:
    return any(system.depends(journey, target) for target in targets)


def _holds(scenario: Scenario, system: System) -> Iterator[tuple[str, str]]:
    from execution.spelling import objective_text, spelt_time
    from experiment.needs import concerns

    expect = scenario.expect
    sections = (
        ("before any fault", expect.baseline),
        ("while faults act", expect.fault),
        ("after the recovery", expect.after),
    )
    for when, objectives in sections:
        for asked in objectives:
            yield when, f"{asked.journey}: {objective_text(asked)}"
    recovery = expect.recovery
    if recovery is not None:
        within, hold = spelt_time(recovery.within), spelt_time(recovery.hold)
        yield "recovery", f"back to {recovery.share:.0%} of the baseline within {within}, for {hold}"
    for name, stated in system.properties.items():
        if concerns(name, system, scenario):
            asked_for = "" if name in expect.invariants else " Judged because this load exercises it."
            veto = " A violation is a veto." if stated.safety else ""
            yield name, f"{stated.says}{asked_for}{veto}"


def _ends(scenario: Scenario) -> tuple[tuple[str, str], ...]:
    told = "everything is healed, the load stops, the verdict is aborted"
    return tuple((str(condition), told) for condition in scenario.abort)


def _does(kind: type[Fault]) -> str:
    return " ".join((kind.__doc__ or "").split())


def of_fault(kind: type[Fault]) -> Told:
    """What the kind does, what it acts on, and its keys with their defaults."""
    from dataclasses import MISSING, fields

    from execution.spelling import spelt
    from experiment.decoding import expected_of, hints_of
    from experiment.schema import field_texts

    hints, texts = hints_of(kind), field_texts(kind)
    keys = []
    for one in fields(kind):  # type: ignore[arg-type]  # every fault is a dataclass
        usual = "needed" if one.default is MISSING else f"usually {spelt(one.default, hints[one.name])}"
        keys.append((one.name, f"{texts.get(one.name, '')} ({expected_of(hints[one.name])}; {usual})"))
    return {str(kind.kind): (("does", _does(kind)),), "keys": tuple(keys) or (("(none)", ""),)}
