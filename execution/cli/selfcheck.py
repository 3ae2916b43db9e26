"""`selfcheck simulation [CASE] [parameters]`: commands made from the cases, read when they are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from execution.cli.lazy import NamingGroup
from execution.cli.live_options import SEED
from execution.cli.parameters import FiniteRange, OutputFile, json_option
from execution.options import RUNTIMES, SIMULATION, Options

if TYPE_CHECKING:
    from simulation.selfcheck import Parameter


def _kind(parameter: Parameter) -> Any:
    if parameter.choices:
        return click.Choice(parameter.choices)
    if parameter.type is int:
        least = None if parameter.minimum is None else int(parameter.minimum)
        return click.IntRange(least)
    return FiniteRange(parameter.minimum) if parameter.type is float else parameter.type


class Cases(NamingGroup):
    """One command a case of simulation/selfcheck; every parameter of the case is an option."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from simulation.selfcheck import CASES

        return list(CASES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        from simulation.selfcheck import CASES

        case = CASES.get(cmd_name)
        if case is None:
            return None
        options: list[click.Parameter] = [
            click.Option(
                [parameter.option, parameter.name],
                type=_kind(parameter),
                default=parameter.default,
                show_default=True,
                help=parameter.help,
            )
            for parameter in case.parameters
        ]
        options.append(click.Option(["--json", "as_json"], is_flag=True, help="a list of objects on stdout"))
        options.append(click.Option(["--out"], type=OutputFile(), help="Markdown page to write"))

        def run(as_json: bool, out: Path | None, **values: Any) -> int:
            from execution.commands import selfcheck as selfcheck_commands

            # --json and --out may stand before the case's name as well as after it.
            group = ctx.params
            return selfcheck_commands.selfcheck_case(
                case, values, as_json or group["as_json"], out or group["out"]
            )

        return click.Command(
            cmd_name, params=options, callback=run, help=f"{case.title}. Source: {case.source}."
        )


@click.group(
    cls=Cases,
    invoke_without_command=True,
    epilog="Example: python harness.py selfcheck simulation mmc --servers 4 --utilisation 0.8 --json",
)
@click.option("--json", "as_json", is_flag=True, help="all cases as one list of objects")
@click.option(
    "--out",
    type=OutputFile(),
    help="Markdown page to write; of all cases reports/runs/selfcheck_simulation.md by default",
)
@click.pass_context
def simulation(context: click.Context, as_json: bool, out: Path | None) -> int:
    """Hold the simulator to closed forms and published figures; without a case, to all of them."""
    if context.invoked_subcommand is not None:
        return 0
    from execution.commands import selfcheck as selfcheck_commands

    return selfcheck_commands.selfcheck_all(as_json, out)


@click.group(cls=NamingGroup)
def selfcheck() -> None:
    """Check what Code Blue itself is worth."""


selfcheck.add_command(simulation)


@selfcheck.command(
    "gate", epilog="Example: python harness.py selfcheck gate --runtime simulation --out gate_figures.md"
)
@click.option("--scenario", "scenarios", multiple=True, help="of A/A trials and worse figures")
@click.option("--same", type=click.IntRange(1), default=200, show_default=True, help="A/A trials")
@click.option("--bugs", type=click.IntRange(1), default=100, show_default=True, help="trials of each bug")
@click.option(
    "--minus", type=click.IntRange(1), default=30, show_default=True, help="trials of each switch off"
)
@click.option("--only", multiple=True, help="a bug to try; default: all")
@click.option(
    "--pool", type=click.IntRange(2), help="runs of a design and scenario to draw from; default: one a trial"
)
@click.option("--n-max", type=click.IntRange(2, 1000), default=7, show_default=True, help="pairs at most")
@click.option("--seed", type=SEED, default=1, show_default=True)
@click.option("--runtime", type=click.Choice(RUNTIMES), default=SIMULATION, show_default=True, help="where")
@click.option("--out", type=OutputFile(), help="Markdown file to write")
@json_option
def selfcheck_gate(
    scenarios: tuple[str, ...], pool: int | None, runtime: str, out: Path | None, as_json: bool,
    **chosen: object,
) -> int:  # fmt: skip
    """False alarms of the gate over A/A comparisons, and its detection of seeded bugs."""
    from execution.commands import release as release_commands
    from gate.selfcheck import GateTrials

    trials = GateTrials(pool=pool or 0, **chosen)  # type: ignore[arg-type]
    usual = scenarios or ("smoke/charge_response_lost", "smoke/registry_flapping")
    return release_commands.selfcheck_gate(usual, trials, Options(runtime), out, as_json)
