"""`simulate`: sweeps over the twin, their rows, plots and effect sizes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from execution.catalogue import Catalogue, default_catalogue
from execution.commands.interrupts import interruptible
from execution.commands.saying import dump, say, shown, tell
from execution.options import GENERATED_PATIENTS, Options
from execution.runs.preflight import population_of
from experiment.errors import ExitCode
from experiment.plan import make_plan
from experiment.units import noun
from load import outcomes
from reports.plots_over_runs import Interval as PlottedInterval
from reports.plots_over_runs import interval_plot
from simulation.effects import Effect, effects, intervals
from simulation.model.controls import CAPABILITIES
from simulation.model.magnitudes import load_magnitudes
from simulation.model.world import refuse_unknown
from simulation.sweep import OutcomeTable, Setting, points, run_on_dask, run_sweep, write_results
from simulation.variation import parse_variation

SHOWN_EFFECTS = 20  # of each label


@dataclass(frozen=True, slots=True)
class SweepOrder:
    """What a sweep runs: `seeds` of them from `first_seed` on, every design with every variation."""

    names: tuple[str, ...]  # the scenario, and designs before or after it
    designs: tuple[str, ...]
    seeds: int
    first_seed: int
    vary: tuple[str, ...]
    dask: str
    calibration: Path | None
    out: Path | None
    plot: Path | None


def sweep(order: SweepOrder, options: Options, as_json: bool) -> int:
    """Simulate, write the rows, say the effect sizes against the first design or variant.

    A signal ends it with the rows until then.
    """
    catalogue = default_catalogue(options.system)
    system = catalogue.system()
    scenario, names = _told_apart(order, catalogue)
    designs = [catalogue.design(name, system) for name in names]
    seeds = range(order.first_seed, order.first_seed + order.seeds)
    variations = [parse_variation(text) for text in order.vary]
    todo = points(catalogue.scenario(scenario, system), system, designs, seeds, variations)
    population = population_of(options)(order.first_seed) if options.population is not None else None
    for design in {point.label: point for point in todo}.values():
        people = population or population_of(options)(order.first_seed)
        refuse_unknown(make_plan(design.scenario, system, design.design, 0, people), CAPABILITIES)
    table = OutcomeTable(outcomes.judge, outcomes.seen_status)
    setting = Setting(load_magnitudes(order.calibration), table, GENERATED_PATIENTS, population)
    failures: list[str] = []
    with interruptible() as interruption:
        if order.dask:
            results = run_on_dask(todo, setting, order.dask, _progress, failures, interruption.stop)
        else:
            results = run_sweep(todo, setting, _progress, failures=failures, stop=interruption.stop)
    if interruption.exit_code is not None:
        tell(f"interrupted: {len(results) + len(failures)} of {noun(len(todo), 'run')} had ended")
        if not len(results):
            return int(interruption.exit_code)
    if order.out is not None:
        write_results(results, order.out)
        tell(f"{noun(len(results), 'run')} in {shown(order.out)}")
    if order.plot is not None:
        order.plot.write_text("\n".join(_plots(results)), encoding="utf-8")
        tell(f"plots in {shown(order.plot)}")
    found = effects(results)
    if as_json:
        rows = [asdict(row) for row in intervals(results)]
        dump({"runs": len(results), "intervals": rows, "effects": [asdict(one) for one in found]})
    else:
        say(f"{len(results)} simulated runs of {scenario}; magnitudes: {setting.magnitudes.name}")
        for line in effect_lines(
            found, dict(results.group_by("label", maintain_order=True).len().iter_rows())
        ):
            say(line)
    for text in failures:
        tell(f"failed: {text}")
    return int(interruption.exit_code or (ExitCode.INTERNAL_ERROR if failures else ExitCode.PASS))


def _told_apart(order: SweepOrder, catalogue: Catalogue) -> tuple[str, tuple[str, ...]]:
    """The scenario among the names, wherever it stands, and the designs."""
    known = catalogue.scenario_files()
    scenario = next((name for name in order.names if name in known), order.names[0])
    others = [name for name in order.names if name != scenario]
    return scenario, tuple(dict.fromkeys((*order.designs, *others))) or ("fragile", "resilient")


def _progress(done: int, total: int) -> None:
    """On a terminal one line that is rewritten, elsewhere a line every tenth."""
    said = f"{done} of {noun(total, 'run')}"
    if sys.stderr.isatty():
        print(f"\r{said}", end="\n" if done == total else "", file=sys.stderr, flush=True)
    elif done * 10 // total > (done - 1) * 10 // total:
        print(said, file=sys.stderr, flush=True)


def _plots(results: Any) -> Iterator[str]:
    """An HTML page of one interval plot a figure."""
    rows = intervals(results)
    yield "<!doctype html><meta charset=utf-8><title>Simulated runs</title>"
    for metric in dict.fromkeys(row.metric for row in rows):
        own = [PlottedInterval(r.label, r.mean, r.low, r.high) for r in rows if r.metric == metric]
        yield f"<h2>{metric}</h2>" + interval_plot(own, metric, name=f"figure-{metric.replace('.', '-')}")


def effect_lines(found: Sequence[Effect], runs: Mapping[str, int]) -> list[str]:
    """The weightiest effects of each label against the first, as a table; `runs` by label."""
    if len(runs) < 2:
        return ["one label only: nothing to compare"]
    if not found:
        return ["one seed only: effects need two or more, --seeds 2"]
    lines = [f"against {found[0].baseline}:"]
    lines.append(f"{'figure':34} {'difference':>11} {'95% interval':>25} {'size':>7}  larger in")
    for label in dict.fromkeys(one.label for one in found):
        lines.append(label)
        for one in [one for one in found if one.label == label][:SHOWN_EFFECTS]:
            interval = f"{one.low:.4g} to {one.high:.4g}"
            size = f"{one.size:.2f}" if one.size is not None else "always" if one.difference else "none"
            larger = f"{one.larger:.0%} of {noun(one.pairs, 'seed')}"
            lines.append(f"  {one.metric[:32]:32} {one.difference:>11.4g} {interval:>25} {size:>7}  {larger}")
    return lines
