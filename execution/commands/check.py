"""`check`: a finished run, judged again."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from execution.commands.lazy import Pasteable
from execution.commands.option_sets import FILE, json_option
from execution.commands.saying import say


@click.command(cls=Pasteable, epilog="Example: codeblue check reports/runs/NAME")
@click.argument("folder", type=FILE)
@json_option
def check(folder: Path, as_json: bool) -> int:
    """Judge a finished run again from its history.

    Renders its reports again, too. The exit code is the run's.
    """
    from execution.runs.judging import judge, render
    from execution.runs.run_folder import RunFolder
    from experiment.verdict import exit_code
    from reports.console import run_lines
    from reports.loading import load_run_report

    run = RunFolder(folder)
    history = run.history()
    analysis = judge(run, history)
    render(run, history)
    if as_json:
        say(run.analysis_path.read_text(encoding="utf-8"))
    else:
        for text in run_lines(load_run_report(folder), colour=sys.stdout.isatty()):
            say(text)
    return int(exit_code(analysis.verdict, analysis.vetoed, history.end))
