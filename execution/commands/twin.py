"""`twin`: the same runs live and simulated, and how far apart they are."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import click

from execution.commands.completing import suites_or_scenarios
from execution.commands.lazy import Pasteable
from execution.commands.option_sets import designs_option, live_options, repeats_option, seed_option
from execution.commands.parameters import OutputFile, json_option
from execution.commands.saying import dump, say, shown, tell
from execution.options import PROCESSES, SIMULATION, Options


@click.command(cls=Pasteable, epilog="Example: codeblue twin smoke --repeats 5 --page var/distance.md")
@click.argument(
    "names", nargs=-1, required=True, metavar="SUITE_OR_SCENARIO...", shell_complete=suites_or_scenarios
)
@designs_option("Designs to run them on: D,E or given again. [default: a suite's own; weak and strong]")
@seed_option("First seed. [default: a suite's own; 1]")
@repeats_option(default=1, help="Seeds whose runs are pooled.")
@click.option("--page", type=OutputFile(".md"), metavar="FILE", help="Markdown page of all figures.")
@live_options
@json_option
def twin(
    names: tuple[str, ...],
    designs: tuple[str, ...],
    seed: int | None,
    repeats: int,
    page: Path | None,
    as_json: bool,
    options: Options,
) -> int:
    """Both have the same seeds. A suite stands for its entries: each scenario on its design. Without
    --calibration each live run's own baseline gives the sizes: its rows of the baseline then show the fit,
    those of fault and recovery the prediction. Exit 0 close, 1 something is apart, 2 not known.
    """
    from execution.campaigns.distances import Compared, TwinOrder, distances, requests
    from execution.catalogue import default_catalogue
    from execution.commands.progress import Runs
    from execution.commands.session import ends_early, live_session, started
    from execution.runs.pipeline import refuse_impossible, run_plans
    from execution.runs.preflight import plans
    from experiment.errors import ExitCode, UsageError, gravest
    from simulation.distance_pages import closing, distance_lines, markdown_page
    from simulation.model.models import magnitudes_of

    if options.runtime == SIMULATION:
        found = f"found --runtime {SIMULATION}, which is the twin itself"
        raise UsageError(f"{found}, expected a live runtime such as {PROCESSES}")
    live = replace(options, calibration=None)
    catalogue = default_catalogue(options.system, [*names, *designs])
    sizes = magnitudes_of(catalogue.system(), options.calibration)
    given = sizes if options.calibration is not None else None
    prepared = plans(requests(TwinOrder(names, designs, seed, repeats), catalogue), catalogue, live)
    refuse_impossible(prepared, live)
    compared: list[Compared] = []
    codes: set[ExitCode] = set()
    with (
        live_session(live.runtime) as interruption,
        ends_early(),
        contextlib.closing(
            run_plans(prepared, live, Runs(len(prepared)), interruption.stop, started)
        ) as runs,
    ):
        for one in distances(runs, given, codes, tell, interruption.stop):
            compared.append(one)
            if not as_json:
                for line in distance_lines(one.found, one.calibration):
                    say(line)
    if interruption.exit_code is not None:
        codes.add(interruption.exit_code)
    if page is not None:
        text = markdown_page([(one.found, one.calibration) for one in compared])
        page.write_text(text, encoding="utf-8")
        tell(f"page in {shown(page)}")
    if as_json:
        dump([one.to_json() for one in compared])
    else:
        say(closing([one.found for one in compared]))
    return int(gravest(codes))
