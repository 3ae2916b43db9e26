"""Code Blue's command line: parse, call one function, exit code.

Each command imports what it needs itself: judging a small file must not wait for the libraries of a live run.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from execution.cli.release import compare, gate, rescore, selfcheck, trend
from execution.cli.shared import json_option, live_options, options_of
from execution.cli.twin import calibrate, simulate, twin
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
    from execution.commands import live as live_commands

    return live_commands.run(scenarios, designs, seed, options_of(**live), as_json)  # type: ignore[arg-type]


@cli.command(epilog="Example: python harness.py suite smoke --population path/to/fhir/bundles")
@click.argument("suite")
@click.option("--seed", type=int, help="instead of the suite's own")
@click.option("--repeats", type=click.IntRange(1, 1000), default=1, show_default=True, help="a new seed each")
@click.option("--resume", is_flag=True, help="go on with the latest unfinished one")
@live_options
@json_option
def suite(suite: str, seed: int | None, repeats: int, resume: bool, as_json: bool, **live: object) -> int:
    """Run a suite; exit 0 when every entry gives the verdict that the suite expects of it."""
    from execution.campaigns.suite import SuiteOrder
    from execution.commands import live as live_commands

    order = SuiteOrder(repeats, resume)
    return live_commands.suite(suite, seed, order, options_of(**live), as_json)  # type: ignore[arg-type]


@cli.command(epilog="Example: python harness.py validate scenarios/smoke/*.yaml")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@json_option
def validate(files: tuple[Path, ...], as_json: bool) -> int:
    """Check scenario, design, suite and system files (all of the project's by default); starts nothing."""
    from execution.commands import files as files_commands

    return files_commands.validate(files, as_json)


@cli.command("list", epilog="Example: python harness.py list --json")
@click.option("--runs", is_flag=True, help="finished runs instead")
@json_option
def list_(runs: bool, as_json: bool) -> int:
    """List scenarios, designs, suites, fault kinds and invariants."""
    from execution.commands import files as files_commands

    return files_commands.list_all(runs, as_json)


@cli.command(epilog="Example: python harness.py plan smoke/registry_flapping --seed 3")
@click.argument("scenario")
@click.option("--design", default="resilient", show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@live_options
@json_option
def plan(scenario: str, design: str, seed: int, as_json: bool, **live: object) -> int:
    """Print the timeline that a run would follow, without running anything."""
    from execution.commands import files as files_commands

    return files_commands.plan(scenario, design, seed, options_of(**live), as_json)  # type: ignore[arg-type]


@cli.command(epilog="Example: python harness.py check reports/runs/NAME")
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
def check(folder: Path, as_json: bool) -> int:
    """Judge a finished run again from its history."""
    from execution.commands import files as files_commands

    return files_commands.check(folder, as_json)


@cli.command(epilog="Example: python harness.py report reports/runs/NAME")
@click.argument("folder", type=click.Path(path_type=Path))
def report(folder: Path) -> int:
    """Render the reports of a judged run again."""
    from execution.commands import files as files_commands

    return files_commands.report(folder)


@cli.command(epilog="Example: python harness.py linearizable history.jsonl --initial 0")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--initial", help="value of every register at the start (default: empty), as JSON")
@click.option(
    "--within", type=click.FloatRange(0.001), default=60.0, show_default=True, help="seconds allowed"
)
@json_option
def linearizable(file: Path, initial: str | None, within: float, as_json: bool) -> int:
    """Judge a history of register operations (JSON Lines): exit 0 linearizable, 1 not, 2 not known."""
    from execution.commands import registers as registers_commands

    return registers_commands.linearizable(file, initial, within, as_json)


@cli.command()
@json_option
def doctor(as_json: bool) -> int:
    """Say what this machine can run, and how to mend what it cannot."""
    from execution.commands import live as live_commands

    return live_commands.doctor(as_json)


@cli.command()
@json_option
def clean(as_json: bool) -> int:
    """Stop and remove what an interrupted run left behind."""
    from execution.commands import live as live_commands

    return live_commands.clean(as_json)


for command in (compare, gate, trend, rescore, selfcheck, simulate, calibrate, twin):
    cli.add_command(command)


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
