"""A plan: a scenario with every random choice made from the seed; an absolute timeline, alike on every
runtime."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from experiment.arrivals import arrival_times
from experiment.controls import Fault, Seeded
from experiment.design import Design
from experiment.needs import needed
from experiment.requests import PlannedOperation, RequestTraits
from experiment.rows import FORMAT, Header
from experiment.scenario import PHASES, Scenario, activations, phase_starts
from experiment.topology import System
from experiment.visits import Visits, rehearsed
from experiment.workload import Population, Workload


@dataclass(frozen=True, slots=True)
class PlannedPhase:
    name: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Activation:
    """One time that a fault acts: injected at start_s, healed at end_s. Its id is f1, or f1.2 for the second
    flap of f1."""

    id: str
    fault: Fault
    target: str
    start_s: float
    end_s: float

    def __str__(self) -> str:
        return f"{self.fault.kind} on {self.target}"


@dataclass(frozen=True, slots=True)
class Plan:
    scenario: Scenario
    system: System  # the part of it that the scenario needs
    design: Design
    seed: int
    run_id: str
    phases: tuple[PlannedPhase, ...]
    activations: tuple[Activation, ...]  # ascending in start
    operations: tuple[PlannedOperation, ...]  # ascending in intended start
    population: Population
    requests: dict[str, RequestTraits] = field(default_factory=dict)  # of every journey that can be sent

    def phase(self, name: str) -> PlannedPhase:
        return next(phase for phase in self.phases if phase.name == name)

    @property
    def load_end_s(self) -> float:
        """The load plays from zero until here; after it the system settles."""
        return self.phase("settle").start_s


def header_of(plan: Plan, source: str, zero_wall: float, **facts: Any) -> Header:
    """The first line of a history of this plan: `source` is the runtime's name, `facts` are further fields of
    the header."""
    return Header(
        format=FORMAT,
        run_id=plan.run_id,
        source=source,
        scenario=plan.scenario.name,
        design=plan.design.name,
        system=plan.system.name,
        seed=plan.seed,
        started_at=datetime.fromtimestamp(zero_wall, UTC).isoformat(timespec="milliseconds"),
        zero_wall=zero_wall,
        population=plan.population.source,
        clock_scale=plan.scenario.clock_scale,
        **facts,
    )


def make_plan(
    scenario: Scenario,
    system: System,
    design: Design,
    seed: int,
    population: Population,
    workload: Workload,
) -> Plan:
    """The same arguments give the same plan, bit for bit. Raises ConfigError where the workload's own code
    raises or gives no JSON, and for a request with a placeholder that stands for nothing."""
    system = needed(system, scenario)
    scenario = placed(scenario, seed)
    starts = phase_starts(scenario.phases)
    phases = tuple(
        PlannedPhase(name, starts[name], starts[name] + getattr(scenario.phases, name)) for name in PHASES
    )
    token = hashlib.sha256(f"{scenario.name}/{design.name}/{seed}".encode()).hexdigest()[:6]
    run_id = f"{scenario.name}-{design.name}-s{seed}-{token}"
    acting = tuple(sorted(_activations(scenario, seed), key=lambda activation: activation.start_s))
    visits = Visits(system, population, workload, random.Random(f"visits-{seed}"), token)
    operations = _operations(scenario, visits, seed, starts["settle"])
    traits = rehearsed(operations, system, workload)
    return Plan(scenario, system, design, seed, run_id, phases, acting, operations, population, traits)


def placed(scenario: Scenario, seed: int) -> Scenario:
    """The scenario with the place of each fault that may act at one of several, drawn from the seed."""
    faults = tuple(
        replace(spec, target=random.Random(f"places-{number}-{seed}").choice(spec.one_of))
        if spec.one_of
        else spec
        for number, spec in enumerate(scenario.faults, 1)
    )
    return replace(scenario, faults=faults)


def _activations(scenario: Scenario, seed: int) -> list[Activation]:
    return [
        Activation(name, _drawn(spec.fault, name, seed), spec.target, start, end)
        for number, spec in enumerate(scenario.faults, 1)
        for name, start, end in activations(number, spec, scenario.phases)
    ]


def _drawn(fault: Fault, name: str, seed: int) -> Fault:
    """The fault with what it draws, from a stream of this activation's own."""
    return fault.drawn(random.Random(f"fault-{name}-{seed}")) if isinstance(fault, Seeded) else fault


def _operations(
    scenario: Scenario, visits: Visits, seed: int, length_s: float
) -> tuple[PlannedOperation, ...]:
    """Visits at the arrival times, each expanded by its mix. One stream of randomness per purpose, so that a
    change of the load does not change who comes."""
    times = arrival_times(
        scenario.load.arrivals, length_s, random.Random(f"arrivals-{seed}"), Path(scenario.source).parent
    )
    names, weights = zip(*sorted(scenario.load.journeys.items()), strict=True)
    drafts: list[PlannedOperation] = []
    for visit, arrival in enumerate(times):
        mix = visits.rng.choices(names, weights)[0]
        drafts.extend(visits.of(visit, arrival, mix, len(drafts)))
    kept: dict[int, PlannedOperation] = {}
    for op in drafts:  # what an operation needs stands before it
        if op.at_s < length_s and (op.needs is None or op.needs in kept):
            kept[op.id] = op
    return tuple(sorted(kept.values(), key=lambda op: (op.at_s, op.id)))
