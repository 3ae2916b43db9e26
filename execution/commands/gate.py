"""`gate`: whether a candidate may be released."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from execution.commands.completing import designs as complete_designs
from execution.commands.lazy import Pasteable
from execution.commands.option_sets import live_options, most_pairs_option, seed_option, suite_option
from execution.commands.parameters import FiniteRange, json_option
from execution.commands.saying import say, say_results, tell_left_out
from execution.options import Options

if TYPE_CHECKING:
    from gate.report import GateReport

EXAMPLES = """Examples: codeblue gate --baseline resilient --candidate no_key
          codeblue gate --baseline-system ../released --candidate-system ."""
EXISTING = click.Path(path_type=Path, exists=True)
SIDE = "design, or a folder of runs as FOLDER or FOLDER:DESIGN."
SINGLE = "of single ones: SERVICE=IMAGE,..."
STRONG = "[default: its system's strong or only one]"


@click.command(cls=Pasteable, epilog=EXAMPLES)
@click.option(
    "--baseline", shell_complete=complete_designs, default="", help=f"What is in use: a {SIDE} {STRONG}"
)
@click.option(
    "--candidate",
    shell_complete=complete_designs,
    default="",
    help=f"What may be released: a {SIDE} {STRONG}",
)
@click.option("--baseline-system", type=EXISTING, metavar="DIR", help="System or checkout of the baseline.")
@click.option("--candidate-system", type=EXISTING, metavar="DIR", help="System or checkout of the candidate.")
@click.option(
    "--baseline-image", default="", help=f"Image of the baseline's services, on containers; {SINGLE}"
)
@click.option(
    "--candidate-image", default="", help=f"Image of the candidate's services, on containers; {SINGLE}"
)
@click.option("--baseline-revision", default="", help="Git revision of the baseline's system.")
@click.option("--candidate-revision", default="", help="Git revision of the candidate's system.")
@suite_option
@seed_option("First seed. [default: the suite's own]")
@click.option(
    "--margin",
    type=FiniteRange(0, 100),
    default=3.0,
    show_default=True,
    help="Points that the candidate may lose.",
)
@most_pairs_option
@click.option(
    "--on-inconclusive",
    type=click.Choice(["fail", "warn"]),
    default="fail",
    show_default=True,
    help="What to do when too few runs decide: exit 2, or pass with a warning.",
)
@click.option("--min-score", type=FiniteRange(0, 100), help="Least mean score that the candidate must reach.")
@click.option("--max-drop", type=FiniteRange(0, 100), help="Largest loss of points, whatever its interval.")
@live_options
@json_option
def gate(
    suite: str, seed: int | None, n_max: int, as_json: bool, options: Options, **chosen: object,
) -> int:  # fmt: skip
    """Exit 0 pass, 1 regression, 4 new safety veto, 2 not known, 3 invalid runs, 5 clean-up incomplete."""
    from execution.campaigns.campaign import Hooks
    from execution.campaigns.gate import run_gate
    from execution.campaigns.suite import suite_of
    from execution.catalogue import default_catalogue
    from execution.commands.progress import Runs
    from execution.commands.session import live_session, started, tell_finished
    from execution.program import typed
    from gate.formats import lines
    from gate.play import GateOrder
    from gate.report import gate_exit_code

    order = GateOrder(n_max=n_max, command=typed(), **chosen)  # type: ignore[arg-type]  # click has checked them
    catalogue = default_catalogue(options.system, [suite, order.baseline, order.candidate])
    loaded = suite_of(suite, seed, catalogue, options.runtime)
    tell_left_out(loaded, options.runtime)
    with live_session(options.runtime) as interruption:
        runs = Runs()
        hooks = Hooks(runs, started, tell_finished, runs.expects)
        report, folder = run_gate(loaded, catalogue, options, order, hooks, interruption.stop)
    say_results(lines(report), folder / "gate.html", as_json)
    tell_pipeline(report, as_json)
    return int(interruption.exit_code or gate_exit_code(report))


def tell_pipeline(report: GateReport, as_json: bool) -> None:
    """On GitHub: annotations beside the files, and the summary of the job."""
    from gate.formats import render_markdown, workflow_commands

    if os.environ.get("GITHUB_ACTIONS") == "true" and not as_json:
        for command in workflow_commands(report):
            say(command)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(render_markdown(report))
