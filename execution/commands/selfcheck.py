"""`selfcheck`: what Code Blue itself is worth. The commands of `simulation` are made from its cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from execution.commands.lazy import NamingGroup, Pasteable
from execution.commands.option_sets import most_pairs_option, seed_option, system_option
from execution.commands.parameters import Finite, FiniteRange, OutputFile, json_option
from execution.commands.saying import dump, say, shown, tell
from execution.commands.selfcheck_verdict import verdict
from execution.options import RUNTIMES, SIMULATION, Options
from execution.places import RUNS
from experiment.errors import ExitCode, gravest

if TYPE_CHECKING:
    from simulation.selfcheck import Case, CheckRow, Parameter

PAGE = RUNS / "selfcheck_simulation.md"
CODES = {"pass": ExitCode.PASS, "fail": ExitCode.FAIL, "inconclusive": ExitCode.INCONCLUSIVE}


def _kind(parameter: Parameter) -> Any:
    if parameter.choices:
        return click.Choice(parameter.choices)
    if parameter.type is int and parameter.minimum is not None:
        return click.IntRange(int(parameter.minimum))
    if parameter.type is float:
        return Finite() if parameter.minimum is None else FiniteRange(parameter.minimum)
    return parameter.type


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


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
                help=_sentence(parameter.help),
            )
            for parameter in case.parameters
        ]
        options.append(
            click.Option(
                ["--json", "as_json"], is_flag=True, help="Print a list of objects on standard output."
            )
        )
        options.append(click.Option(["--out"], type=OutputFile(), help="Markdown page to write."))

        def run(as_json: bool, out: Path | None, **values: Any) -> int:
            # --json and --out may stand before the case's name as well as after it.
            group = ctx.params
            return selfcheck_case(case, values, as_json or group["as_json"], out or group["out"])

        return Pasteable(cmd_name, params=options, callback=run, help=f"{case.title}. Source: {case.source}.")


@click.group(
    cls=Cases,
    invoke_without_command=True,
    epilog="Example: codeblue selfcheck simulation mmc --servers 4 --utilisation 0.8 --json",
)
@click.option("--json", "as_json", is_flag=True, help="Print all cases as one list of objects.")
@click.option(
    "--out",
    type=OutputFile(),
    metavar="FILE",
    help="Markdown page to write. [default: of all cases, selfcheck_simulation.md in reports/runs]",
)
@click.pass_context
def simulation(context: click.Context, as_json: bool, out: Path | None) -> int:
    """Compare the simulator with closed forms and known figures.

    Without a case it plays all of them.
    """
    if context.invoked_subcommand is not None:
        return 0
    return selfcheck_all(as_json, out)


@click.group(cls=NamingGroup)
def selfcheck() -> None:
    """Shows what the figures of Code Blue itself are worth."""


selfcheck.add_command(simulation)


def selfcheck_case(case: Case, values: Mapping[str, Any], as_json: bool, out: Path | None) -> int:
    """One case with these parameters: 0 when every figure holds, 1 when one does not, 2 when unknown."""
    from simulation.selfcheck.pages import markdown_section, text_table

    rows = case.check(**values)
    if as_json:
        dump([row.to_json() for row in rows])
    else:
        say(text_table(rows))
    if out is not None:
        _write(out, [markdown_section(case, values, rows)], rows)
    return int(_held(rows))


def selfcheck_all(as_json: bool, out: Path | None) -> int:
    """Every case with its defaults, as a table or JSON, and as a Markdown page."""
    from simulation.selfcheck import CASES
    from simulation.selfcheck.pages import markdown_section, text_table

    sections: list[str] = []
    every: list[CheckRow] = []
    for case in CASES.values():
        rows = case.check()
        # One list of all cases: two of them have a "mean wait".
        every += [replace(row, quantity=f"{case.name}: {row.quantity}") for row in rows]
        sections.append(markdown_section(case, {}, rows))
        if not as_json:
            say(f"{case.name}: {case.title}")
            say(text_table(rows))
    if as_json:
        dump([row.to_json() for row in every])
    _write(out or PAGE, sections, every)
    return int(_held(every))


def _write(page: Path, sections: Sequence[str], rows: Sequence[CheckRow]) -> None:
    from simulation.selfcheck.pages import markdown_page

    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(markdown_page(sections, rows), encoding="utf-8")
    tell(f"page in {shown(page)}")


def _held(rows: Sequence[CheckRow]) -> ExitCode:
    """Without any row nothing is known."""
    return gravest(CODES[row.verdict] for row in rows)


@selfcheck.command(
    "gate",
    cls=Pasteable,
    epilog="Example: codeblue selfcheck gate --runtime simulation --out gate_figures.md",
)
@click.option(
    "--scenario",
    "scenarios",
    multiple=True,
    help="Scenario of the A/A trials and of the worse figures; may be given again.",
)
@click.option(
    "--same",
    type=click.IntRange(1),
    default=200,
    show_default=True,
    help="Trials of a design against itself.",
)
@click.option("--bugs", type=click.IntRange(1), default=100, show_default=True, help="Trials of each bug.")
@click.option(
    "--minus",
    type=click.IntRange(1),
    default=30,
    show_default=True,
    help="Trials of each design that lacks one switch.",
)
@click.option(
    "--only", multiple=True, metavar="BUG", help="Only this bug; may be given again. [default: all]"
)
@click.option(
    "--pool",
    type=click.IntRange(2),
    help="Runs of each design and scenario that trials draw from. [default: new ones for each trial]",
)
@most_pairs_option
@seed_option("First seed.", default=1)
@click.option(
    "--runtime",
    type=click.Choice(RUNTIMES),
    default=SIMULATION,
    show_default=True,
    help="Where the system runs; simulation is the twin in virtual time.",
)
@click.option("--out", type=OutputFile(), metavar="FILE", help="Markdown file to write.")
@system_option
@json_option
def selfcheck_gate(
    scenarios: tuple[str, ...], pool: int | None, runtime: str, out: Path | None, system: Path | None,
    as_json: bool, **chosen: object,
) -> int:  # fmt: skip
    """Measure false alarms of the gate, and which bugs it finds.

    False alarms are counted over comparisons of a design with itself (A/A). Exit 1 when the gate misses
    its own bars.
    """
    import msgspec

    from execution.campaigns.trials import trial_runs, trials_of, usual_scenarios
    from execution.catalogue import default_catalogue
    from execution.commands.session import live_session
    from execution.program import typed
    from experiment.errors import UsageError, nearest
    from gate.selfcheck import GateTrials, figures
    from gate.selfcheck_report import render_markdown

    trials = GateTrials(pool=pool or 0, **chosen)  # type: ignore[arg-type]  # click has checked them
    catalogue, options = default_catalogue(system, scenarios), Options(runtime, system=system)
    usual = scenarios or usual_scenarios(catalogue)
    same, bugs = trials_of(catalogue, usual, options.runtime)
    for name in trials.only:
        if name not in (known := [bug.name for bug in bugs]):
            raise UsageError(f'found no seeded bug "{name}", expected one: {nearest(name, known)}')
    if trials.only:
        bugs = tuple(bug for bug in bugs if bug.name in trials.only)
    with (
        live_session(options.runtime) as interruption,
        trial_runs(catalogue, options, usual[0], interruption.stop, tell) as runs,
    ):
        found = figures(runs, same, bugs, trials, interruption.stop, tell)
    found = replace(found, source=options.runtime, command=typed())
    if out is not None:
        out.write_text(render_markdown(found), encoding="utf-8")
    if as_json:
        dump(msgspec.to_builtins(found))
    else:
        say(render_markdown(found))
    for text in found.missed:
        tell(f"missed: {text}")
    return int(interruption.exit_code or (ExitCode.FAIL if found.missed else ExitCode.PASS))


selfcheck.add_command(verdict)
