"""Hundreds of simulated runs side by side: seeds, designs and variants, over processes or a Dask cluster.

A run is a pure function of its point, so that where it is computed changes nothing. A run is one row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from itertools import takewhile
from os import sched_getaffinity
from threading import Event
from typing import Any

import polars as pl

from experiment.design import Design
from experiment.errors import CodeBlueError, UsageError
from experiment.history import History
from experiment.plain_text import csv_text
from experiment.plan import make_plan
from experiment.scenario import Scenario
from experiment.topology import System
from experiment.workload import Population, Workload, load_workload
from measurement.analysis import Analysis
from measurement.judge import analyse
from simulation.engine.loop import uncollected
from simulation.model.magnitudes import Magnitudes
from simulation.model.run import simulate
from simulation.variation import Variation, apply, combinations
from simulation.workers import NEVER, undivided, workers


@dataclass(frozen=True, slots=True)
class Point:
    """One run of a sweep. `variant` holds the varied keys and their values as written."""

    scenario: Scenario
    system: System
    design: Design
    seed: int
    variant: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The design with what was varied: what runs of the same label differ in is the seed."""
        varied = ", ".join(f"{key}={value}" for key, value in self.variant.items())
        return f"{self.design.name} ({varied})" if varied else self.design.name


@dataclass(frozen=True, slots=True)
class Setting:
    """What all runs of a sweep share. Without a `population` each seed has its own, as live."""

    magnitudes: Magnitudes
    population: Population | None = None


class SweepError(CodeBlueError):
    """A run of a sweep failed; the message names its label and seed."""


CONNECT_S = 10.0
LOOK_S = 0.02  # between two looks at what has ended
MOST_KEPT = 200  # populations, of one seed each
Figures = dict[str, float | int | str | None]


def points(
    scenario: Scenario,
    system: System,
    designs: Sequence[Design],
    seeds: Sequence[int],
    variations: Sequence[Variation],
) -> list[Point]:
    """Every design, variant and seed. Raises UsageError for a key or value that is none."""
    made: list[Point] = []
    for design in designs:
        for chosen in combinations(variations):
            varied, other = apply(design, scenario, chosen, system)
            made.extend(Point(other, system, varied, seed, chosen) for seed in seeds)
    return made


class Sweep:
    """All runs of a sweep. A worker is sent it once; what several runs have in common it makes once."""

    def __init__(self, todo: Sequence[Point], setting: Setting) -> None:
        self.todo, self._setting = todo, setting
        self._workloads: dict[int, Workload] = {}  # by the identity of the system, which `todo` keeps
        self._populations: dict[tuple[int, int], Population] = {}

    def run(self, index: int) -> Figures:
        """One row: what was run and its figures."""
        point = self.todo[index]
        workload, population = self._acting(point)
        with uncollected():
            plan = make_plan(point.scenario, point.system, point.design, point.seed, population, workload)
            history = simulate(plan, self._setting.magnitudes)
            analysis = analyse(history, point.scenario, point.system, drawn=False)
        return {
            "scenario": point.scenario.name,
            "design": point.design.name,
            "label": point.label,
            **point.variant,
            "seed": point.seed,
            **figures(history, analysis),
        }

    def _acting(self, point: Point) -> tuple[Workload, Population]:
        system = id(point.system)
        if system not in self._workloads:
            self._workloads[system] = load_workload(point.system)
        workload, key = self._workloads[system], (system, point.seed)
        if self._setting.population is not None:
            return workload, self._setting.population
        if key not in self._populations:
            if len(self._populations) >= MOST_KEPT:
                self._populations.clear()
            self._populations[key] = workload.population(None, point.seed)
        return workload, self._populations[key]


_received: list[Sweep] = []  # by a worker


def _receive(sweep: Sweep) -> None:
    _received[:] = [sweep]


def _run_received(index: int) -> Figures:
    return undivided(partial(_received[0].run, index))


def _run_scattered(sweep: Sweep, index: int) -> Figures:
    return undivided(partial(sweep.run, index))


def figures(history: History, analysis: Analysis) -> Figures:
    """The figures of one run: verdict, score, latencies and good shares a phase, calls, violations. Under the
    fault also the share of all operations, and the largest p95 of a journey."""
    row: Figures = {
        "verdict": str(analysis.verdict),
        "vetoed": analysis.vetoed,
        "score": analysis.score.value,
        "recovery_s": analysis.recovery.seconds if analysis.recovery is not None else None,
        "convergence_s": analysis.convergence_s,
        "violations": sum(check.violation_count for check in analysis.checks if check.judged),
        "broken": " ".join(c.checker for c in analysis.checks if c.violation_count),
        **{f"{c.checker}.violations": c.violation_count for c in analysis.checks if c.safety and c.exposed},
    }
    for journey in analysis.journeys:
        if journey.phase not in ("baseline", "fault", "recovery"):
            continue
        name = f"{journey.journey}.{journey.phase}"
        row[f"{name}.good_ratio"] = journey.good / journey.offered if journey.offered else None
        row[f"{name}.p50_s"], row[f"{name}.p95_s"] = journey.p50, journey.p95
        row[f"{name}.p99_s"] = journey.p99
    under = [journey for journey in analysis.journeys if journey.phase == "fault" and journey.offered]
    row["fault.good_ratio"] = sum(j.good for j in under) / sum(j.offered for j in under) if under else None
    row["fault.p95_s"] = max((j.p95 for j in under if j.p95 is not None), default=None)
    for counter in ("attempts", "retries", "timeouts", "breaker_openings"):
        last = {(s.source, s.about): s.value for s in history.samples if s.name == counter and s.about}
        row[counter] = sum(last.values())
    return row


Progress = Callable[[int, int], None]


def run_sweep(
    todo: Sequence[Point],
    setting: Setting,
    progress: Progress | None = None,
    processes: int | None = None,
    failures: list[str] | None = None,
    stop: Event = NEVER,
) -> pl.DataFrame:
    """All points over this machine's processes; rows in the order of the points.

    A run that fails goes into `failures` by label and seed, and the others are kept. Raises SweepError when
    none is left, or at once without such a list. When `stop` is set, the rows until then.
    """
    cores = processes or min(len(sched_getaffinity(0)), len(todo))
    sweep = Sweep(todo, setting)
    if cores <= 1:
        alone = ((index, partial(sweep.run, index)) for index in range(len(todo)))
        return _collect(todo, takewhile(lambda _: not stop.is_set(), alone), progress, failures, stop)
    with workers(cores, stop, partial(_receive, sweep)) as pool:
        futures = [pool.submit(_run_received, index) for index in range(len(todo))]
        return _collect(todo, _ended(futures, stop), progress, failures, stop)


def run_on_dask(
    todo: Sequence[Point],
    setting: Setting,
    address: str,
    progress: Progress | None = None,
    failures: list[str] | None = None,
    stop: Event = NEVER,
) -> pl.DataFrame:
    """The same on a Dask cluster. Raises UsageError without the optional package or the scheduler."""
    try:
        dask: Any = import_module("distributed")
    except ImportError:
        message = "--dask needs the optional package: pip install 'code-blue[dask]'"
        raise UsageError(message) from None
    try:
        client = dask.Client(address, timeout=CONNECT_S)
    except (OSError, TimeoutError, ValueError) as error:
        raise UsageError(f"--dask {address}: found no scheduler there ({error}), expected one") from None
    with client:
        shared = client.scatter(Sweep(todo, setting), broadcast=True)
        futures = [client.submit(_run_scattered, shared, index, pure=False) for index in range(len(todo))]
        try:
            return _collect(todo, _ended(futures, stop), progress, failures, stop)
        finally:
            client.cancel(futures)


def _ended(futures: Sequence[Any], stop: Event) -> Iterator[tuple[int, Callable[[], Figures]]]:
    """The futures of a pool or a cluster by their index, as they end. Looks instead of waiting for one, so
    that `stop` is seen at once."""
    waiting = dict(enumerate(futures))
    while waiting and not stop.is_set():
        ended = [index for index, future in waiting.items() if future.done()]
        if not ended:
            stop.wait(LOOK_S)
        for index in ended:
            yield index, waiting.pop(index).result


def _collect(
    todo: Sequence[Point],
    ended: Iterable[tuple[int, Callable[[], Figures]]],
    progress: Progress | None,
    failures: list[str] | None,
    stop: Event,
) -> pl.DataFrame:
    """Rows in the order of the points, whatever the order in which runs end."""
    results: dict[int, Figures] = {}
    for done, (index, result) in enumerate(ended, 1):
        try:
            results[index] = result()
        except Exception as error:
            point = todo[index]
            text = f"{point.label}, seed {point.seed}: {type(error).__name__}: {error}"
            if failures is None:
                raise SweepError(text) from error
            failures.append(text)
        if progress is not None:
            progress(done, len(todo))
    if not results and not stop.is_set():
        raise SweepError(
            f"no run of {len(todo)} succeeded, the first one: {(failures or ['none was asked for'])[0]}"
        )
    return frame([results[index] for index in sorted(results)])


def frame(rows: Sequence[Figures]) -> pl.DataFrame:
    """One row a run; a figure that some runs lack is null there."""
    return pl.DataFrame(list(rows), infer_schema_length=None)


def write_results(results: pl.DataFrame, path: object) -> None:
    """Parquet or CSV, by the file's ending. Raises UsageError for another."""
    name = str(path)
    if name.endswith(".parquet"):
        results.write_parquet(name)
    elif name.endswith(".csv"):
        results.with_columns(pl.selectors.string().map_elements(csv_text, pl.String)).write_csv(name)
    else:
        raise UsageError(f"--out: found {name}, expected a file that ends in .parquet or .csv")


def metrics_of(results: pl.DataFrame) -> Iterator[str]:
    """The columns that are figures."""
    for name, kind in results.schema.items():
        if name != "seed" and kind.is_numeric():
            yield name
