"""`try`: within a minute, whether a system starts, is wired, and bears slow links."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from execution.commands.lazy import Pasteable
from execution.commands.option_sets import live_options, rate_option, seed_option
from execution.commands.parameters import FILE, json_option
from execution.commands.saying import dump, say, tell
from execution.options import Options

if TYPE_CHECKING:
    from measurement.analysis import FaultWindow


@click.command("try", cls=Pasteable, epilog="Example: codeblue try examples/shop --design as_it_is")
@click.argument("folder", required=False, type=FILE, metavar="[SYSTEM]")
@click.option("--design", help="Design of the system. [default: the system's strong or only one]")
@seed_option("Seed of every random choice.", default=1)
@rate_option
@live_options
@json_option
def try_(
    folder: Path | None, design: str | None, seed: int, rate: str, as_json: bool, options: Options
) -> int:
    """SYSTEM is the folder of a system, or its system.yaml. Starts it, plays ten seconds of load, then makes
    one link after the other slow for up to three seconds, loses the answers of the last ones, and judges what
    is left. It says of each link what its caller sent there, which proves how it is wired. The scenario is
    written below the run folders, to go on from."""
    from execution.campaigns.looks import Asked, plan_look
    from execution.catalogue import default_catalogue
    from execution.commands.progress import Runs
    from execution.commands.session import ends_early, live_session, run_json, say_run, started
    from execution.runs.pipeline import run_plans
    from experiment.errors import ExitCode, gravest

    options = replace(options, system=folder or options.system)
    catalogue = default_catalogue(options.system)
    look = plan_look(catalogue, options, Asked(design or catalogue.usual_design(), seed, rate))
    codes: set[ExitCode] = set()
    found: Mapping[str, Any] | None = None
    with live_session(options.runtime) as interruption, ends_early():
        for result in run_plans([look.plan], options, Runs(1), interruption.stop, started):
            codes.add(result.exit_code)
            if as_json:
                found = {**run_json(result), "wiring": [_wired(one) for one in result.analysis.faults]}
                continue
            say_run(result)
            for window in result.analysis.faults:
                say(f"  wiring   {_proof(window)}")
    if as_json:
        dump({"run": found, "left": look.left})
    elif look.left:
        tell(f"no time was left for {', '.join(look.left)}: `codeblue scan` plays every link")
    return int(gravest(codes if interruption.exit_code is None else {*codes, interruption.exit_code}))


def _wired(window: FaultWindow) -> Mapping[str, Any]:
    """What proves the wiring of a link, for programs."""
    return {
        "link": window.target,
        "fault": window.kind,
        "bytes_before": window.carried_before,
        "met_by_its_caller": window.observed,
    }


def _proof(window: FaultWindow) -> str:
    """What the caller of a link sent over its proxy before the fault, and whether the fault met it."""
    before = window.carried_before
    sent = "" if before is None else f"{before:,.0f} bytes before the fault; "
    met = "met by its caller" if window.observed else "NOT met by its caller"
    return f"{window.target}: {sent}{window.kind} {met}"
