"""`trend`: figures of a suite over runs and commits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from execution.commands.lazy import Pasteable
from execution.commands.option_sets import results_option, system_option
from execution.commands.parameters import OutputFolder, json_option
from execution.commands.saying import say_results, shown
from execution.whole_files import write_whole

if TYPE_CHECKING:
    from trend.store import Result, Results


@click.command(cls=Pasteable, epilog="Example: codeblue trend smoke --scenario registry_flapping")
@click.argument("suite")
@click.option("--scenario", default="", help="Only this scenario of the suite.")
@click.option("--out", type=OutputFolder(), help="Folder for the page. [default: that of the results]")
@results_option
@system_option
@json_option
def trend(
    suite: str, scenario: str, out: Path | None, results: Path | None, system: Path | None, as_json: bool
) -> int:
    """The figures are score, p95 and time to recover."""
    from execution.program import typed
    from experiment.errors import ExitCode, UsageError, nearest
    from trend.formats import TREND_FORMATS, said
    from trend.report import trend_report

    store = stored_results(results)
    found = of_system(store.read(suite), system)
    if not found:
        stored = sorted({result.suite for result in store.read()})
        raise UsageError(
            f'found no result of a suite "{suite}" in {shown(store.path)}, expected one of '
            f"{', '.join(stored) or 'those that `codeblue suite NAME` will write'}"
        )
    systems = {system_of(result) for result in found}
    if len(systems) > 1:
        of = " and ".join(sorted(systems))
        raise UsageError(
            f'found results of a suite "{suite}" of the systems {of}, expected --system with one'
        )
    names = {Path(result.record.scenario).stem for result in found}
    if scenario and Path(scenario).stem not in names:
        raise UsageError(
            f'found no result of a scenario "{scenario}" in the suite {suite}, expected one of it: '
            f"{nearest(Path(scenario).stem, names)}"
        )
    report = trend_report(found, suite, scenario, typed())
    folder = out or store.path.parent
    folder.mkdir(parents=True, exist_ok=True)
    for name, rendering in TREND_FORMATS.items():
        write_whole(folder / name, rendering(report))
    say_results(said(report), folder / "trend.html", as_json)
    return int(ExitCode.PASS)


def stored_results(named: Path | None) -> Results:
    """The results that are meant. Raises UsageError for a file that was named and is not there: no result of
    it would look like nothing to do."""
    from execution.places import RUNS
    from experiment.errors import UsageError
    from trend.store import FILE_NAME, Results

    if named is not None and not named.is_file():
        raise UsageError(f"found no file {named}, expected one of results that `codeblue suite NAME` wrote")
    return Results(named or RUNS / FILE_NAME)


def of_system(found: Sequence[Result], system: Path | None) -> list[Result]:
    """The results of the system that was named; all when none was."""
    from execution.catalogue import default_catalogue

    if system is None:
        return list(found)
    name = default_catalogue(system).system().name
    return [result for result in found if system_of(result) == name]


def system_of(result: Result) -> str:
    """The name of the system that was run."""
    from execution.catalogue import REFERENCE, read_system

    return result.record.system or read_system(REFERENCE).name
