"""`simulate`: sweeps over the twin, their rows, plots and effect sizes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from execution.catalogue import default_catalogue
from execution.commands.saying import dump, say, shown, tell
from execution.options import GENERATED_PATIENTS, Options
from execution.runs.preflight import population_of
from experiment.errors import ExitCode
from experiment.plan import make_plan
from load import outcomes
from reports.comparison_plots import Interval as PlottedInterval
from reports.comparison_plots import interval_plot
from simulation.controls import CAPABILITIES
from simulation.effects import Effect, effects, intervals
from simulation.magnitudes import load_magnitudes
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
    setting = Setting(load_magnitudes(order.calibration), table, GENERATED_PATIENTS, population)
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
