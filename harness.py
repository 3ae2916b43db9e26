"""Code Blue's command line: parse, call one function, exit code.

Each command imports what it needs itself: judging a small file must not wait for the libraries of a live run.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from execution.options import Options
from execution.selfcheck_cli import simulation
from experiment.errors import CodeBlueError, ExitCode

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}

INTRODUCTION = """Break a distributed system on purpose, measure what that does to its users, give a verdict.

\b
First steps:
  python harness.py doctor                                   what this machine can run
  python harness.py list                                     scenarios, designs, suites
  python harness.py run smoke/payer_blackhole --design resilient
  python harness.py suite smoke                              all smoke scenarios, two designs

\b
Exit codes: 0 pass, 1 fail, 2 inconclusive, 3 invalid experiment, 4 safety veto, 5 clean-up incomplete,
64 bad configuration, 70 internal error, 130 / 143 interrupted (after clean-up).
"""


@click.group(context_settings=CONTEXT, help=INTRODUCTION, invoke_without_command=True)
@click.pass_context
def cli(context: click.Context) -> None:
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def live_options(function: click.decorators.FC) -> click.decorators.FC:
    """Options that every command that runs the system takes."""
    for option in reversed(
        (
            click.option(
                "--runtime",
                default="processes",
                show_default=True,
                help="processes, containers or simulation",
            ),
            click.option(
                "--time-scale", type=click.FloatRange(0.1, 100), default=1.0, help="longer or shorter phases"
            ),
            click.option("--population", type=click.Path(path_type=Path), help="folder of FHIR R4 bundles"),
            click.option("--system", type=click.Path(path_type=Path), help="system.yaml of another system"),
            click.option("--out", type=click.Path(path_type=Path), help="where run folders land"),
        )
    ):
        function = option(function)
    return function


def options_of(
    runtime: str, time_scale: float, population: Path | None, system: Path | None, out: Path | None
) -> Options:
    return Options(runtime, time_scale, population, Options().patients, out or Options().out, system)


json_option = click.option("--json", "as_json", is_flag=True, help="machine-readable output on stdout")


@cli.command(epilog="Example: python harness.py run smoke/billing_crash --design fragile --design resilient")
@click.argument("scenarios", nargs=-1, required=True)
@click.option("--design", "designs", multiple=True, default=("resilient",), show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@live_options
@json_option
def run(
    scenarios: tuple[str, ...], designs: tuple[str, ...], seed: int, as_json: bool, **live: object
) -> int:
    """Run scenarios on the live system, once for each design."""
    from execution import commands

    return commands.run(scenarios, designs, seed, options_of(**live), as_json)  # type: ignore[arg-type]


@cli.command(epilog="Example: python harness.py suite smoke --population path/to/fhir/bundles")
@click.argument("suite")
@click.option("--seed", type=int, help="instead of the suite's own")
@click.option("--repeats", type=click.IntRange(1, 1000), default=1, show_default=True, help="a new seed each")
@click.option("--resume", is_flag=True, help="go on with the latest unfinished one")
@live_options
@json_option
def suite(suite: str, seed: int | None, repeats: int, resume: bool, as_json: bool, **live: object) -> int:
    """Run a suite; exit 0 when every entry gives the verdict that the suite expects of it."""
    from execution import commands
    from execution.suite_run import SuiteOrder

    order = SuiteOrder(repeats, resume)
    return commands.suite(suite, seed, order, options_of(**live), as_json)  # type: ignore[arg-type]


suite_option = click.option("--suite", default="smoke", show_default=True, help="its scenarios are run")
seed_option = click.option("--seed", type=int, help="first seed, instead of the suite's own")


@cli.command(epilog="Example: python harness.py compare fragile article_minimum resilient --repeats 5")
@click.argument("names", nargs=-1, metavar="DESIGNS...")
@click.option("--designs", multiple=True, help="one more design")
@suite_option
@seed_option
@click.option("--repeats", type=click.IntRange(1, 1000), default=5, show_default=True, help="a new seed each")
@click.option(
    "--screen", default="", metavar="RUNTIME", help="run all there first, and only the best two here"
)
@click.option("--resume", is_flag=True, help="go on with the latest unfinished one")
@live_options
@json_option
def compare(
    names: tuple[str, ...], designs: tuple[str, ...], suite: str, seed: int | None, repeats: int, screen: str,
    resume: bool, as_json: bool, **live: object,
) -> int:  # fmt: skip
    """Compare designs over the same scenarios and seeds, interleaved: scores, effects, costs."""
    from execution import release_commands
    from execution.comparison import ComparisonOrder

    order = ComparisonOrder((), repeats, screen, resume)
    chosen = (*designs, *names)
    return release_commands.compare(suite, seed, chosen, order, options_of(**live), as_json)  # type: ignore[arg-type]


@cli.command(
    epilog="Examples: python harness.py gate --baseline resilient --candidate no_key\n\n"
    "python harness.py gate --baseline-system ../released --candidate-system ."
)
@click.option("--baseline", default="resilient", show_default=True, help="design, FOLDER or FOLDER:DESIGN")
@click.option("--candidate", default="resilient", show_default=True, help="design, FOLDER or FOLDER:DESIGN")
@click.option("--baseline-system", type=click.Path(path_type=Path, exists=True), help="its own checkout")
@click.option("--candidate-system", type=click.Path(path_type=Path, exists=True), help="its own checkout")
@suite_option
@seed_option
@click.option("--margin", type=click.FloatRange(0, 100), default=3.0, show_default=True, help="points")
@click.option("--n-max", type=click.IntRange(2, 1000), default=7, show_default=True, help="pairs at most")
@click.option("--on-inconclusive", type=click.Choice(["fail", "warn"]), default="fail", show_default=True)
@click.option("--min-score", type=click.FloatRange(0, 100), help="the candidate's least mean score")
@click.option("--max-drop", type=click.FloatRange(0, 100), help="the largest loss of points, interval or not")
@live_options
@json_option
def gate(
    suite: str, seed: int | None, n_max: int, as_json: bool, runtime: str, time_scale: float,
    population: Path | None, system: Path | None, out: Path | None, **chosen: object,
) -> int:  # fmt: skip
    """Is a candidate as resilient as a baseline? Exit 0 pass, 1 regression, 4 new veto, 2 not known."""
    from execution import release_commands
    from execution.gate_run import GateOrder

    order = GateOrder(n_max=n_max, **chosen)  # type: ignore[arg-type]
    options = options_of(runtime, time_scale, population, system, out)
    return release_commands.gate(suite, seed, order, options, as_json)


results_option = click.option(
    "--results", type=click.Path(path_type=Path), help="results.sqlite3 (default: below reports/runs)"
)


@cli.command(epilog="Example: python harness.py trend smoke --scenario payer_blackhole")
@click.argument("suite")
@click.option("--scenario", default="", help="one scenario instead of all")
@click.option("--out", type=click.Path(path_type=Path), help="folder of the page")
@results_option
@json_option
def trend(suite: str, scenario: str, out: Path | None, results: Path | None, as_json: bool) -> int:
    """Show score, p95 and time to recover over runs and commits, and where they changed."""
    from execution import trend_commands

    return trend_commands.trend(suite, scenario, results, out, as_json)


@cli.command(epilog="Example: python harness.py rescore --all")
@click.option("--all", "every", is_flag=True, help="also runs that have today's formula")
@results_option
def rescore(every: bool, results: Path | None) -> int:
    """Score stored runs again from their histories when the formula has changed."""
    from execution import trend_commands

    return trend_commands.rescore(results, every)


@cli.group()
def selfcheck() -> None:
    """Check what Code Blue itself is worth."""


selfcheck.add_command(simulation)


@selfcheck.command(
    "gate", epilog="Example: python harness.py selfcheck gate --runtime simulation --out gate_figures.md"
)
@click.option("--scenario", "scenarios", multiple=True, help="of A/A trials and worsened figures")
@click.option("--same", type=click.IntRange(1), default=200, show_default=True, help="A/A trials")
@click.option("--bugs", type=click.IntRange(1), default=100, show_default=True, help="trials of each bug")
@click.option(
    "--minus", type=click.IntRange(1), default=10, show_default=True, help="trials of each switch off"
)
@click.option("--only", multiple=True, help="a bug to try; default: all")
@click.option("--n-max", type=click.IntRange(2, 1000), default=7, show_default=True, help="pairs at most")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option(
    "--runtime", default="simulation", show_default=True, help="simulation, processes or containers"
)
@click.option("--out", type=click.Path(path_type=Path), help="Markdown file to write")
@json_option
def selfcheck_gate(
    scenarios: tuple[str, ...], runtime: str, out: Path | None, as_json: bool, **chosen: object
) -> int:
    """False alarms of the gate over A/A comparisons, and its detection of seeded bugs."""
    from execution import release_commands
    from execution.gate_selfcheck import GateTrials

    trials = GateTrials(**chosen)  # type: ignore[arg-type]
    usual = scenarios or ("smoke/charge_response_lost", "smoke/registry_flapping")
    return release_commands.selfcheck_gate(usual, trials, Options(runtime), out, as_json)


@cli.command(epilog="Example: python harness.py validate scenarios/smoke/*.yaml")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@json_option
def validate(files: tuple[Path, ...], as_json: bool) -> int:
    """Check scenario, design, suite and system files (all of the project's by default); starts nothing."""
    from execution import file_commands

    return file_commands.validate(files, as_json)


@cli.command("list", epilog="Example: python harness.py list --json")
@click.option("--runs", is_flag=True, help="finished runs instead")
@json_option
def list_(runs: bool, as_json: bool) -> int:
    """List scenarios, designs, suites, fault kinds and invariants."""
    from execution import file_commands

    return file_commands.list_all(runs, as_json)


@cli.command(epilog="Example: python harness.py plan smoke/registry_flapping --seed 3")
@click.argument("scenario")
@click.option("--design", default="resilient", show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@live_options
@json_option
def plan(scenario: str, design: str, seed: int, as_json: bool, **live: object) -> int:
    """Print the timeline that a run would follow, without running anything."""
    from execution import file_commands

    return file_commands.plan(scenario, design, seed, options_of(**live), as_json)  # type: ignore[arg-type]


@cli.command(epilog="Example: python harness.py check reports/runs/NAME")
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
def check(folder: Path, as_json: bool) -> int:
    """Judge a finished run again from its history."""
    from execution import file_commands

    return file_commands.check(folder, as_json)


@cli.command(epilog="Example: python harness.py report reports/runs/NAME")
@click.argument("folder", type=click.Path(path_type=Path))
def report(folder: Path) -> int:
    """Render the reports of a judged run again."""
    from execution import file_commands

    return file_commands.report(folder)


@cli.command(epilog="Example: python harness.py linearizable history.jsonl --initial 0")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--initial", help="value of every register at the start (default: empty), as JSON")
@click.option(
    "--within", type=click.FloatRange(0.001), default=60.0, show_default=True, help="seconds allowed"
)
@json_option
def linearizable(file: Path, initial: str | None, within: float, as_json: bool) -> int:
    """Judge a history of register operations (JSON Lines): exit 0 linearizable, 1 not, 2 not known."""
    from execution import register_commands

    return register_commands.linearizable(file, initial, within, as_json)


@cli.command()
@json_option
def doctor(as_json: bool) -> int:
    """Say what this machine can run, and how to mend what it cannot."""
    from execution import commands

    return commands.doctor(as_json)


@cli.command()
@json_option
def clean(as_json: bool) -> int:
    """Stop and remove what an interrupted run left behind."""
    from execution import commands

    return commands.clean(as_json)


def main() -> None:
    """Run the command; every error that has a message ends as that message and its exit code."""
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        code = ExitCode.INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = ExitCode.BAD_CONFIGURATION
    except CodeBlueError as error:
        click.echo(f"error: {error}", err=True)
        code = error.exit_code
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except Exception:  # noqa: BLE001 - the last door: an internal error has an exit code of its own
        import traceback

        traceback.print_exc()
        click.echo("internal error: please report the lines above", err=True)
        code = ExitCode.INTERNAL_ERROR
    sys.exit(int(code or 0))


if __name__ == "__main__":
    main()
