"""How fast the twin is, beside a bare heapq loop of the same structure in the same run.

    python -m benchmarks.simulation [--length SECONDS] [--rounds N]

The absolute figure depends on the machine and its other work; the ratio, from interleaved rounds, does not.
"""

from __future__ import annotations

import argparse
import platform
import time
from multiprocessing import get_context
from os import cpu_count
from statistics import median

from benchmarks import bare_heapq
from benchmarks.simulation_model import build
from simulation.engine.loop import run_out, run_until


def twin(seed: int, length_s: float) -> tuple[float, int]:
    """CPU seconds taken and hops made by the model."""
    model = build(seed, length_s)
    started = time.process_time()
    run_until(model.clock, length_s)
    run_out(model.clock)
    return time.process_time() - started, model.hops


def wall(processes: int, length_s: float) -> float:
    """Wall-clock seconds for two runs on so many processes, started beforehand."""
    with get_context("forkserver").Pool(processes) as pool:
        pool.starmap(twin, [(seed, 1.0) for seed in range(processes)])
        started = time.perf_counter()
        pool.starmap(twin, [(seed, length_s) for seed in (1, 2)], chunksize=1)
        return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--length", type=float, default=60.0, help="seconds of virtual time a round")
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    length = given.length
    figures = []
    for seed in range(1, given.rounds + 1):
        model_s, hops = twin(seed, length)
        bare_s, bare_hops = bare_heapq.run(seed, length)
        figures.append((model_s / hops, bare_s / bare_hops, length / model_s, length / bare_s))
    cores, python = cpu_count(), platform.python_version()
    print(f"machine: {platform.machine()}, {cores} cores, Python {python}")
    print("ten services, 200 requests/s, 6 hops each, time limits, retries with jitter, breakers, two faults")
    for name, cost, speed in (("twin", 0, 2), ("bare heapq", 1, 3)):
        speeds = [figure[speed] for figure in figures]
        hop_us = 1e6 * median(figure[cost] for figure in figures)
        print(f"{name:12}{median(speeds):6.0f} x real time (best {max(speeds):.0f}), {hop_us:.2f} us a hop")
    ratio = median(bare / model for model, bare, _, _ in figures)
    print(f"ratio       {ratio:6.2f} of the bare loop by cost per hop, median of {given.rounds} rounds")
    print(f"2 processes {wall(1, length) / wall(2, length):6.2f} x one process")


if __name__ == "__main__":
    main()
