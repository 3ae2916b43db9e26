"""What security costs a visit: TLS, encryption, audit and authorisation, off and on in turns in one running
system.

`python -m benchmarks.security [--rate 10] [--repeats 2]`: each visit of the mix `visit` with two looks at the
patient's record. For each measure alone and for all of them: p95 of every journey, CPU for a visit, and
what both are against a system with none. Turns go forth and back, so that a machine that slows down favours
nobody.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from benchmarks.capacity import SCENARIO, cpu_ms, quiet
from execution.catalogue import default_catalogue
from execution.options import Options
from execution.runs.facts import machine
from execution.runs.pipeline import open_bench
from execution.runs.preflight import planner
from experiment.design import Design
from experiment.history import History
from experiment.needs import part_of
from experiment.plan import Plan
from experiment.scenario import Phases
from experiment.stop import Stop
from experiment.topology import Step

PHASES = Phases(warm_up=2.0, baseline=8.0, settle=3.0)
LOOKS = (Step("view_record", 600 / 1000), Step("view_record", 1400 / 1000))
NONE, ALL = "none", "all"
TURNS: dict[str, frozenset[str]] = {
    NONE: frozenset(),
    "tls": frozenset(("tls",)),
    "encryption": frozenset(("encryption",)),
    "audit": frozenset(("audit",)),
    "authorisation": frozenset(("authz",)),
    ALL: frozenset(("tls", "encryption", "audit", "authz")),
}
LIMIT = 0.15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=10.0, help="visits a second")
    parser.add_argument("--repeats", type=int, default=2, help="turns forth, then back, and so on")
    arguments = parser.parse_args()
    print(f"machine: {machine()}")
    order = [
        name for n in range(arguments.repeats) for name in (list(TURNS) if n % 2 == 0 else [*TURNS][::-1])
    ]
    plans = [_plan(name, arguments.rate, seed) for seed, name in enumerate(order, 1)]
    seen: dict[str, list[tuple[float, float]]] = defaultdict(list)
    with (
        tempfile.TemporaryDirectory(prefix="codeblue-bench-") as folder,
        open_bench(plans, replace(Options(), out=Path(folder)), Stop()) as bench,
    ):
        for name, plan in zip(order, plans, strict=True):
            result = bench.run(plan, quiet)
            history = result.folder.history()
            seen[name].append((_p95_ms(plan, history), _cpu_ms(plan, history)))
            print(f"{name}: {result.verdict.value}, p95 {seen[name][-1][0]:.1f} ms", flush=True)
    _say(seen)


def _plan(turn: str, rate: float, seed: int) -> Plan:
    """The resilient design with the measures of a turn and no others."""
    catalogue = default_catalogue()
    system = catalogue.system()
    system = replace(system, mixes={**system.mixes, "visit": (*system.mixes["visit"], *LOOKS)})
    scenario = catalogue.scenario(str(SCENARIO), system)
    load = replace(scenario.load, arrivals=replace(scenario.load.arrivals, rate=rate))
    measures = TURNS[turn]
    design = catalogue.design("resilient", system)
    made = planner(system, Options())(
        replace(scenario, load=load, phases=PHASES), _with(design, measures), seed
    )
    off = {"audit", "authz"} - measures
    return replace(made, system=part_of(made.system, made.system.services.keys() - off))


def _with(design: Design, measures: frozenset[str]) -> Design:
    ours = {"encryption": "encryption" in measures, "tls": "required" if "tls" in measures else "none"}
    return replace(design, services={name: {**own, **ours} for name, own in design.services.items()})


def _p95_ms(plan: Plan, history: History) -> float:
    """Of everything that a visit asks for, in the baseline."""
    phase = plan.phase("baseline")
    rows = history.operations.filter(
        history.operations["intended"].is_between(phase.start_s, phase.end_s)
        & (history.operations["outcome"] == "acknowledged")
    )
    return float((rows["ended"] - rows["intended"]).quantile(0.95) or 0.0) * 1000


def _cpu_ms(plan: Plan, history: History) -> float:
    """CPU of all processes of the system for a visit."""
    visits = len({operation.visit for operation in plan.operations})
    return sum(cpu_ms(history, visits).values())


def _say(seen: dict[str, list[tuple[float, float]]]) -> None:
    """The median of each turn, and what it is against no security at all."""
    medians = {name: tuple(map(statistics.median, zip(*each, strict=True))) for name, each in seen.items()}
    p95_none, cpu_none = medians[NONE]
    for name, (p95, cpu) in medians.items():
        print(
            f"{name:<14} p95 {p95:6.1f} ms ({p95 / p95_none - 1:+.0%})   "
            f"CPU {cpu:5.1f} ms a visit ({cpu / cpu_none - 1:+.0%})"
        )
    cost = medians[ALL][0] / p95_none - 1
    print(f"all measures: p95 {cost:+.0%}, limit {LIMIT:+.0%}: {'within' if cost <= LIMIT else 'above'}")


if __name__ == "__main__":
    main()
