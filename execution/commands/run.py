"""`run`: scenarios, each on each design."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from execution.commands.completing import scenarios as complete_scenarios
from execution.commands.lazy import Pasteable
from execution.commands.option_sets import designs_option, live_options, seed_option, watch_option
from execution.commands.parameters import FILE, json_option
from execution.commands.saying import dump, say, shown
from execution.options import Options

if TYPE_CHECKING:
    from execution.runs.side_by_side import Finished
    from experiment.errors import ExitCode


@click.command(
    cls=Pasteable, epilog="Example: codeblue run smoke/registry_flapping --design fragile --design resilient"
)
@click.argument("scenarios", nargs=-1, required=True, shell_complete=complete_scenarios)
@designs_option("Designs to run them on: D,E or given again. [default: the system's strong or only one]")
@seed_option("Seed of every random choice.", default=1)
@watch_option
@live_options
@click.option(
    "--allow", type=FILE, metavar="FILE", help="What of a running system may be touched (--runtime attach)."
)
@click.option("--yes", default="", metavar="HASH", help="Touch exactly what was listed (--runtime attach).")
@json_option
def run(
    scenarios: tuple[str, ...],
    designs: tuple[str, ...],
    seed: int,
    watch: bool,
    allow: Path | None,
    yes: str,
    as_json: bool,
    options: Options,
) -> int:
    """SCENARIOS are names, as `list` shows them, or files. The exit code is that of the gravest verdict."""
    from execution.catalogue import default_catalogue
    from execution.commands.live_page import refuse_unwatched, watched
    from execution.commands.progress import Runs
    from execution.commands.session import ends_early, live_session, run_json, say_run, started
    from execution.runs.pipeline import run_plans
    from execution.runs.preflight import Request, plans
    from execution.runs.side_by_side import write_beside
    from experiment.errors import gravest

    refuse_unwatched(watch, options)
    options = replace(options, allow=allow, yes=yes)
    catalogue = default_catalogue(options.system, [*scenarios, *designs])
    chosen = designs or (catalogue.usual_design(),)
    requests = [Request(scenario, design, seed) for design in chosen for scenario in scenarios]
    prepared = plans(requests, catalogue, options)
    codes: set[ExitCode] = set()
    found: list[Mapping[str, Any]] = []
    finished: dict[str, list[Finished]] = {}
    with live_session(options.runtime) as interruption, ends_early(), watched(watch, interruption) as page:
        watchers = page.watching(Runs(len(prepared)))
        for result in run_plans(prepared, options, watchers, interruption.stop, started):
            page.finished(result)
            codes.add(result.exit_code)
            finished.setdefault(result.plan.scenario.name, []).append((result.folder, result.report))
            if as_json:
                found.append(run_json(result))
            else:
                say_run(result)
    pages = [write_beside(runs) for runs in finished.values() if len(runs) > 1]
    if as_json:
        dump(found)
    else:
        for written in pages:
            say(f"side by side: {shown(written)}")
    return int(gravest(codes if interruption.exit_code is None else {*codes, interruption.exit_code}))
