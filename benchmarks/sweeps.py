"""What one run of a sweep costs, by part, and what more processes and a Dask cluster bring.

    python -m benchmarks.sweeps [--scenarios NAMES...] [--seeds N] [--runs N]

The parts are CPU time of one process that does as a worker does, beside a bare heapq loop in the same round:
"scaled" is what a machine would show on which a hop of that loop takes 2.6 us. The last lines are time, and
say something on a machine with nothing else to do.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from os import cpu_count
from statistics import median
from typing import Any, TypeVar

from benchmarks import bare_heapq
from benchmarks.twin import HOP_US
from execution.catalogue import default_catalogue
from experiment.plan import make_plan
from experiment.workload import load_workload
from measurement.judge import analyse
from simulation.model.models import magnitudes_of
from simulation.model.run import simulate
from simulation.sweep import Point, Setting, figures, points, run_on_dask, run_sweep
from simulation.workers import undivided

T = TypeVar("T")
AIMS = "aims: 60 ms a run, scaled; 2 processes 1.9 times one; Dask at most 1.15 times the time of processes"
LOOPBACK = "127.0.0.1"


class Parts:
    """CPU seconds of each part of a run."""

    def __init__(self) -> None:
        self.taken: dict[str, list[float]] = defaultdict(list)

    def of(self, part: str, work: Callable[[], T]) -> T:
        """Do it, and keep what it took."""
        started = time.process_time()
        result = work()
        self.taken[part].append(time.process_time() - started)
        return result

    def run(self, point: Point, setting: Setting) -> int:
        """One run in its parts; how many operations it had."""
        workload = load_workload(point.system)
        people = self.of("population", lambda: workload.population(None, point.seed))
        plan = self.of(
            "plan",
            lambda: make_plan(point.scenario, point.system, point.design, point.seed, people, workload),
        )
        history = self.of("simulate", lambda: simulate(plan, setting.magnitudes))
        judge = partial(analyse, history, point.scenario, point.system, drawn=False)
        analysis = self.of("judge", lambda: undivided(judge))
        self.of("figures", lambda: figures(history, analysis))
        return len(plan.operations)


def one_run(todo: Sequence[Point], setting: Setting) -> None:
    """What a run costs; its population is made once for each seed."""
    parts, hops, operations = Parts(), [], []
    Parts().run(todo[0], setting)
    for point in todo:
        seconds, count = bare_heapq.run(point.seed, 4.0)
        hops.append(seconds / count * 1e6)
        operations.append(parts.run(point, setting))
    scale = HOP_US / median(hops)
    print(f"{len(todo)} runs of {median(operations):.0f} operations, bare hop {median(hops):.2f} us")
    total = 0.0
    for part, taken in parts.taken.items():
        each = median(taken) * 1e3
        total += each
        print(f"{part:12}{each:8.1f} ms, scaled {each * scale:7.1f} ms")
    print(f"{'a run':12}{total:8.1f} ms, scaled {total * scale:7.1f} ms")


def side_by_side(todo: Sequence[Point], setting: Setting) -> None:
    """Time of the same runs on one process, on two, and on a Dask cluster of two."""
    taken = {}
    for count in (1, 2):
        started = time.perf_counter()
        sweep = partial(run_sweep, todo, setting, processes=count)
        # One is this process, which works here as a worker would.
        undivided(sweep) if count == 1 else sweep()
        taken[count] = time.perf_counter() - started
    print(
        f"{len(todo)} runs: one process {taken[1]:.1f} s, two {taken[2]:.1f} s, {taken[1] / taken[2]:.2f} x"
    )
    if find_spec("distributed") is None:
        print("left out: Dask, which is not installed")
        return
    distributed: Any = import_module("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, protocol="tcp", host=LOOPBACK
    ) as cluster:
        run_on_dask(todo[:2], setting, cluster.scheduler_address)
        started = time.perf_counter()
        run_on_dask(todo, setting, cluster.scheduler_address)
        dask = time.perf_counter() - started
    print(
        f"{len(todo)} runs on a Dask cluster of two: {dask:.1f} s, {dask / taken[2]:.2f} x the two processes"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenarios", nargs="+", default=["smoke/payer_blackhole", "smoke/billing_crash"])
    parser.add_argument("--seeds", type=int, default=5, help="of each scenario and design, taken apart")
    parser.add_argument("--runs", type=int, default=200, help="side by side; 0: none")
    given = parser.parse_args()
    os.environ.setdefault("POLARS_MAX_THREADS", "1")  # as a worker has it
    catalogue = default_catalogue()
    system = catalogue.system()
    designs = [catalogue.design(name, system) for name in ("resilient", "fragile")]
    setting = Setting(magnitudes_of(system))
    print(f"machine: {platform.machine()}, {cpu_count()} cores, Python {platform.python_version()}; {AIMS}")
    for name in given.scenarios:
        print(name)
        one_run(
            points(catalogue.scenario(name, system), system, designs, range(1, given.seeds + 1), []), setting
        )
    if given.runs:
        seeds = range(1, given.runs // len(designs) + 1)
        one = catalogue.scenario(given.scenarios[0], system)
        side_by_side(points(one, system, designs, seeds, []), setting)


if __name__ == "__main__":
    main()
