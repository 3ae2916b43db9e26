"""Commands over the stored results of suites: trend and rescore."""

from __future__ import annotations

from pathlib import Path

from execution.campaigns.stored_runs import rescore as rescore_all
from execution.commands.saying import say, say_results, shown, tell
from execution.commands.session import typed
from execution.places import RUNS
from experiment.errors import ExitCode, UsageError, nearest
from experiment.units import noun
from trend.formats import TREND_FORMATS, lines
from trend.report import trend_report
from trend.store import FILE_NAME, Results


def trend(suite: str, scenario: str, results: Path | None, out: Path | None, as_json: bool) -> int:
    """Figures over runs and commits; the page lands beside the results."""
    store = _store(results)
    found = store.read(suite)
    if not found:
        stored = sorted({result.suite for result in store.read()})
        raise UsageError(
            f'found no result of a suite "{suite}" in {shown(store.path)}, expected one of '
            f"{', '.join(stored) or 'those that `python harness.py suite NAME` will write'}"
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
        (folder / name).write_text(rendering(report), encoding="utf-8")
    say_results(lines(report), folder / "trend.html", as_json)
    return int(ExitCode.PASS)


def rescore(results: Path | None, every: bool) -> int:
    """Score old runs with today's formula; 2 when a run could not be."""
    done, problems = rescore_all(_store(results), every)
    for problem in problems:
        tell(f"not scored again: {problem}")
    say(f"{noun(done, 'run')} scored again, {len(problems)} could not be")
    return int(ExitCode.INCONCLUSIVE if problems else ExitCode.PASS)


def _store(named: Path | None) -> Results:
    """The results that are meant. Raises UsageError for a file that was named and is none: no result of
    it would look like nothing to do."""
    if named is not None and not named.is_file():
        raise UsageError(
            f"found no file {named}, expected one of results that `python harness.py suite` wrote"
        )
    return Results(named or RUNS / FILE_NAME)
