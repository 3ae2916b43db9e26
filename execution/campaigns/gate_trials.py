"""Where the trials of `selfcheck gate` get their runs: from the twin, without folders, or from a live
system."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from execution.campaigns.gate_selfcheck import (
    Candidate,
    Source,
    Variant,
    lost_margin,
    minus_one,
)
from execution.campaigns.run_records import RunRecord, record_of
from execution.catalogue import Catalogue
from execution.options import SIMULATION, Options
from execution.runs.live_run import Progress
from execution.runs.pipeline import open_bench
from execution.runs.preflight import Request, plans, population_of
from execution.runs.scaling import scaled
from experiment.plan import Plan, make_plan
from experiment.scenario import Scenario
from experiment.suite import load_suite
from load import outcomes
from measurement.checkers import CHECKERS
from measurement.judge import analyse
from simulation.magnitudes import load_magnitudes
from simulation.run import simulate

PLANTED_SUITE = "planted_bugs"


@contextmanager
def trial_source(
    catalogue: Catalogue, options: Options, stop: threading.Event, told: Callable[[str], None]
) -> Iterator[Source]:
    """Runs by design, scenario and seed, each played once; a live system is up for the length of the `with`
    block, and every run of it is told."""
    make = _planner(catalogue, options)
    if options.runtime == SIMULATION:
        yield _once(_simulated(make))
        return
    first = plans([Request("smoke/control", "resilient", 1)], catalogue, options)
    with open_bench(first, options, stop) as bench:

        def play(variant: Variant, scenario: str, seed: int) -> RunRecord:
            result = bench.run(make(variant, scenario, seed), _unwatched)
            folder = result.folder
            told(f"  {scenario} on {variant.name}, seed {seed}: {result.verdict}")
            return record_of(0, scenario, folder.path, folder.history(), result.analysis, result.clean)

        yield _once(play)


def _once(play: Source) -> Source:
    """The same run again is the same record."""
    known: dict[tuple[str, str, int], RunRecord] = {}

    def played(variant: Variant, scenario: str, seed: int) -> RunRecord:
        key = (variant.name, scenario, seed)
        if key not in known:
            known[key] = play(variant, scenario, seed)
        return known[key]

    return played


def _planner(catalogue: Catalogue, options: Options) -> Callable[[Variant, str, int], Plan]:
    system = catalogue.system()
    population = population_of(options)

    scenarios: dict[str, Scenario] = {}

    def make(variant: Variant, scenario: str, seed: int) -> Plan:
        if scenario not in scenarios:
            scenarios[scenario] = scaled(catalogue.scenario(scenario, system), options.time_scale)
        plan = make_plan(scenarios[scenario], system, variant.design, seed, population(seed))
        return variant.applied(plan)

    return make


def _simulated(make: Callable[[Variant, str, int], Plan]) -> Source:
    magnitudes = load_magnitudes()

    def play(variant: Variant, scenario: str, seed: int) -> RunRecord:
        plan = make(variant, scenario, seed)
        history = simulate(plan, magnitudes.slowed(variant.slower), outcomes)
        return record_of(0, scenario, Path(), history, analyse(history, plan.scenario, plan.system), True)

    return play


def _unwatched(_progress: Progress) -> None:
    """Trials show their results only."""


def trials_of(
    catalogue: Catalogue, scenarios: Sequence[str], runtime: str = SIMULATION
) -> tuple[Candidate, tuple[Candidate, ...]]:
    """(resilient against itself, every seeded bug that the runtime can play)."""
    system = catalogue.system()
    resilient = catalogue.design("resilient", system)
    usual = tuple(scenarios)
    planted = [
        Candidate(
            entry.design,
            Variant(catalogue.design(entry.design, system)),
            (entry.scenario,),
            any(CHECKERS[name].safety for name in entry.violates),
        )
        for entry in load_suite(catalogue.suite_path(PLANTED_SUITE)).entries
    ]
    reach = tuple(dict.fromkeys((*usual, *(name for one in planted for name in one.scenarios))))
    slow = Candidate("doubled p95", Variant(resilient, slower=2.0), usual, must_be_found=True)
    half = Candidate("halved goodput", Variant(resilient, capacity=0.5), usual, must_be_found=True)
    lost = Candidate("lost the margin", Variant(resilient), usual, must_not_pass=True, shifted=lost_margin)
    worse = (slow, half, lost) if runtime == SIMULATION else (half, lost)
    minus = (Candidate(design.name, Variant(design), reach) for design in minus_one(resilient))
    return Candidate("resilient against itself", Variant(resilient), usual), (*planted, *worse, *minus)
