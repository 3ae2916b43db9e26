"""Whether a long run grows: memory, descriptors and threads of the harness and of the load generator.

`python -m benchmarks.soak [--minutes 30] [--rate 50]` plays one run with a fault every minute and looks at
/proc each second. `--repeats 40` plays as many short runs in one process instead, as a suite does, looks
after each, and judges the second half: an allocator takes memory until the worst of all moments has come.
With `--runtime simulation` these are runs of the twin, for which nobody waits.

The growth is the slope of Theil and Sen over block means with its 95% interval, from the end of the baseline
to the end of the load. It is flat when the interval reaches down to zero, or when all of it together is less
than FLAT of what there was, or than twice the noise of the blocks. The history must be complete, and the
report there within REPORT_S.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import psutil
from scipy.stats import theilslopes

from benchmarks.lifecycle import tell_machine
from execution.catalogue import default_catalogue
from execution.options import PROCESSES, SIMULATION, Options
from execution.runs.bench import RunResult
from execution.runs.judging import judge_again, render
from execution.runs.live_run import Progress
from execution.runs.pipeline import open_bench
from execution.runs.preflight import planner
from experiment.plan import Plan
from experiment.stop import Stop

SCENARIO = Path(__file__).parent / "soak.yaml"
MB = 1e6
LOOK_EVERY_S = 1.0
BLOCKS = 30
FLAT = 0.01
REPORT_S = 10.0
HARNESS, GENERATOR = "harness", "load generator"
FIGURES = ("memory MB", "descriptors", "threads")


@dataclass(slots=True)
class Looks:
    """What was seen of one process: (time, memory in MB, descriptors, threads)."""

    rows: list[tuple[float, float, float, float]] = field(default_factory=list)

    def add(self, at: float, process: psutil.Process) -> None:
        with process.oneshot():
            memory = process.memory_info().rss / MB
            self.rows.append((at, memory, float(process.num_fds()), float(process.num_threads())))


class Watcher:
    """Looks at this process and at its load generator until it is closed."""

    def __init__(self) -> None:
        self.seen = {HARNESS: Looks(), GENERATOR: Looks()}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True, name="looks")
        self._thread.start()

    def _look(self) -> None:
        harness = psutil.Process()
        while not self._over.wait(LOOK_EVERY_S):
            self.seen[HARNESS].add(time.monotonic(), harness)
            for child in harness.children():
                try:
                    if "load.locustfile" in child.cmdline():
                        self.seen[GENERATOR].add(time.monotonic(), child)
                except psutil.Error:  # it ended between two looks
                    continue

    def close(self) -> None:
        self._over.set()
        self._thread.join()


def soak(minutes: float, rate: float) -> bool:
    """One long run. Whether all is flat, whole and quick."""
    plan = plan_of(rate, minutes * 60.0)
    planned = f"{len(plan.operations):,} operations, {len(plan.activations)} faults"
    print(f"{planned} in {minutes:g} min", flush=True)
    watcher = Watcher()
    with tempfile.TemporaryDirectory(prefix="codeblue-soak-") as folder:
        results, ends = played([plan], Options(out=Path(folder)))
        watcher.close()
        result, zero = results[0], ends[0] - _seconds_of(results[0])
        until = zero + plan.load_end_s
        start = zero + plan.phase("fault").start_s
        unit = 60.0
        flat = True
        for name, looks in watcher.seen.items():
            rows = [row for row in looks.rows if start <= row[0] <= until]
            flat &= tell(name, rows, unit, "a minute")
        return flat & whole(result) & quick(result)


def repeated(repeats: int, rate: float, runtime: str) -> bool:
    """Many short runs in one process. Whether all is flat in their second half."""
    plans = [plan_of(rate, 4.0, number) for number in range(1, repeats + 1)]
    looks, process = Looks(), psutil.Process()
    with tempfile.TemporaryDirectory(prefix="codeblue-soak-") as folder:
        options = Options(runtime=runtime, out=Path(folder))
        played(plans, options, lambda number: looks.add(float(number), process))
    return tell(HARNESS, looks.rows[len(looks.rows) // 2 :], 1.0, "a run")


def plan_of(rate: float, fault_s: float, seed: int = 1) -> Plan:
    """The scenario with this rate and length."""
    catalogue = default_catalogue()
    system = catalogue.system()
    scenario = catalogue.scenario(str(SCENARIO), system)
    load = replace(scenario.load, arrivals=replace(scenario.load.arrivals, rate=rate))
    phases = replace(scenario.phases, fault=fault_s)
    if fault_s < 60.0:
        phases = replace(phases, warm_up=1.0, baseline=4.0, recovery=2.0)
    scenario = replace(scenario, load=load, phases=phases)
    return planner(system, Options())(scenario, catalogue.design("resilient", system), seed)


def played(
    plans: Sequence[Plan], options: Options, after: Callable[[int], None] = lambda _: None
) -> tuple[list[RunResult], list[float]]:
    """The last result, and when each history had ended."""
    results: list[RunResult] = []
    ends: list[float] = []

    def quiet(_progress: Progress) -> None:
        """A benchmark shows its figures, not its progress."""

    with open_bench(plans, options, Stop()) as bench:
        for number, plan in enumerate(plans):
            result = bench.run(plan, quiet)
            ends.append(time.monotonic())
            results[:] = [result]
            after(number)
            print(f"  {result.folder.path.name}: {result.verdict.value}", flush=True)
    return results, ends


def _seconds_of(result: RunResult) -> float:
    """How long before now the run's zero was."""
    return time.time() - result.history.header.zero_wall


def tell(name: str, rows: Sequence[tuple[float, float, float, float]], unit: float, per: str) -> bool:
    """Print one line a figure. Whether all are flat."""
    if len(rows) < 4:
        print(f"{name}: only {len(rows)} looks")
        return False
    table = np.asarray(rows)
    blocks = np.array_split(table, min(BLOCKS, len(rows)))
    means = np.asarray([block.mean(axis=0) for block in blocks])
    flat = True
    for column, figure in enumerate(FIGURES, 1):
        at = means[:, 0] / unit
        slope, level, low, high = theilslopes(means[:, column], at)
        grown = slope * (at[-1] - at[0])
        noise = float(np.std(means[:, column] - level - slope * at))
        ok = low <= 0.0 or grown <= max(2 * noise, FLAT * float(means[:, column].mean()))
        flat &= ok
        first, last, most = means[0, column], means[-1, column], table[:, column].max()
        print(
            f"{name:<15} {figure:<12} {first:8.1f} -> {last:8.1f}, most {most:8.1f}, "
            f"slope {slope:+.4f} ({low:+.4f} to {high:+.4f}) {per}: {'flat' if ok else 'GROWS'}"
        )
    return flat


def whole(result: RunResult) -> bool:
    """Whether every planned operation and line is there."""
    checks = {check.name: check for check in result.analysis.validity}
    good = True
    for name in ("evidence_is_complete", "run_is_the_planned_one", "generator_kept_up"):
        if name in checks:
            print(f"{name}: {checks[name].statement[:300]}")
            good &= checks[name].ok or name == "generator_kept_up"  # a busy machine is no growth
    return good and "evidence_is_complete" in checks


def quick(result: RunResult) -> bool:
    """Whether the run is judged and rendered in time."""
    begun, used = time.monotonic(), time.process_time()
    history = result.folder.history()
    render(result.folder, history, judge_again(result.folder, history))
    took_s, cpu_s = time.monotonic() - begun, time.process_time() - used
    size = result.folder.history_path.stat().st_size / MB
    took = f"{took_s:.1f} s ({cpu_s:.1f} s of CPU), expected {REPORT_S:g} s at most"
    print(f"history of {size:.1f} MB read, judged and rendered in {took}")
    return took_s <= REPORT_S


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="length of the fault phase")
    parser.add_argument("--rate", type=float, default=50.0, help="visits a second")
    parser.add_argument("--repeats", type=int, default=0, help="so many short runs instead of a long one")
    parser.add_argument("--runtime", choices=(PROCESSES, SIMULATION), default=PROCESSES, help="of repeats")
    options = parser.parse_args()
    tell_machine()
    if options.repeats:
        good = repeated(options.repeats, options.rate, options.runtime)
    else:
        good = soak(options.minutes, options.rate)
    print("flat, whole and quick" if good else "NOT as it should be")
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
