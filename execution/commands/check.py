"""`check`: a finished run, judged again."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from execution.commands.lazy import Pasteable
from execution.commands.option_sets import system_option
from execution.commands.parameters import FILE, json_option
from execution.commands.saying import say, say_json
from execution.commands.terminal import coloured


@click.command(cls=Pasteable, epilog="Example: codeblue check reports/runs/NAME")
@click.argument("folder", type=FILE)
@system_option
@json_option
def check(folder: Path, system: Path | None, as_json: bool) -> int:
    """FOLDER is a run folder. Its reports are rendered again, too, and its history in columns is compared
    with its lines, row by row. --system says where the system lies now, if it has moved. The exit code is
    the run's.
    """
    from execution.runs.judging import judge_again, render
    from execution.runs.run_folder import RunFolder
    from experiment.verdict import exit_code
    from measurement.judge import analysis_to_json
    from reports.console import run_lines

    run = RunFolder(folder, system)
    history = run.history(compared=True)
    analysis = judge_again(run, history)
    made = render(run, history, analysis)
    if as_json:
        say_json(analysis_to_json(made.analysis).decode())
    else:
        for text in run_lines(made, colour=coloured(sys.stdout)):
            say(text)
    return int(exit_code(analysis.verdict, analysis.vetoed, history.end))
