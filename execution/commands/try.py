"""`try`: within a minute, whether a system starts, is wired, and bears slow links."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from execution.commands.lazy import Pasteable
from execution.commands.option_sets import live_options, rate_option, seed_option
from execution.commands.parameters import FILE
from execution.commands.saying import say, tell
from execution.options import Options

if TYPE_CHECKING:
    from measurement.analysis import FaultWindow


@click.command("try", cls=Pasteable, epilog="Example: codeblue try examples/shop --design as_it_is")
@click.argument("folder", required=False, type=FILE, metavar="[SYSTEM]")
@click.option("--design", help="Design of the system. [default: the system's strong or only one]")
@seed_option("Seed of every random choice.", default=1)
@rate_option
@live_options
def try_(folder: Path | None, design: str | None, seed: int, rate: str, options: Options) -> int:
    """SYSTEM is the folder of a system, or its system.yaml. Starts it, plays ten seconds of load, then makes
    one link after the other slow for up to three seconds, loses the answers of the last ones, and judges what
    is left. It says of each link what its caller sent there, which proves how it is wired. The scenario is
    written below the run folders, to go on from."""
    from execution.campaigns.looks import Asked, plan_look
    from execution.catalogue import default_catalogue
    from execution.commands.progress import Runs
    from execution.commands.session import ends_early, live_session, say_run, started
    from execution.runs.pipeline import run_plans
    from experiment.errors import ExitCode, gravest

    options = replace(options, system=folder or options.system)
    catalogue = default_catalogue(options.system)
    look = plan_look(catalogue, options, Asked(design or catalogue.usual_design(), seed, rate))
    codes: set[ExitCode] = set()
    with live_session(options.runtime) as interruption, ends_early():
        for result in run_plans([look.plan], options, Runs(1), interruption.stop, started):
            codes.add(result.exit_code)
            say_run(result)
            for window in result.analysis.faults:
                say(f"  wiring   {_proof(window)}")
    if look.left:
        tell(f"no time was left for {', '.join(look.left)}: `codeblue scan` plays every link")
    return int(gravest(codes if interruption.exit_code is None else {*codes, interruption.exit_code}))


def _proof(window: FaultWindow) -> str:
    """What the caller of a link sent over its proxy before the fault, and whether the fault met it."""
    before = window.carried_before
    sent = "" if before is None else f"{before:,.0f} bytes before the fault; "
    met = "met by its caller" if window.observed else "NOT met by its caller"
    return f"{window.target}: {sent}{window.kind} {met}"
