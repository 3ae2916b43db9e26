"""`simulate`: sweeps over the twin, their rows, plots and effect sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from execution.commands.completing import suites_or_scenarios
from execution.commands.lazy import Pasteable
from execution.commands.option_sets import (
    calibration_option,
    designs_option,
    population_option,
    quiet_option,
    seed_option,
    system_option,
)
from execution.commands.parameters import OutputFile, json_option
from execution.commands.saying import dump, say, say_table, show_progress, shown, tell, tell_left_out
from execution.commands.terminal import rewrites
from execution.options import SIMULATION, Options

if TYPE_CHECKING:
    from execution.catalogue import Catalogue
    from experiment.tables import Table
    from reports.sweep_report import SweepReport
    from simulation.effects import Effect
    from simulation.sweep import Point, Setting
    from simulation.variation import Untouched

FEW_LABELS = 3  # whose effects on every figure are worth reading
SHOWN_NAMES = 6  # of what a key does not touch
SHOWN_EFFECTS = 20  # of each label
EXAMPLE = (
    "Example: codeblue simulate smoke/registry_flapping --seeds 200 --design fragile resilient "
    "--vary '*.timeout=500ms,1s' --out results.parquet --plot plots.html"
)


@click.command(cls=Pasteable, epilog=EXAMPLE)
@click.argument(
    "names",
    nargs=-1,
    required=True,
    metavar="SCENARIO_OR_SUITE [DESIGNS...]",
    shell_complete=suites_or_scenarios,
)
@designs_option("Designs to sweep: D,E or given again. [default: the system's weak and strong one]")
@click.option(
    "--seeds", type=click.IntRange(1), default=20, show_default=True, help="Runs of each design and variant."
)
@seed_option("First seed.", default=1)
@click.option(
    "--vary",
    multiple=True,
    metavar="KEY=V1,V2",
    help="Values that a key of the designs takes in turn, such as '*.timeout=500ms,1s'.",
)
@click.option("--dask", default="", metavar="ADDRESS", help="Scheduler of the Dask cluster to compute on.")
@click.option("--out", type=OutputFile(".parquet", ".csv"), help="File for the rows, .parquet or .csv.")
@click.option(
    "--plot", type=OutputFile(), help="HTML file for the ranking, the effect of each key and a heat map."
)
@system_option
@population_option
@calibration_option
@quiet_option
@json_option
def simulate(
    names: tuple[str, ...], designs: tuple[str, ...], seeds: int, seed: int, vary: tuple[str, ...], dask: str,
    out: Path | None, plot: Path | None, system: Path | None, population: Path | None,
    calibration: Path | None, as_json: bool,
) -> int:  # fmt: skip
    """Ranks designs and variants, and shows what each varied key changes. A signal ends it with the rows
    until then. Of a suite, every entry is played with every seed, and the verdicts are shown beside those
    that the suite expects of live runs: exit 1 when one is another.
    """
    from execution.campaigns.sweeps import sweep_report, untouched_text
    from execution.catalogue import default_catalogue
    from execution.commands.interrupts import interruptible
    from execution.program import typed
    from experiment.errors import ExitCode, UsageError
    from experiment.units import noun
    from reports.sweep import render_html
    from simulation.sweep import run_on_dask, run_sweep, write_results

    catalogue = default_catalogue(system, [*names, *designs])
    suite = _suite_among(names, catalogue)
    scenario, chosen = _told_apart(names, designs, catalogue)
    options = Options(SIMULATION, population=population, system=system, calibration=calibration)
    if suite is not None:
        if len(names) > 1 or designs or vary or dask or out or plot:
            raise UsageError(f'found more beside the suite "{names[0]}", expected --seeds and --seed alone')
        return _predict(suite, range(seed, seed + seeds), catalogue, options, as_json)
    todo, setting, leaves = _prepared(scenario, chosen, range(seed, seed + seeds), vary, catalogue, options)
    keys = list(todo[0].variant)
    for one in leaves:
        tell(untouched_text(one, SHOWN_NAMES))
    failures: list[str] = []
    with interruptible() as interruption:
        if dask:
            results = run_on_dask(todo, setting, dask, tell_runs, failures, interruption.stop)
        else:
            results = run_sweep(todo, setting, tell_runs, failures=failures, stop=interruption.stop)
    if interruption.exit_code is not None:
        tell(f"interrupted: {len(results) + len(failures)} of {noun(len(todo), 'run')} had ended")
        if not len(results):
            return int(interruption.exit_code)
    if out is not None:
        write_results(results, out)
        tell(f"{noun(len(results), 'run')} in {shown(out)}")
    notes = [*map(untouched_text, leaves), *map(_failed, failures)]
    report = sweep_report(results, keys, setting.magnitudes.name, typed(), notes)
    if plot is not None:
        plot.write_text(render_html(report), encoding="utf-8")
        tell(f"page in {shown(plot)}")
    _say_sweep(results, report, as_json)
    for text in failures:
        tell(_failed(text))
    return int(interruption.exit_code or (ExitCode.INTERNAL_ERROR if failures else ExitCode.PASS))


def _suite_among(names: Sequence[str], catalogue: Catalogue) -> str | None:
    """The first name, where it is that of a suite."""
    from execution.runs.preflight import is_suite

    if names[0] in catalogue.scenario_files() and names[0] not in catalogue.suite_files():
        return None
    return names[0] if is_suite(catalogue.runnable_path(names[0])) else None


def _predict(name: str, seeds: range, catalogue: Catalogue, options: Options, as_json: bool) -> int:
    """A whole suite, and its table."""
    from execution.campaigns.predictions import predict, prediction_exit_code, prediction_lines
    from execution.campaigns.suite import suite_of
    from execution.commands.interrupts import interruptible

    suite = suite_of(name, None, catalogue, SIMULATION)
    tell_left_out(suite, SIMULATION)
    failures: list[str] = []
    with interruptible() as interruption:
        found = predict(suite, seeds, catalogue, options, tell_runs, failures, interruption.stop)
    if as_json:
        dump(
            [
                {"scenario": one.entry.scenario, "design": one.entry.design, "seed": one.seed,
                 "expected": one.entry.expect, "verdict": one.verdict, "met": one.met}
                for one in found
            ]
        )  # fmt: skip
    else:
        for line in prediction_lines(found):
            say(line)
    for text in failures:
        tell(f"failed: {text}")
    return int(interruption.exit_code or prediction_exit_code(found, failures))


def _prepared(
    scenario: str,
    names: Sequence[str],
    seeds: range,
    vary: Sequence[str],
    catalogue: Catalogue,
    options: Options,
) -> tuple[Sequence[Point], Setting, list[Untouched]]:
    """Every run to simulate, what all share, and what the keys do not touch. Raises ConfigError or
    UnsupportedError before any."""
    from execution.runs.preflight import planner
    from simulation.model.controls import CAPABILITIES
    from simulation.model.models import magnitudes_of
    from simulation.model.world import refuse_unknown
    from simulation.sweep import Setting, points
    from simulation.variation import parse_variation, refuse_unmodelled, untouched

    system = catalogue.system()
    designs = [catalogue.design(name, system) for name in names]
    variations = [parse_variation(text) for text in vary]
    refuse_unmodelled(variations, system)
    todo = points(catalogue.scenario(scenario, system), system, designs, seeds, variations)
    leaves = [one for design in designs for one in untouched(design, variations, system)]
    plan_of, population = planner(system, options), None
    for point in {point.label: point for point in todo}.values():
        plan = plan_of(point.scenario, point.design, seeds[0])
        refuse_unknown(plan, CAPABILITIES)
        population = plan.population if options.population is not None else None
    return todo, Setting(magnitudes_of(system, options.calibration), population), leaves


def _failed(text: str) -> str:
    return f"failed: {text}"


def _say_sweep(results: Any, report: SweepReport, as_json: bool) -> None:
    """The ranking and what each key changes; of few labels the effects on every figure too. Or JSON with
    every interval."""
    from reports.sweep import sweep_said
    from simulation.effects import effects, intervals

    if as_json:
        rows = [asdict(row) for row in intervals(results)]
        found = [asdict(one) for one in effects(results)]
        dump({"runs": len(results), "intervals": rows, "effects": found, "report": asdict(report)})
        return
    runs = dict(results.group_by("label", maintain_order=True).len().iter_rows())
    few = effects_said(effects(results), runs) if len(runs) <= FEW_LABELS else []
    for told in [*sweep_said(report), *few]:
        if isinstance(told, str):
            say(told)
        else:
            say_table(told)


def _told_apart(
    names: Sequence[str], designs: Sequence[str], catalogue: Catalogue
) -> tuple[str, tuple[str, ...]]:
    """The scenario among the names, wherever it stands, and the designs."""
    known = catalogue.scenario_files()
    scenario = next((name for name in names if name in known), names[0])
    others = [name for name in names if name != scenario]
    return scenario, tuple(dict.fromkeys((*designs, *others))) or catalogue.usual_designs()


def tell_runs(done: int, total: int) -> None:
    """On a terminal one line that is rewritten, elsewhere a line every tenth."""
    from experiment.units import noun

    said = f"{done} of {noun(total, 'run')}"
    if rewrites() or done == total or done * 10 // total > (done - 1) * 10 // total:
        show_progress(said)


def effects_said(found: Sequence[Effect], runs: Mapping[str, int]) -> list[str | Table]:
    """The weightiest effects of each label against the first, as a table; `runs` by label."""
    from experiment.tables import Table
    from experiment.units import noun

    if len(runs) < 2:
        return ["one label only: nothing to compare"]
    if not found:
        return ["one seed only: effects need two or more, --seeds 2"]
    told: list[str | Table] = []
    head = ("figure", "difference", "95% interval", "size", "larger in")
    for label in dict.fromkeys(one.label for one in found):
        rows = []
        for one in [one for one in found if one.label == label][:SHOWN_EFFECTS]:
            interval = f"{one.low:.4g} to {one.high:.4g}"
            size = f"{one.size:.2f}" if one.size is not None else "always" if one.difference else "none"
            larger = f"{one.larger:.0%} of {noun(one.pairs, 'seed')}"
            rows.append((one.metric, f"{one.difference:.4g}", interval, size, larger))
        told.append(Table(f"{label} against {found[0].baseline}:", head, tuple(rows)))
    return told
