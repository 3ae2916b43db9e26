"""`diff`: what differs between two designs, or between two scenarios."""

from __future__ import annotations

from pathlib import Path

import click

from execution.commands.completing import designs_or_scenarios
from execution.commands.lazy import Pasteable
from execution.commands.option_sets import system_option
from execution.commands.parameters import json_option
from execution.commands.saying import dump, say, say_table


@click.command(cls=Pasteable, epilog="Example: codeblue diff fragile resilient")
@click.argument("first", metavar="A", shell_complete=designs_or_scenarios)
@click.argument("second", metavar="B", shell_complete=designs_or_scenarios)
@system_option
@json_option
def diff(first: str, second: str, system: Path | None, as_json: bool) -> int:
    """A and B are names, as `list` shows them, or files: both designs or both scenarios. Only what differs is
    shown, as a file writes it. Exit 0, also where nothing differs.
    """
    from execution.catalogue import default_catalogue
    from execution.spelling import design_rows, scenario_rows
    from experiment.errors import ExitCode, UsageError
    from experiment.tables import Table
    from experiment.units import noun

    catalogue = default_catalogue(system, [first, second])
    of = catalogue.system()
    kind, other = (catalogue.kind_of(name) for name in (first, second))
    if kind != other:
        found = f"the {kind.removesuffix('s')} {first} and the {other.removesuffix('s')} {second}"
        raise UsageError(f"found {found}, expected two designs or two scenarios")
    if kind == "designs":
        rows = tuple(design_rows(catalogue.design(first, of), catalogue.design(second, of), of))
    else:
        rows = tuple(scenario_rows(catalogue.scenario(first, of), catalogue.scenario(second, of)))
    if as_json:
        dump([{"what": what, "first": one, "second": other} for what, one, other in rows])
    elif rows:
        say_table(Table("", ("", first, second), rows))
        say(noun(len(rows), "difference"))
    else:
        say(f"{first} and {second} do not differ")
    return int(ExitCode.PASS)
