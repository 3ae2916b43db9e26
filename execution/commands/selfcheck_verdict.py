"""`selfcheck verdict`: the verdict tried on runs whose evidence was changed."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import click

from execution.commands.lazy import Pasteable
from execution.commands.option_sets import seed_option, system_option
from execution.commands.parameters import FILE, OutputFile, json_option
from execution.commands.saying import dump, say, shown, tell


@click.command(
    "verdict",
    cls=Pasteable,
    epilog="Example: codeblue selfcheck verdict --suite smoke --number 300 --out verdict_figures.md",
)
@click.option(
    "--suite",
    "suites",
    multiple=True,
    metavar="SUITE",
    help="Suite whose entries are played on the twin; may be given again. [default: every one of the system]",
)
@click.option(
    "--run",
    "runs",
    type=FILE,
    multiple=True,
    metavar="FOLDER",
    help="Folder of a finished run to change, live or simulated; may be given again. Plays no suite then.",
)
@click.option(
    "--number",
    type=click.IntRange(1),
    default=300,
    show_default=True,
    help="Changes to the runs of each suite.",
)
@seed_option("Seed that draws the changes.", default=1)
@click.option("--out", type=OutputFile(), metavar="FILE", help="Markdown file to write.")
@system_option
@json_option
def verdict(
    suites: tuple[str, ...], runs: tuple[Path, ...], number: int, seed: int, out: Path | None,
    system: Path | None, as_json: bool,
) -> int:  # fmt: skip
    """Change the evidence of finished runs and judge them again.

    Rows are dropped, doubled, altered, torn, moved in time or taken from another run, and so are the parts of
    the run folder. Each must get its answer: refused, invalid, not better than the run, or just the same.
    Exit 1 when one passes that must not, or any other answer is wrong.
    """
    import msgspec

    from execution.campaigns.verdict_check import (
        VerdictTrials,
        check_verdicts,
        simulated,
        stored,
        twin_options,
        usual_suites,
    )
    from execution.campaigns.verdict_figures import lines, render_markdown
    from execution.catalogue import default_catalogue
    from execution.commands.session import live_session
    from execution.options import SIMULATION
    from execution.program import typed
    from experiment.errors import ExitCode, UsageError

    if suites and runs:
        raise UsageError("found --suite and --run, expected one of them")
    trials = VerdictTrials(number, seed)
    with (
        live_session(SIMULATION) as interruption,
        tempfile.TemporaryDirectory(prefix="codeblue-runs-") as folder,
    ):
        if runs:
            judged = stored(runs, system)
        else:
            catalogue = default_catalogue(system, suites)
            chosen = suites or usual_suites(catalogue)
            judged = simulated(catalogue, chosen, twin_options(Path(folder)), interruption.stop, tell)
        figures = replace(check_verdicts(judged, trials, interruption.stop, tell), command=typed())
    if out is not None:
        out.write_text(render_markdown(figures), encoding="utf-8")
        tell(f"page in {shown(out)}")
    if as_json:
        dump(msgspec.to_builtins(figures))
    else:
        for text in lines(figures):
            say(text)
    wrong = figures.wrong_passes or figures.other_wrong
    return int(interruption.exit_code or (ExitCode.FAIL if wrong else ExitCode.PASS))
