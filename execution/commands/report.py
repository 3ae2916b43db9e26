"""`report`: the reports of a judged run, rendered again."""

from __future__ import annotations

from pathlib import Path

import click

from execution.commands.lazy import Pasteable
from execution.commands.option_sets import system_option
from execution.commands.parameters import FILE
from execution.commands.saying import say


@click.command(cls=Pasteable, epilog="Example: codeblue report reports/runs/NAME")
@click.argument("folder", type=FILE)
@system_option
def report(folder: Path, system: Path | None) -> int:
    """FOLDER is a run folder. Nothing is judged again: `codeblue check` does that."""
    from execution.runs.judging import render
    from execution.runs.run_folder import RunFolder
    from experiment.errors import ExitCode
    from reports.formats import RUN_FORMATS

    run = RunFolder(folder, system)
    run.system()
    render(run, run.history())
    for name in RUN_FORMATS:
        say(str(folder / name))
    return int(ExitCode.PASS)
