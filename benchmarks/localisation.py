"""Where the fault is by telemetry alone: every scenario that faults one link, on the twin, with and without
the context of traces handed on.

    python -m benchmarks.localisation
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from statistics import median

from execution.catalogue import Catalogue, default_catalogue, unique
from execution.runs.simulated_bench import refuse_unmodelled
from experiment.design import Design
from experiment.errors import UnsupportedError
from experiment.plan import Plan, make_plan
from experiment.topology import System
from experiment.workload import load_workload
from measurement.localisation import Localisation, localise
from simulation.model.models import magnitudes_of
from simulation.model.run import simulate

SEED = 1
COLLECTOR, ASKED = "telemetry", "localised"
SWITCH, EXPORT = "trace_context", {"trace_export": "bounded"}


def plans(catalogue: Catalogue, system: System, design: Design) -> Iterator[Plan]:
    """Of every scenario that faults one link and that the twin can play; each is asked where its fault is."""
    workload = load_workload(system)
    people = workload.population(None, SEED)
    for name in sorted(unique(catalogue.scenario_files())):
        scenario = catalogue.scenario(name, system)
        targets = {spec.target for spec in scenario.faults}
        if len(targets) == 1 and " -> " in next(iter(targets)):
            expect = replace(scenario.expect, invariants=(*scenario.expect.invariants, ASKED))
            plan = make_plan(replace(scenario, expect=expect), system, design, SEED, people, workload)
            try:
                refuse_unmodelled([plan])
            except UnsupportedError:
                continue  # its point is in bytes
            yield plan


def telling(design: Design, context: str) -> Design:
    """The design with one way to hand contexts on, and an exporter that nobody waits for."""
    services = {
        name: {**switches, SWITCH: context, **EXPORT} if SWITCH in switches else switches
        for name, switches in design.services.items()
    }
    return replace(design, services=services)


def place(found: Localisation) -> float:
    """Without an alarm there is no order: the middle."""
    return (found.links + 1) / 2 if found.place is None else found.place


def main() -> None:
    """Print the place of each faulted link, and what they come to."""
    catalogue = default_catalogue()
    system = catalogue.system()
    for name in ("resilient", "fragile"):
        for context in ("all", "none"):
            design = telling(catalogue.design(name, system), context)
            found = []
            for plan in plans(catalogue, system, design):
                one = localise(simulate(plan, magnitudes_of(system)), plan.system, COLLECTOR)
                found.append(one)
                print(
                    f"{name} {context}: {plan.scenario.name}: {one.injected}: {place(one):g} of {one.links}"
                )
            places = [place(one) for one in found]
            repair = median(one.repair_s or 0.0 for one in found) / 60
            first = sum(one.found for one in found)
            said = f"first {first} of {len(found)}, median {median(places):g}, {repair:.1f} min"
            print(f"{name} {context}: {said}")


if __name__ == "__main__":
    main()
