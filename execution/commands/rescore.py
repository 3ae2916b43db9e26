"""`rescore`: stored runs, scored with today's formula."""

from __future__ import annotations

from pathlib import Path

import click

from execution.commands.lazy import Pasteable
from execution.commands.option_sets import results_option, system_option
from execution.commands.parameters import json_option
from execution.commands.saying import dump, say, tell
from execution.commands.trend import of_system, stored_results


@click.command(cls=Pasteable, epilog="Example: codeblue rescore --all")
@click.option("--all", "every", is_flag=True, help="Also runs that were scored with today's formula.")
@results_option
@system_option
@json_option
def rescore(every: bool, results: Path | None, system: Path | None, as_json: bool) -> int:
    """Each is scored from its history. Exit 2 when a run could not be."""
    from execution.campaigns.stored_runs import rescore as rescore_all
    from experiment.errors import ExitCode
    from experiment.units import noun
    from measurement.score import FORMULA

    store = stored_results(results)
    done, problems = rescore_all(store, of_system(store.read(), system), every)
    if as_json:
        dump({"formula": FORMULA, "scored": done, "not_scored": problems})
    else:
        for problem in problems:
            tell(f"not scored again: {problem}")
        say(f"{noun(done, 'run')} scored again, {len(problems)} could not be")
    return int(ExitCode.INCONCLUSIVE if problems else ExitCode.PASS)
