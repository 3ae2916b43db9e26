"""`compare`: designs side by side."""

from __future__ import annotations

import click

from execution.commands.completing import designs as complete_designs
from execution.commands.lazy import Pasteable
from execution.commands.option_sets import (
    designs_option,
    live_options,
    repeats_option,
    resume_option,
    seed_option,
    suite_option,
)
from execution.commands.parameters import json_option
from execution.commands.saying import say_results, tell_left_out
from execution.options import RUNTIMES, Options


@click.command(
    cls=Pasteable, epilog="Example: codeblue compare fragile article_minimum resilient --repeats 5"
)
@click.argument("names", nargs=-1, metavar="DESIGNS...", shell_complete=complete_designs)
@designs_option("Designs to compare: D,E or given again; plain words are designs, too.")
@suite_option
@seed_option("First seed. [default: the suite's own]")
@repeats_option(default=5, help="Times that every scenario is run on every design, each with a new seed.")
@click.option(
    "--screen",
    type=click.Choice(RUNTIMES),
    help="Runtime that all designs are run on first; only the best two go on to --runtime.",
)
@click.option(
    "--ablate", metavar="DESIGN", help="Play this design against itself without each of its switches."
)
@click.option(
    "--only", multiple=True, metavar="SWITCH", help="With --ablate: this switch; may be given again."
)
@resume_option
@live_options
@json_option
def compare(
    names: tuple[str, ...], designs: tuple[str, ...], suite: str, seed: int | None, repeats: int,
    screen: str | None, ablate: str | None, only: tuple[str, ...], resume: bool, as_json: bool,
    options: Options,
) -> int:  # fmt: skip
    """The runs are interleaved. Shows scores, effects and costs with their intervals. Exit 0 when all runs
    were scored, 2 when one was not. With --ablate a table of switches: what each is worth, and what no longer
    holds without it.
    """
    if ablate is not None or only:
        alone = not (names or designs or screen or resume)
        return _ablate(ablate, only, suite, seed, repeats, alone, as_json, options)
    from comparison.compare import ComparisonOrder, comparison_exit_code
    from comparison.formats import said
    from execution.campaigns.campaign import Hooks
    from execution.campaigns.comparison import run_comparison
    from execution.campaigns.suite import suite_of
    from execution.catalogue import default_catalogue
    from execution.commands.progress import Runs
    from execution.commands.session import live_session, started, tell_finished
    from execution.program import typed

    chosen = tuple(dict.fromkeys((*designs, *names)))
    catalogue = default_catalogue(options.system, [suite, *chosen])
    loaded = suite_of(suite, seed, catalogue, options.runtime, *([screen] if screen else []))
    tell_left_out(loaded, options.runtime)
    order = ComparisonOrder(chosen, repeats, screen or "", resume, command=typed())
    with live_session(options.runtime) as interruption:
        runs = Runs()
        hooks = Hooks(runs, started, tell_finished, runs.expects)
        report, folder = run_comparison(loaded, catalogue, options, order, hooks, interruption.stop)
    say_results(said(report), folder / "comparison.html", as_json)
    return int(interruption.exit_code or comparison_exit_code(report))


def _ablate(
    design: str | None, only: tuple[str, ...], suite: str, seed: int | None, repeats: int, alone: bool,
    as_json: bool, options: Options,
) -> int:  # fmt: skip
    """The table of switches, on standard output: as Markdown, or as JSON."""
    import msgspec

    from comparison.ablation import ablation_markdown
    from execution.campaigns.ablation import AblationOrder, run_ablation
    from execution.campaigns.suite import suite_of
    from execution.catalogue import default_catalogue
    from execution.commands.saying import dump, say, tell
    from execution.commands.session import live_session
    from execution.commands.simulate import tell_runs
    from execution.program import typed
    from experiment.errors import ExitCode, UsageError

    if design is None or not alone:
        found = "--only without --ablate" if design is None else "--ablate with more beside it"
        raise UsageError(
            f"found {found}, expected --ablate DESIGN, with --only, --suite, --seed and --repeats"
        )
    catalogue = default_catalogue(options.system, [suite, design])
    loaded = suite_of(suite, seed, catalogue, options.runtime)
    tell_left_out(loaded, options.runtime)
    order = AblationOrder(design, repeats, only, typed())
    with live_session(options.runtime) as interruption:
        report = run_ablation(order, loaded, catalogue, options, interruption.stop, tell, tell_runs)
    if interruption.exit_code is not None:
        return int(interruption.exit_code)
    if as_json:
        dump(msgspec.to_builtins(report))
    else:
        say(ablation_markdown(report))
    known = all(row.points is not None for row in report.rows)
    return int(ExitCode.PASS if known else ExitCode.INCONCLUSIVE)
