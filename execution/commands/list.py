"""`list`: what a system has, by kind, or the runs that have finished."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import click

from execution.commands.lazy import Pasteable
from execution.commands.option_sets import system_option
from execution.commands.parameters import json_option
from execution.commands.saying import dump, say_table

if TYPE_CHECKING:
    from execution.catalogue import Catalogue
    from experiment.scenario import Covers, Scenario
    from experiment.topology import System

KINDS_LISTED = (
    *("scenarios", "designs", "suites", "faults", "properties", "services", "links", "switches", "journeys"),
    *("mixes", "causes", "principles"),
)
Rows = Mapping[str, str]  # name -> one line about it


@click.command("list", cls=Pasteable, epilog="Example: codeblue list --json")
@click.argument("kind", required=False, metavar="[KIND]", type=click.Choice(KINDS_LISTED))
@click.option("--runs", is_flag=True, help="List the finished runs in reports/runs instead.")
@system_option
@json_option
def list_(kind: str | None, runs: bool, system: Path | None, as_json: bool) -> int:
    """KIND is one of scenarios, designs, suites, faults, properties, services, links, switches, journeys,
    mixes, causes and principles; without it all are shown. Of causes of failure and principles of design it
    says how often each is covered.
    """
    from execution.catalogue import default_catalogue
    from execution.options import Options
    from experiment.errors import ExitCode
    from experiment.tables import Table

    found = {"runs": finished_runs(Options().out)} if runs else contents(default_catalogue(system))
    if kind is not None and not runs:
        found = {kind: found[kind]}
    if as_json:
        dump(found)
        return int(ExitCode.PASS)
    for heading, rows in found.items():
        say_table(Table(f"{heading}:", (), tuple(rows.items()) or (("(none)", ""),)))
    return int(ExitCode.PASS)


def contents(catalogue: Catalogue) -> dict[str, Rows]:
    """Kinds of things, each with names and titles. A broken file is listed with its mistake."""
    from execution.catalogue import unique
    from experiment.scenario import CAUSES, PRINCIPLES
    from faults import KINDS

    system = catalogue.system()
    scenarios = {
        name: _read(partial(catalogue.scenario, name, system)) for name in unique(catalogue.scenario_files())
    }
    designs = unique(catalogue.design_files())
    suites = unique(catalogue.suite_files())
    return {
        "system": {system.name: system.title},
        "scenarios": {name: _title(scenario) for name, scenario in scenarios.items()},
        "causes": _covered(scenarios, CAUSES, lambda covers: covers.causes),
        "principles": _covered(scenarios, PRINCIPLES, lambda covers: covers.principles),
        "designs": {name: _title(_read(partial(catalogue.design, name, system))) for name in designs},
        "suites": {name: _title(_read(partial(catalogue.suite, path))) for name, path in suites.items()},
        "faults": {name: _first_sentence(kind) for name, kind in sorted(KINDS.items())},
        "properties": {name: stated.says for name, stated in system.properties.items()},
        **_parts(system),
    }


def _parts(system: System) -> dict[str, Rows]:
    """Services, links, switches, journeys and mixes."""
    from experiment.switches import described

    return {
        "services": {
            name: service.title + (f" ({service.role})" if service.role != "service" else "")
            for name, service in system.services.items()
        },
        "links": {link.name: link.protocol for link in system.links},
        "switches": {name: described(switch) for name, switch in system.switches.items()},
        "journeys": {
            name: f"at {journey.entry}" + (f"; uses {', '.join(journey.uses)}" if journey.uses else "")
            for name, journey in system.journeys.items()
        },
        "mixes": {
            name: ", ".join(f"{step.journey} {step.share:.0%}" for step in steps)
            for name, steps in system.mixes.items()
        },
    }


def finished_runs(folder: Path) -> Rows:
    """Run and suite folders, the newest first."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*"), reverse=True):
        if (path / "run.json").is_file():
            found[str(path)] = "judged" if (path / "analysis.json").is_file() else "not judged"
        elif (path / "suite.html").is_file():
            found[str(path)] = "suite"
    return found


class Titled(Protocol):
    @property
    def title(self) -> str: ...


T = TypeVar("T", bound=Titled)


def _read(read: Callable[[], T]) -> T | str:
    """What was read, or what is said of the mistake that it has."""
    from experiment.errors import ConfigError

    try:
        return read()
    except ConfigError as error:
        return f"(has mistakes: {str(error).splitlines()[0]})"


def _title(read: Titled | str) -> str:
    return read if isinstance(read, str) else read.title


def _covered(
    scenarios: Mapping[str, Scenario | str], numbers: range, of: Callable[[Covers], tuple[int, ...]]
) -> Rows:
    """Number of a cause, or of a principle, to the scenarios that cover it and how many they are."""
    from experiment.units import noun

    rows: dict[str, str] = {}
    for number in numbers:
        names = [
            name for name, one in scenarios.items() if not isinstance(one, str) and number in of(one.covers)
        ]
        rows[str(number)] = f"{noun(len(names), 'scenario')}: {', '.join(names)}" if names else "no scenario"
    return rows


def _first_sentence(cls: type) -> str:
    words = " ".join((cls.__doc__ or "").split())
    return words.partition(". ")[0].removesuffix(".") + "."
