"""`run`, `suite`, `doctor` and `clean`. Each imports what it needs itself, so that others start quickly."""

from __future__ import annotations

import click

from execution.cli.live_options import SEED, live_options
from execution.cli.parameters import json_option
from execution.options import Options


@click.command(
    epilog="Example: python harness.py run smoke/billing_crash --design fragile --design resilient"
)
@click.argument("scenarios", nargs=-1, required=True)
@click.option("--design", "designs", multiple=True, default=("resilient",), show_default=True)
@click.option("--seed", type=SEED, default=1, show_default=True)
@live_options
@json_option
def run(
    scenarios: tuple[str, ...], designs: tuple[str, ...], seed: int, as_json: bool, options: Options
) -> int:
    """Run scenarios on the live system, once for each design."""
    from execution.commands import live as live_commands

    return live_commands.run(scenarios, designs, seed, options, as_json)


@click.command(epilog="Example: python harness.py suite smoke --population path/to/fhir/bundles")
@click.argument("suite")
@click.option("--seed", type=SEED, help="instead of the suite's own")
@click.option("--repeats", type=click.IntRange(1, 1000), default=1, show_default=True, help="a new seed each")
@click.option("--resume", is_flag=True, help="go on with the latest unfinished one")
@live_options
@json_option
def suite(suite: str, seed: int | None, repeats: int, resume: bool, as_json: bool, options: Options) -> int:
    """Run a suite; exit 0 when every entry gives the verdict that the suite expects of it."""
    from execution.campaigns.suite import SuiteOrder
    from execution.commands import live as live_commands

    order = SuiteOrder(repeats, resume)
    return live_commands.suite(suite, seed, order, options, as_json)


@click.command()
@json_option
def doctor(as_json: bool) -> int:
    """Say what this machine can run, and what helps where it cannot."""
    from execution.commands import live as live_commands

    return live_commands.doctor(as_json)


@click.command()
@json_option
def clean(as_json: bool) -> int:
    """Stop and remove what an interrupted run left behind."""
    from execution.commands import live as live_commands

    return live_commands.clean(as_json)
