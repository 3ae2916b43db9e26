"""Plays a design against itself without each of its switches, wherever a service of the run obeys the
switch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from comparison.ablation import AblationReport, ablated, ranked
from execution.campaigns.trials import trial_runs
from execution.catalogue import Catalogue
from execution.options import Options
from experiment.design import Design
from experiment.errors import UsageError, nearest
from experiment.jobs import seeds_of
from experiment.needs import needed
from experiment.stop import Stop
from experiment.suite import Suite
from experiment.topology import System
from gate.seeded_bugs import minus_one
from gate.selfcheck import Draw, Variant
from measurement.run_records import RunRecord


@dataclass(frozen=True, slots=True)
class AblationOrder:
    """Which design loses its switches; `only` names some of them, empty: all."""

    design: str
    repeats: int
    only: tuple[str, ...] = ()
    command: str = ""


def lacking(complete: Design, system: System) -> dict[str, Design]:
    """The design without each pattern and switch that it has on; of a switch with several worse choices, with
    each of them."""
    found = {name: design for name, (design, _) in minus_one(complete, system).items()}
    for name in list(found):
        switch = system.switches.get(name)
        for choice in switch.choices if switch is not None else ():
            services = {one: {**values, name: choice} for one, values in complete.services.items()}
            other = replace(complete, name=f"{found[name].name}_{choice}", services=services)
            if other.services not in (complete.services, found[name].services):
                found[f"{name}: {choice}"] = other
    return found


def run_ablation(
    order: AblationOrder,
    suite: Suite,
    catalogue: Catalogue,
    options: Options,
    stop: Stop,
    told: Callable[[str], None],
    progress: Callable[[int, int], None],
) -> AblationReport:
    """`told` gets a line on each live run, `progress` how many of all have ended. Raises UsageError for a
    switch that the design does not have on."""
    system = catalogue.system()
    complete = catalogue.design(order.design, system)
    designs = _chosen(lacking(complete, system), order.only, order.design)
    weights: dict[str, float] = {}
    for entry in suite.entries:
        weights[entry.scenario] = max(weights.get(entry.scenario, 0.0), entry.weight)
    parts = {name: needed(system, catalogue.scenario(name, system)) for name in weights}
    places = {
        lack: [name for name, part in parts.items() if obeyed(design, part) != obeyed(complete, part)]
        for lack, design in designs.items()
    }
    seeds = seeds_of(suite.seed, order.repeats)
    jobs = [(complete, list(weights)), *((designs[lack], names) for lack, names in places.items())]
    with trial_runs(catalogue, options, next(iter(weights)), stop, told) as runs:
        asked = [(Variant(d), Draw(name, seed)) for d, names in jobs for name in names for seed in seeds]
        for one in asked:
            runs.ahead(*one)
        played: dict[str, list[RunRecord]] = {design.name: [] for design, _ in jobs}
        for number, (variant, draw) in enumerate(asked, 1):
            played[variant.name].append(runs.play(variant, draw))
            progress(number, len(asked))
    whole = played[complete.name]
    rows = [ablated(lack, whole, played[design.name], weights) for lack, design in designs.items()]
    return AblationReport(
        design=order.design,
        suite=suite.name,
        source=options.runtime,
        command=order.command,
        scenarios=tuple(weights),
        seeds=tuple(seeds),
        runs=len(asked),
        rows=ranked(rows),
    )


def _chosen(found: Mapping[str, Design], only: Sequence[str], design: str) -> dict[str, Design]:
    names = {lack.partition(":")[0] for lack in found}
    for name in only:
        if name not in names:
            hint = nearest(name, names)
            raise UsageError(f'found the switch "{name}", expected one that {design} has on: {hint}')
    return {lack: one for lack, one in found.items() if not only or lack.partition(":")[0] in only}


def obeyed(design: Design, part: System) -> tuple[object, ...]:
    """What of a design the services of a run obey: the patterns of their links, and of each service the
    switches that the system's file says are its own."""
    links = {name: one for name, one in design.links.items() if name in part.link_names}
    services = {
        name: {switch: value for switch, value in values.items() if _is_own(part, switch, name)}
        for name, values in design.services.items()
        if name in part.services
    }
    return links, services


def _is_own(part: System, switch: str, service: str) -> bool:
    declared = part.switches.get(switch)
    return declared is None or not declared.services or service in declared.services
