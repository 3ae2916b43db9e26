"""`scan`: every link and every service of a system, broken in every usual way, one after the other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from execution.commands.lazy import Pasteable
from execution.commands.option_sets import live_options, rate_option, seed_option
from execution.commands.parameters import FILE, json_option
from execution.commands.saying import say_results, tell_progress
from execution.options import Options

if TYPE_CHECKING:
    from reports.scan import Cell


@click.command(cls=Pasteable, epilog="Example: codeblue scan examples/shop --runtime simulation")
@click.argument("folder", required=False, type=FILE, metavar="[SYSTEM]")
@click.option("--design", help="Design of the system. [default: the system's strong or only one]")
@seed_option("Seed of every random choice.", default=1)
@rate_option
@live_options
@json_option
def scan(
    folder: Path | None, design: str | None, seed: int, rate: str, as_json: bool, options: Options
) -> int:
    """SYSTEM is the folder of a system, or its system.yaml. Plays latency, blackhole, refusal, reset and lost
    response on every link, crash and pause on every service: a run of about 20 seconds for each place. The
    table shows the verdicts, the worst place first. What the runtime cannot play is said, and never counts as
    passed."""
    from execution.campaigns.looks import Asked
    from execution.campaigns.looks import scan as scan_system
    from execution.catalogue import default_catalogue
    from execution.commands.progress import Runs
    from execution.commands.session import live_session, started
    from execution.program import typed
    from experiment.errors import gravest
    from reports.scan import scan_lines

    options = replace(options, system=folder or options.system)
    catalogue = default_catalogue(options.system)
    asked = Asked(design or catalogue.usual_design(), seed, rate, typed())

    def finished(cell: Cell) -> None:
        tell_progress(f"  {cell.kind} on {cell.target}: {cell.word}")

    with live_session(options.runtime) as interruption:
        found = scan_system(catalogue, options, asked, Runs(), started, finished, interruption.stop)
    say_results(scan_lines(found.report), found.folder / "scan.html", as_json)
    return int(gravest({interruption.exit_code or found.exit_code, found.exit_code}))
