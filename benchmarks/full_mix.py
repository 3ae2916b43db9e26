"""The whole reference system under its default load, against its budgets.

`python -m benchmarks.full_mix [--runtime containers]`: every service up, 5 visits/s with laboratory,
dashboard and records, and 20 HL7 messages/s that the gateway hands on. Time until all is ready, p95 of every
journey, and the memory that all processes of the system hold together at most; what they share counts once.
Those of containers are not children of this process: their memory is not measured.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil

from benchmarks.capacity import quiet
from execution.catalogue import default_catalogue
from execution.options import Options
from execution.runs.facts import machine
from execution.runs.pipeline import open_bench
from execution.runs.preflight import planner
from experiment.history import History
from experiment.plan import Plan
from experiment.stop import Stop
from experiment.topology import Step

SCENARIO = Path(__file__).parent / "full_mix.yaml"
LABORATORY = (
    Step("order_lab", 0.5, share=0.39),
    Step("report_result", 0.8, needs="order_lab"),
    Step("view_dashboard", 1.6),
    Step("view_record", 1.0),
)
HL7 = (Step("deliver_hl7", 0.0), Step("tell_of_patient", 0.2, share=0.2))
READY_S = {"processes": 8.0, "containers": 25.0}
P95_S, MEMORY_BYTES = 0.150, 2.5e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", default="processes", choices=tuple(READY_S))
    runtime: str = parser.parse_args().runtime
    print(f"machine: {machine()}")
    plans = [_plan(seed) for seed in (1, 2)]
    with tempfile.TemporaryDirectory(prefix="codeblue-bench-") as folder:
        options = replace(Options(), out=Path(folder), runtime=runtime)
        began = time.monotonic()
        with open_bench(plans, options, Stop()) as bench:
            ready_s = time.monotonic() - began
            services = len(plans[0].system.services)
            print(
                f"{services} services and stores ready after {ready_s:.1f} s (limit {READY_S[runtime]:g} s)"
            )
            for plan in plans:
                with _memory() as held:
                    result = bench.run(plan, quiet)
                why = "; ".join(check.statement for check in result.analysis.validity if not check.ok)
                print(f"seed {plan.seed}: {result.verdict.value}{f', {why}' if why else ''}")
                _say(plan, result.history)
                if runtime == "processes":
                    print(f"  memory {max(held) / 1e9:.2f} GB at most (limit {MEMORY_BYTES / 1e9:g} GB)")


def _plan(seed: int) -> Plan:
    """The resilient design, with every service up."""
    catalogue = default_catalogue()
    system = catalogue.system()
    mixes = {**system.mixes, "visit": (*system.mixes["visit"], *LABORATORY), "hl7": HL7}
    system = replace(system, mixes=mixes, starts="all")
    scenario = catalogue.scenario(str(SCENARIO), system)
    return planner(system, Options())(scenario, catalogue.design("resilient", system), seed)


def _say(plan: Plan, history: History) -> None:
    operations, phase = history.operations, plan.phase("baseline")
    inside = operations.filter(operations["intended"].is_between(phase.start_s, phase.end_s))
    slow = 0
    for journey in sorted(str(name) for name in set(inside["journey"])):
        rows = inside.filter(inside["journey"] == journey)
        latency = rows["ended"] - rows["intended"]
        p50, p95 = (float(latency.quantile(q) or 0.0) for q in (0.5, 0.95))
        good = rows.filter(rows["outcome"] == "acknowledged").height / rows.height
        slow += p95 > P95_S
        print(
            f"  {journey:<15} p50 {p50 * 1e3:6.1f} ms  p95 {p95 * 1e3:6.1f} ms  {good:.2%} of {rows.height}"
        )
    print(f"  {slow} journeys above a p95 of {P95_S * 1e3:g} ms")


@contextmanager
def _memory() -> Iterator[list[int]]:
    """What the system holds, once a second."""
    held, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(1.0):
            held.append(sum(map(_held, psutil.Process().children(recursive=True))))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield held
    finally:
        over.set()
        thread.join()


def _held(process: psutil.Process) -> int:
    """Its proportional set size; nothing of the load, and of a process that has ended."""
    try:
        load = "load.locustfile" in process.cmdline()
        return 0 if load else int(process.memory_full_info().pss)
    except psutil.Error:
        return 0


if __name__ == "__main__":
    main()
