"""`describe`: how the callers of a system's links behave, from a run that made links slow."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from execution.commands.lazy import Pasteable
from execution.commands.option_sets import system_option
from execution.commands.parameters import FILE, OutputFile, json_option
from execution.commands.saying import dump, say, shown


@click.command(cls=Pasteable, epilog="Example: codeblue describe reports/runs/NAME --write as_seen.yaml")
@click.argument("folder", type=FILE, metavar="RUN")
@click.option(
    "--write", type=OutputFile(".yaml", ".yml"), metavar="FILE", help="Write what was seen as a design."
)
@system_option
@json_option
def describe(folder: Path, write: Path | None, system: Path | None, as_json: bool) -> int:
    """RUN is the folder of a run with latency or silence on links, such as that of `try`. For each of them:
    how long its caller waits until it gives up, how often it asks again, and how long it pauses in between.
    These are estimates from what the caller sent. As a design they let the twin play the system with them.
    """
    from execution.runs.run_folder import RunFolder
    from execution.whole_files import write_whole
    from experiment.errors import ExitCode, UsageError
    from measurement.callers import callers_of, design_text

    run = RunFolder(folder, system)
    callers = callers_of(run.history(), run.system())
    if not callers:
        raise UsageError(
            f"found no latency or blackhole on a link in {folder}, expected a run of `codeblue try`"
        )
    if write is not None:
        write_whole(write, design_text(write.stem, folder.resolve().name, callers))
    if as_json:
        dump([{**asdict(caller), "statement": caller.statement} for caller in callers])
        return int(ExitCode.PASS)
    for caller in callers:
        say(caller.statement)
    if write is not None:
        say(f"wrote {shown(write)}")
    return int(ExitCode.PASS)
