"""How fast the twin plays the reference system: times real time, and CPU an operation, as the load grows.

    python -m benchmarks.twin [--operations N] [--rates R...] [--scenario NAME] [--rounds N]

Each figure is CPU time, taken beside a bare heapq loop in the same round: the last columns say what a machine
would show on which a hop of that loop takes 2.6 us. Planning is not part of it, and neither is judging.
"""

from __future__ import annotations

import argparse
import platform
import time
from dataclasses import replace
from os import cpu_count
from statistics import median

from benchmarks import bare_heapq
from execution.catalogue import default_catalogue
from execution.options import Options
from execution.runs.preflight import planner
from experiment.plan import Plan
from experiment.topology import System
from simulation.model.magnitudes import Magnitudes
from simulation.model.models import magnitudes_of
from simulation.model.run import play

HOP_US = 2.6  # of the bare loop, on the machine that the aims are for
BARE_S = 10.0  # virtual seconds of the bare loop in each round
OPERATIONS_A_VISIT = 4.4
AIMS = "aims: 200 x at 12 visits/s, 25 x at 100, an operation at 1,000 at most 1.2 times one at 10"


def plan_of(scenario: str, design: str, system: System, rate: float, seconds: float) -> Plan:
    """The load of a scenario at another rate for so long, without its faults."""
    catalogue = default_catalogue()
    asked = catalogue.scenario(scenario, catalogue.system())
    load = replace(asked.load, arrivals=replace(asked.load.arrivals, rate=rate))
    phases = replace(asked.phases, warm_up=1.0, baseline=seconds, fault=0.0, recovery=0.0)
    quiet = replace(asked, load=load, phases=phases, faults=(), expect=replace(asked.expect, fault=()))
    return planner(system, Options())(quiet, catalogue.design(design, catalogue.system()), 1)


def played(plan: Plan, magnitudes: Magnitudes) -> float:
    """CPU seconds of one run."""
    started = time.process_time()
    play(plan, magnitudes)
    return time.process_time() - started


def row(name: str, plan: Plan, magnitudes: Magnitudes, rounds: int) -> float:
    """Print the figures of one plan; CPU seconds an operation, in hops of the bare loop."""
    costs, speeds = [], []
    for seed in range(1, rounds + 1):
        bare_s, hops = bare_heapq.run(seed, BARE_S)
        taken = played(plan, magnitudes)
        costs.append(taken / len(plan.operations) / (bare_s / hops))
        speeds.append(plan.load_end_s / taken)
    scaled = plan.load_end_s / len(plan.operations) / median(costs) / HOP_US * 1e6
    print(
        f"{name:40}{len(plan.operations):>10,} operations {median(speeds):7.1f} x real time, scaled "
        f"{scaled:7.1f} x, {median(costs) * HOP_US:6.0f} us an operation ({median(costs):.0f} bare hops)",
        flush=True,
    )
    return median(costs)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--operations", type=int, default=10_000, help="of each run, about")
    parser.add_argument("--rates", type=float, nargs="+", default=[10.0, 12.0, 100.0, 200.0, 1000.0])
    parser.add_argument("--scenario", default="smoke/control")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    system = default_catalogue().system()
    general = replace(system, workload=replace(system.workload, twin=""))
    print(f"machine: {platform.machine()}, {cpu_count()} cores, Python {platform.python_version()}")
    print(f"load of {given.scenario}; {AIMS}")
    for kind, known in (("", system), ("general models, ", general)):
        magnitudes = magnitudes_of(known)
        for design in ("resilient", "fragile"):
            costs = {}
            for rate in given.rates:
                seconds = given.operations / OPERATIONS_A_VISIT / rate
                plan = plan_of(given.scenario, design, known, rate, seconds)
                costs[rate] = row(f"{kind}{design}, {rate:g} visits/s", plan, magnitudes, given.rounds)
            low, high = min(costs), max(costs)
            growth = costs[high] / costs[low]
            print(f"{'':4}an operation at {high:g} visits/s: {growth:.2f} times one at {low:g}")


if __name__ == "__main__":
    main()
