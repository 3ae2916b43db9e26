"""Where the trials of `selfcheck gate` get their runs: from the twin, without folders, or from a live
system."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from os import sched_getaffinity
from pathlib import Path

from execution.catalogue import Catalogue
from execution.options import SIMULATION, Options
from execution.runs.live_run import Progress
from execution.runs.pipeline import open_bench
from execution.runs.preflight import Request, planner, plans
from execution.runs.scaling import scaled
from experiment.errors import UsageError
from experiment.plan import Plan
from experiment.scenario import Scenario
from experiment.stop import Stop
from experiment.suite import Suite
from gate.seeded_bugs import seeded_bugs
from gate.selfcheck import Candidate, Draw, Runs, Source, Variant
from measurement.judge import analyse
from measurement.run_records import RunRecord, record_of
from simulation.model.models import magnitudes_of, models_of
from simulation.model.run import simulate
from simulation.workers import undivided, workers

LOOK_S = 0.1  # between two looks at a signal
PLANTED_SUITE, USUAL_SUITE = "planted_bugs", "gate_trials"


@contextmanager
def trial_runs(
    catalogue: Catalogue,
    options: Options,
    first_scenario: str,
    stop: Stop,
    told: Callable[[str], None],
    processes: int | None = None,
) -> Iterator[Runs]:
    """Runs by design, scenario and seed, each played once; a live system is up for the length of the `with`
    block, and every run of it is told. Those of the twin are played ahead on as many `processes` (None: one a
    core), which changes none of them."""
    if options.runtime == SIMULATION:
        cores = processes or len(sched_getaffinity(0))
        with workers(cores, stop) as pool:
            twin = _Twin(pool, catalogue, options, stop)
            yield Runs(twin.play, twin.ahead)
        return
    make = _planner(catalogue, options)
    first = plans([Request(first_scenario, catalogue.usual_design(), 1)], catalogue, options)
    with open_bench(first, options, stop) as bench:

        def play(variant: Variant, draw: Draw) -> RunRecord:
            result = bench.run(make(variant, draw), _unwatched)
            told(f"  {draw.scenario} on {variant.name}, seed {draw.seed}: {result.verdict}")
            path, history = result.folder.path, result.history
            return record_of(0, draw.scenario, path, history, result.analysis, result.clean)

        yield Runs(_once(play))


def _once(play: Source) -> Source:
    """The same run again is the same record."""
    known: dict[tuple[str, Draw], RunRecord] = {}

    def played(variant: Variant, draw: Draw) -> RunRecord:
        key = (variant.name, draw)
        if key not in known:
            known[key] = play(variant, draw)
        return known[key]

    return played


def _planner(catalogue: Catalogue, options: Options) -> Callable[[Variant, Draw], Plan]:
    system = catalogue.system()
    plan_of = planner(system, options)
    scenarios: dict[str, Scenario] = {}

    def make(variant: Variant, draw: Draw) -> Plan:
        if draw.scenario not in scenarios:
            scenarios[draw.scenario] = scaled(catalogue.scenario(draw.scenario, system), options.time_scale)
        return variant.applied(plan_of(scenarios[draw.scenario], variant.design, draw.seed))

    return make


@cache
def _simulated(catalogue: Catalogue, options: Options) -> Source:
    """A live system never takes the same times twice: nor does the twin on the two sides of a pair."""
    magnitudes, make = magnitudes_of(catalogue.system()), _planner(catalogue, options)

    def play(variant: Variant, draw: Draw) -> RunRecord:
        plan = make(variant, draw)
        history = simulate(plan, magnitudes.slowed(variant.slower), chance=draw.take)
        analysis = analyse(history, plan.scenario, plan.system)
        return record_of(0, draw.scenario, Path(), history, analysis, True)

    return play


def _simulated_run(catalogue: Catalogue, options: Options, variant: Variant, draw: Draw) -> RunRecord:
    """In another process, to which no closure travels."""
    return undivided(lambda: _simulated(catalogue, options)(variant, draw))


class _Twin:
    """Runs of the twin: those that were said ahead from the pool, the others from here. `play` raises
    Interrupted once `stop` is set."""

    def __init__(self, pool: ProcessPoolExecutor, catalogue: Catalogue, options: Options, stop: Stop) -> None:
        self._pool, self._inputs, self._stop = pool, (catalogue, options), stop
        self._ahead: dict[tuple[str, Draw], Future[RunRecord]] = {}
        self._here = _once(_simulated(catalogue, options))

    def ahead(self, variant: Variant, draw: Draw) -> None:
        key = (variant.name, draw)
        if key not in self._ahead:
            self._ahead[key] = self._pool.submit(_simulated_run, *self._inputs, variant, draw)

    def play(self, variant: Variant, draw: Draw) -> RunRecord:
        future = self._ahead.get((variant.name, draw))
        if future is None:
            self._stop.check()
            with self._stop.cut_short(LOOK_S):
                return self._here(variant, draw)
        while not wait([future], LOOK_S).done:
            self._stop.check()
        return future.result()


def _unwatched(_progress: Progress) -> None:
    """Trials show their results only."""


def usual_scenarios(catalogue: Catalogue) -> tuple[str, ...]:
    """What is played where no bug asks for a scenario of its own: those of the system's suite gate_trials.
    Raises UsageError where the system has no such suite."""
    suite = _suite(catalogue, USUAL_SUITE)
    if suite is None:
        name = catalogue.system().name
        raise UsageError(
            f"found no --scenario, and no suite {USUAL_SUITE} of the system {name} that names some, "
            "expected one of them"
        )
    return tuple(dict.fromkeys(entry.scenario for entry in suite.entries))


def trials_of(
    catalogue: Catalogue, scenarios: Sequence[str], runtime: str = SIMULATION
) -> tuple[Candidate, tuple[Candidate, ...]]:
    """(the strong design against itself, every seeded bug that the runtime can play). Designs that a bug was
    planted in are those of the system's suite planted_bugs, where it has one.

    Raises UsageError for the twin of a system without models, in which no bug shows.
    """
    system = catalogue.system()
    if runtime == SIMULATION and models_of(system).general:
        raise UsageError(
            f"found the runtime {SIMULATION} for the system {system.name}, which brings no twin models "
            "(workload.twin): no switch and no safety property is known there; expected --runtime processes "
            "or containers"
        )
    return seeded_bugs(
        catalogue.design(catalogue.usual_design(), system),
        lambda name: catalogue.design(name, system),
        system,
        _suite(catalogue, PLANTED_SUITE),
        {name for name, stated in system.properties.items() if stated.safety},
        tuple(scenarios),
        runtime == SIMULATION,
    )


def _suite(catalogue: Catalogue, name: str) -> Suite | None:
    path = catalogue.suite_files().get(name)
    return None if path is None else catalogue.suite(path)
