"""Commands around the twin: sweeps over it, its calibration from a live run, its distance to one."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from execution.catalogue import Catalogue, default_catalogue
from execution.commands.saying import dump, say, shown, tell
from execution.options import GENERATED_PATIENTS, Options
from execution.runs.pipeline import run_plans
from execution.runs.preflight import Request, plans, population_of
from execution.runs.run_folder import RunFolder
from experiment.errors import ExitCode, HistoryError
from experiment.history import History
from experiment.plan import Plan, make_plan
from load import outcomes
from measurement.judge import analyse
from reports.comparison_plots import Interval as PlottedInterval
from reports.comparison_plots import interval_plot
from simulation.calibration import calibrate as fitted
from simulation.controls import CAPABILITIES
from simulation.distance import Distance, distance
from simulation.effects import Effect, effects, intervals
from simulation.magnitudes import UNCALIBRATED, Magnitudes, load_magnitudes, save_magnitudes
from simulation.run import simulate as played
from simulation.sweep import OutcomeTable, Setting, points, run_on_dask, run_sweep, write_results
from simulation.variation import parse_variation
from simulation.world import refuse_unknown

SHOWN_EFFECTS = 20


@dataclass(frozen=True, slots=True)
class SweepOrder:
    """What a sweep runs: `seeds` of them from `first_seed` on, every design with every variation."""

    scenario: str
    designs: tuple[str, ...]
    seeds: int
    first_seed: int
    vary: tuple[str, ...]
    dask: str
    calibration: Path | None
    out: Path | None
    plot: Path | None


def magnitudes_of(calibration: Path | None) -> Magnitudes:
    return load_magnitudes(calibration if calibration is not None else UNCALIBRATED)


def sweep(order: SweepOrder, options: Options, as_json: bool) -> int:
    """Simulate, write the rows, say the effect sizes against the first design or variant."""
    catalogue = default_catalogue(options.system)
    system = catalogue.system()
    designs = [catalogue.design(name, system) for name in order.designs]
    seeds = range(order.first_seed, order.first_seed + order.seeds)
    variations = [parse_variation(text) for text in order.vary]
    todo = points(catalogue.scenario(order.scenario, system), system, designs, seeds, variations)
    population = population_of(options)(order.first_seed) if options.population is not None else None
    for design in {point.label: point for point in todo}.values():
        people = population or population_of(options)(order.first_seed)
        refuse_unknown(make_plan(design.scenario, system, design.design, 0, people), CAPABILITIES)
    table = OutcomeTable(outcomes.judge, outcomes.seen_status)
    setting = Setting(magnitudes_of(order.calibration), table, GENERATED_PATIENTS, population)
    if order.dask:
        results = run_on_dask(todo, setting, order.dask, _progress)
    else:
        results = run_sweep(todo, setting, _progress)
    if order.out is not None:
        write_results(results, order.out)
        tell(f"{len(results)} runs in {shown(order.out)}")
    if order.plot is not None:
        order.plot.write_text("\n".join(_plots(results)), encoding="utf-8")
        tell(f"plots in {shown(order.plot)}")
    found = effects(results)
    if as_json:
        rows = [asdict(row) for row in intervals(results)]
        dump({"runs": len(results), "intervals": rows, "effects": [asdict(one) for one in found]})
    else:
        say(f"{len(results)} simulated runs of {order.scenario}; magnitudes: {setting.magnitudes.name}")
        for line in effect_lines(found):
            say(line)
    return int(ExitCode.PASS)


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done} of {total} runs", end="\n" if done == total else "", file=sys.stderr, flush=True)


def _plots(results: Any) -> Iterator[str]:
    """An HTML page of one interval plot a figure."""
    rows = intervals(results)
    yield "<!doctype html><meta charset=utf-8><title>Simulated runs</title>"
    for metric in dict.fromkeys(row.metric for row in rows):
        own = [PlottedInterval(r.label, r.mean, r.low, r.high) for r in rows if r.metric == metric]
        yield f"<h2>{metric}</h2>" + interval_plot(own, metric, name=f"figure-{metric.replace('.', '-')}")


def effect_lines(found: Sequence[Effect]) -> list[str]:
    """The largest effects as a table."""
    if not found:
        return ["one label only: nothing to compare"]
    lines = [f"{'figure':34} {'against':>24}  {'difference':>11} {'95% interval':>25} {'size':>7}"]
    for one in found[:SHOWN_EFFECTS]:
        interval = f"{one.low:.4g} to {one.high:.4g}"
        size = "always" if one.size is None else f"{one.size:.2f}"
        against = one.baseline[-24:]
        line = f"{one.metric[:34]:34} {against:>24}  {one.difference:>11.4g} {interval:>25} {size:>7}"
        lines.append(line)
        lines.append(f"    {one.label}: larger in {one.larger:.0%} of {one.pairs} seeds")
    return lines


def _spans(folder: RunFolder) -> list[dict[str, Any]]:
    """The spans of all services of a run. Raises HistoryError when it kept none."""
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    found: list[dict[str, Any]] = []
    for path in sorted((folder.path / "traces").glob("*.jsonl")):
        found.extend(decode(line) for line in path.read_bytes().splitlines() if line.endswith(b"}"))
    if not found:
        raise HistoryError(f"{folder.path}: found no traces, expected a live run that kept its spans")
    return found


def _plan_of(folder: RunFolder, options: Options) -> Plan:
    inputs, system = folder.inputs(), folder.system()
    people = population_of(options)(inputs.seed)
    return make_plan(folder.scenario(system), system, folder.design(), inputs.seed, people)


def calibrate(run: Path, out: Path, options: Options) -> int:
    """Fit the twin's magnitudes to a live run without faults, write them, say each fit."""
    folder = RunFolder(run)
    plan = _plan_of(folder, options)
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    found = fitted(
        plan, folder.history(), _spans(folder), load_magnitudes(), outcomes, name=out.stem, made_at=made_at
    )
    save_magnitudes(found, out)
    for name, fit in sorted(found.fits.items()):
        say(f"{name:36} {fit.family:12} distance {fit.distance:.3f} over {fit.samples} samples")
    say(f"written to {shown(out)}")
    return int(ExitCode.PASS)


def twin(
    scenario: str,
    designs: Sequence[str],
    seed: int,
    calibration: Path | None,
    options: Options,
    as_json: bool,
) -> int:
    """Run live and simulated with one seed, and say the distance. 0 when every verdict agrees."""
    catalogue: Catalogue = default_catalogue(options.system)
    prepared = plans([Request(scenario, design, seed) for design in designs], catalogue, options)
    magnitudes = magnitudes_of(calibration)
    gaps: list[Distance] = []
    for result in run_plans(prepared, options, lambda _: lambda _progress: None, threading.Event(), tell):
        plan = result.plan
        history: History = played(plan, magnitudes, outcomes)
        analysis = analyse(history, plan.scenario, plan.system)
        gaps.append(distance(result.folder.history(), result.analysis, history, analysis))
    if as_json:
        dump([asdict(gap) for gap in gaps])
    else:
        for gap in gaps:
            say_distance(gap, magnitudes)
    return int(ExitCode.PASS if all(gap.same_verdict for gap in gaps) else ExitCode.FAIL)


def say_distance(found: Distance, magnitudes: Magnitudes) -> None:
    """Every quantity, good or bad."""
    live, simulated = found.verdicts
    say(f"{found.scenario} on {found.design}, seed {found.seed}: live {live}, simulated {simulated}")
    say(f"magnitudes: {magnitudes.name}, made {magnitudes.made_at} from {magnitudes.source}")
    for gap in found.gaps:
        word = {True: "close", False: "APART", None: "not known"}[gap.close]
        interval = "" if gap.low is None or gap.high is None else f" ({gap.low:.4g} to {gap.high:.4g})"
        figures = f"live {_number(gap.live)}{interval}, simulated {_number(gap.simulated)}"
        say(f"  {word:9} {gap.quantity:44} {figures}")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
