"""How long a runtime takes to start, reset and stop the reference system; each has a benchmark of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import TypeVar

from execution.catalogue import default_catalogue
from execution.runs.facts import machine
from experiment.workload import load_workload
from runtimes.runtime import RunSettings, Runtime

AnyRuntime = TypeVar("AnyRuntime", bound=Runtime)


def tell_machine() -> None:
    facts = machine()
    print(f"machine            {facts['cores']} cores, {facts['memory']}, {facts['cpu']}")


def run_of(design: str, number: int) -> RunSettings:
    """A run of the reference system; its number is also its seed."""
    catalogue = default_catalogue()
    system = catalogue.system()
    population = load_workload(system).population(None, number)
    return RunSettings(f"r-{number}", number, catalogue.design(design, system), population)


def lifecycles(make: Callable[[], AnyRuntime], rounds: int) -> AnyRuntime:
    """Start and stop a few times; the first start may make what later ones find. One is left running."""
    starts: list[float] = []
    stops: list[float] = []
    while True:
        runtime = make()
        starts.append(_seconds(partial(runtime.start, run_of("fragile", 0))))
        if len(starts) > rounds:
            break
        stops.append(_seconds(runtime.stop))
    described = runtime.describe()
    print(f"ground             Toxiproxy {described.toxiproxy}, {dict(described.versions)}")
    print(f"first start        {starts[0]:.2f} s until ready and reset")
    print(f"later starts       {spread(starts[1:], 1)} s")
    print(f"stop               {spread(stops, 1)} s until verified empty")
    return runtime


def resets(runtime: Runtime, rounds: int) -> None:
    """Reset between runs, to the same design and to another."""
    for title, designs in (("same design", ["resilient"]), ("other design", ["fragile", "resilient"])):
        seconds: list[float] = []
        runtime.reset(run_of(designs[-1], 0))
        for number in range(rounds):
            run = run_of(designs[number % len(designs)], number)
            seconds.append(_seconds(partial(runtime.reset, run)))
        print(f"reset, {title:<12} {spread(seconds, 1e3)} ms, {run.population.source}")


def _seconds(act: Callable[[], None]) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began


def spread(values: Sequence[float], factor: float) -> str:
    """Median and worst."""
    return f"p50 {factor * median(values):.2f}, max {factor * max(values):.2f}"
