"""Visits a second through the resilient design, with PostgreSQL, NATS, the proxies and Locust on the same
cores.

`python -m benchmarks.capacity [--rates 50,100]`: achieved / offered, p95 of every journey, generator lag,
overhead of
a run over its phases, and CPU for each visit by process.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from execution.catalogue import default_catalogue
from execution.options import Options
from execution.runs.facts import machine
from execution.runs.live_run import Progress
from execution.runs.pipeline import open_bench
from execution.runs.preflight import planner
from experiment.history import History
from experiment.plan import Plan
from experiment.stop import Stop

SCENARIO = Path(__file__).parent / "capacity.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", default="50,100", help="visits a second, one run each")
    parser.add_argument("--design", default="resilient")
    arguments = parser.parse_args()
    print(f"machine: {machine()}")
    plans = [_plan(float(rate), arguments.design) for rate in arguments.rates.split(",")]
    with tempfile.TemporaryDirectory(prefix="codeblue-bench-") as folder:
        started = time.monotonic()
        with open_bench(plans, replace(Options(), out=Path(folder)), Stop()) as bench:
            print(f"system ready after {time.monotonic() - started:.1f} s")
            for plan in plans:
                begun = time.monotonic()
                result = bench.run(plan, quiet)
                _say(plan, result.folder.history(), result.verdict.value, time.monotonic() - begun)
                for check in result.analysis.validity:
                    if check.name == "generator_kept_up":
                        print(f"  {check.statement}")


def _plan(rate: float, design: str) -> Plan:
    catalogue = default_catalogue()
    system = catalogue.system()
    scenario = catalogue.scenario(str(SCENARIO), system)
    load = replace(scenario.load, arrivals=replace(scenario.load.arrivals, rate=rate))
    plan = planner(system, Options())
    return plan(replace(scenario, load=load), catalogue.design(design, system), 1)


def quiet(_progress: Progress) -> None:
    """A benchmark shows its figures, not its progress."""


def _say(plan: Plan, history: History, verdict: str, seconds: float) -> None:
    operations = history.operations
    visits = len({operation.visit for operation in plan.operations})
    load_s = plan.load_end_s
    rate = plan.scenario.load.arrivals.rate
    print(f"{rate:g} visits/s: {verdict}, {operations.height} operations, {visits} visits")
    print(f"  run took {seconds:.1f} s, {seconds - load_s:.1f} s more than its load")
    baseline = plan.phase("baseline")
    inside = operations.filter(operations["intended"].is_between(baseline.start_s, baseline.end_s))
    for journey in sorted(str(name) for name in set(inside["journey"])):
        rows = inside.filter(inside["journey"] == journey)
        latency = (rows["ended"] - rows["intended"]) * 1000
        good = rows.filter(rows["outcome"] == "acknowledged").height / rows.height
        p50, p95 = (float(latency.quantile(q) or 0.0) for q in (0.5, 0.95))
        print(f"  {journey:<12} p50 {p50:6.1f} ms  p95 {p95:6.1f} ms  {good:.2%} of {rows.height}")
    spent = cpu_ms(history, visits)
    parts = ", ".join(f"{name} {ms:.2f}" for name, ms in sorted(spent.items(), key=lambda item: -item[1]))
    print(f"  CPU ms per visit: {sum(spent.values()):.1f} in all ({parts})")


def cpu_ms(history: History, visits: int) -> dict[str, float]:
    """CPU of every process for one visit, in ms, from its first and last reading; load and harness are not
    among them."""
    first: dict[str, float] = {}
    last: dict[str, float] = {}
    for sample in history.samples:
        if sample.name == "process_cpu_s":
            first.setdefault(sample.source, sample.value)
            last[sample.source] = sample.value
    return {name: 1000 * (last[name] - first[name]) / visits for name in last}


if __name__ == "__main__":
    main()
