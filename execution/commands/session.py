"""What every command that runs a system shares: a start and an end in order, and what is seen of the runs in
between."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from execution.commands.interrupts import Interruption, interruptible
from execution.commands.saying import say, shown, tell, tell_progress
from execution.commands.terminal import SCREEN, coloured
from execution.options import CONTAINERS
from execution.places import INSTANCES
from execution.runs.bench import RunResult
from execution.runs.runtime_choice import sweep_containers, sweep_unjournaled_containers
from experiment.stop import Interrupted
from measurement.run_records import RunRecord
from reports.console import run_lines
from reports.report import summarise
from runtimes.leftovers import sweep


@contextmanager
def live_session(runtime: str) -> Iterator[Interruption]:
    """Remove what a killed command left, and say so; from then on signals end the session in order. A command
    that will need the engine asks it, too, for what has lost its journal."""
    with interruptible() as interruption:
        swept = sweep(INSTANCES, sweep_containers)
        if runtime == CONTAINERS:
            swept += sweep_unjournaled_containers()
        for text in swept.lines():
            tell(text)
        try:
            yield interruption
        finally:
            SCREEN.clear()
        if interruption.exit_code is not None:
            tell(interruption.stop.told)


@contextmanager
def ends_early() -> Iterator[None]:
    """What a signal cuts short in this block is told; the command goes on with what has finished."""
    try:
        yield
    except Interrupted as end:
        for text in end.notes:
            tell(text)


def started(what: str) -> None:
    tell(f"system up ({what})")


def say_run(result: RunResult) -> None:
    """The verdict of a finished run, in a few lines, and where its report is."""
    for text in run_lines(result.report, colour=coloured(sys.stdout)):
        say(text)
    say(f"  report: {shown(result.folder.path / 'report.html')}")


def run_json(result: RunResult) -> Mapping[str, Any]:
    """The same for programs."""
    summary = summarise(result.report)
    return {
        "folder": str(result.folder.path),
        **{name: getattr(summary, name) for name in summary.__slots__},
        "exit_code": int(result.exit_code),
    }


def tell_run(result: RunResult, remark: str = "") -> None:
    """One of many runs in a line; the table at the end shows them together."""
    report = result.report
    tell_progress(f"{run_lines(report)[0]}{remark}")


def tell_finished(_record: RunRecord, result: RunResult) -> None:
    """What a campaign says of each run."""
    tell_run(result)
