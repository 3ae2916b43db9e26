"""`report`: the reports of a judged run, rendered again."""

from __future__ import annotations

from pathlib import Path

import click

from execution.commands.lazy import Pasteable
from execution.commands.parameters import FILE
from execution.commands.saying import say


@click.command(cls=Pasteable, epilog="Example: codeblue report reports/runs/NAME")
@click.argument("folder", type=FILE)
def report(folder: Path) -> int:
    """FOLDER is a run folder. Nothing is judged again: `codeblue check` does that."""
    from execution.runs.judging import render
    from execution.runs.run_folder import RunFolder
    from experiment.errors import ExitCode
    from reports import RUN_FORMATS

    run = RunFolder(folder)
    render(run, run.history())
    for name in RUN_FORMATS:
        say(str(folder / name))
    return int(ExitCode.PASS)
