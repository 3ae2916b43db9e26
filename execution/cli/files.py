"""Commands that start nothing: they read scenario files and finished runs."""

from __future__ import annotations

from pathlib import Path

import click

from execution.cli.live_options import SEED, live_options
from execution.cli.parameters import json_option
from execution.options import Options


@click.command(epilog="Example: python harness.py validate scenarios/smoke/*.yaml")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@json_option
def validate(files: tuple[Path, ...], as_json: bool) -> int:
    """Check scenario, design, suite and system files (all of the project's by default); starts nothing."""
    from execution.commands import files as files_commands

    return files_commands.validate(files, as_json)


@click.command("list", epilog="Example: python harness.py list --json")
@click.option("--runs", is_flag=True, help="finished runs instead")
@json_option
def list_(runs: bool, as_json: bool) -> int:
    """List scenarios, designs, suites, fault kinds and invariants."""
    from execution.commands import files as files_commands

    return files_commands.list_all(runs, as_json)


@click.command(epilog="Example: python harness.py plan smoke/registry_flapping --seed 3")
@click.argument("scenario")
@click.option("--design", default="resilient", show_default=True)
@click.option("--seed", type=SEED, default=1, show_default=True)
@live_options
@json_option
def plan(scenario: str, design: str, seed: int, as_json: bool, options: Options) -> int:
    """Print the timeline that a run would follow, without running anything."""
    from execution.commands import files as files_commands

    return files_commands.plan(scenario, design, seed, options, as_json)


@click.command(epilog="Example: python harness.py check reports/runs/NAME")
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
def check(folder: Path, as_json: bool) -> int:
    """Judge a finished run again from its history."""
    from execution.commands import files as files_commands

    return files_commands.check(folder, as_json)


@click.command(epilog="Example: python harness.py report reports/runs/NAME")
@click.argument("folder", type=click.Path(path_type=Path))
def report(folder: Path) -> int:
    """Render the reports of a judged run again."""
    from execution.commands import files as files_commands

    return files_commands.report(folder)
