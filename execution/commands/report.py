"""`report`: the reports of a judged run, rendered again; of several, a page with them side by side."""

from __future__ import annotations

from pathlib import Path

import click

from execution.commands.lazy import Pasteable
from execution.commands.option_sets import system_option
from execution.commands.parameters import FILE, json_option
from execution.commands.saying import dump, say


@click.command(cls=Pasteable, epilog="Example: codeblue report reports/runs/NAME")
@click.argument("folders", type=FILE, nargs=-1, required=True)
@system_option
@json_option
def report(folders: tuple[Path, ...], system: Path | None, as_json: bool) -> int:
    """FOLDERS are run folders. Nothing is judged again: `codeblue check` does that.

    Of two folders or more of one scenario, a page beside the first one shows what differs between them, on
    the same axes.
    """
    from execution.runs.judging import render
    from execution.runs.run_folder import RunFolder
    from execution.runs.side_by_side import write_beside
    from experiment.errors import ExitCode
    from reports.formats import RUN_FORMATS

    runs = [RunFolder(folder, system) for folder in folders]
    made, written = [], []
    for run in runs:
        run.system()
        made.append((run, render(run, run.history())))
        for name in RUN_FORMATS if len(runs) == 1 else ():
            written.append(run.path / name)
    if len(made) > 1:
        written.append(write_beside(made))
    if as_json:
        dump({"files": [str(path) for path in written]})
    else:
        for path in written:
            say(str(path))
    return int(ExitCode.PASS)
