"""Commands that decide about releases. Each imports what it needs itself, so that others start quickly."""

from __future__ import annotations

from pathlib import Path

import click

from execution.cli.live_options import SEED, live_options
from execution.cli.parameters import FiniteRange, OutputFolder, json_option
from execution.options import RUNTIMES, Options

suite_option = click.option("--suite", default="smoke", show_default=True, help="its scenarios are run")
seed_option = click.option("--seed", type=SEED, help="first seed, instead of the suite's own")


@click.command(epilog="Example: python harness.py compare fragile article_minimum resilient --repeats 5")
@click.argument("names", nargs=-1, metavar="DESIGNS...")
@click.option("--designs", multiple=True, help="one more design")
@suite_option
@seed_option
@click.option("--repeats", type=click.IntRange(1, 1000), default=5, show_default=True, help="a new seed each")
@click.option("--screen", type=click.Choice(RUNTIMES), help="run all there first, and only the best two here")
@click.option("--resume", is_flag=True, help="go on with the latest unfinished one")
@live_options
@json_option
def compare(
    names: tuple[str, ...], designs: tuple[str, ...], suite: str, seed: int | None, repeats: int,
    screen: str | None, resume: bool, as_json: bool, options: Options,
) -> int:  # fmt: skip
    """Compare designs over the same scenarios and seeds, interleaved: scores, effects, costs."""
    from comparison.compare import ComparisonOrder
    from execution.commands import release as release_commands

    order = ComparisonOrder((), repeats, screen or "", resume)
    chosen = (*designs, *names)
    return release_commands.compare(suite, seed, chosen, order, options, as_json)


@click.command(
    epilog="Examples: python harness.py gate --baseline resilient --candidate no_key\n\n"
    "python harness.py gate --baseline-system ../released --candidate-system ."
)
@click.option("--baseline", default="resilient", show_default=True, help="design, FOLDER or FOLDER:DESIGN")
@click.option("--candidate", default="resilient", show_default=True, help="design, FOLDER or FOLDER:DESIGN")
@click.option("--baseline-system", type=click.Path(path_type=Path, exists=True), help="its own checkout")
@click.option("--candidate-system", type=click.Path(path_type=Path, exists=True), help="its own checkout")
@click.option("--baseline-image", default="", help="its own image of the services (containers)")
@click.option("--candidate-image", default="", help="its own image of the services (containers)")
@suite_option
@seed_option
@click.option("--margin", type=FiniteRange(0, 100), default=3.0, show_default=True, help="points")
@click.option("--n-max", type=click.IntRange(2, 1000), default=7, show_default=True, help="pairs at most")
@click.option("--on-inconclusive", type=click.Choice(["fail", "warn"]), default="fail", show_default=True)
@click.option("--min-score", type=FiniteRange(0, 100), help="the candidate's least mean score")
@click.option("--max-drop", type=FiniteRange(0, 100), help="the largest loss of points, interval or not")
@live_options
@json_option
def gate(
    suite: str, seed: int | None, n_max: int, as_json: bool, options: Options, **chosen: object,
) -> int:  # fmt: skip
    """Is a candidate as resilient as a baseline? Exit 0 pass, 1 regression, 4 new veto, 2 not known,
    3 invalid runs, 5 clean-up not complete."""
    from execution.commands import release as release_commands
    from gate.play import GateOrder

    order = GateOrder(n_max=n_max, **chosen)  # type: ignore[arg-type]
    return release_commands.gate(suite, seed, order, options, as_json)


results_option = click.option(
    "--results", type=click.Path(path_type=Path), help="results.sqlite3 (default: below reports/runs)"
)


@click.command(epilog="Example: python harness.py trend smoke --scenario payer_blackhole")
@click.argument("suite")
@click.option("--scenario", default="", help="one scenario instead of all")
@click.option("--out", type=OutputFolder(), help="folder of the page")
@results_option
@json_option
def trend(suite: str, scenario: str, out: Path | None, results: Path | None, as_json: bool) -> int:
    """Show score, p95 and time to recover over runs and commits, and where they changed."""
    from execution.commands import trend as trend_commands

    return trend_commands.trend(suite, scenario, results, out, as_json)


@click.command(epilog="Example: python harness.py rescore --all")
@click.option("--all", "every", is_flag=True, help="also runs that have today's formula")
@results_option
def rescore(every: bool, results: Path | None) -> int:
    """Score stored runs again from their histories when the formula has changed."""
    from execution.commands import trend as trend_commands

    return trend_commands.rescore(results, every)
