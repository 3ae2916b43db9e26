"""A plan: a scenario with every random choice made from the seed; an absolute timeline, alike on every
runtime."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from experiment.arrivals import arrival_times
from experiment.controls import Fault
from experiment.design import Design
from experiment.draws import Drawing
from experiment.requests import PlannedOperation, RequestTraits
from experiment.rows import FORMAT, Header
from experiment.scenario import PHASES, Scenario, activations, phase_starts
from experiment.topology import Step, System
from experiment.workload import Population, Workload, intended_by_form, require_arguments


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
    system: System
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
    starts = phase_starts(scenario.phases)
    phases = tuple(
        PlannedPhase(name, starts[name], starts[name] + getattr(scenario.phases, name)) for name in PHASES
    )
    token = hashlib.sha256(f"{scenario.name}/{design.name}/{seed}".encode()).hexdigest()[:6]
    run_id = f"{scenario.name}-{design.name}-s{seed}-{token}"
    acting = tuple(sorted(_activations(scenario), key=lambda activation: activation.start_s))
    visits = _Visits(system, population, workload, random.Random(f"visits-{seed}"), token)
    operations = _operations(scenario, visits, seed, starts["settle"])
    traits = _rehearsed(operations, system, workload)
    return Plan(scenario, system, design, seed, run_id, phases, acting, operations, population, traits)


def _activations(scenario: Scenario) -> list[Activation]:
    return [
        Activation(name, spec.fault, spec.target, start, end)
        for number, spec in enumerate(scenario.faults, 1)
        for name, start, end in activations(number, spec, scenario.phases)
    ]


def _operations(
    scenario: Scenario, visits: _Visits, seed: int, length_s: float
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


@dataclass(frozen=True, slots=True)
class _Visits:
    """Makes the operations of visits, in the order of their arrival: all draw from one stream."""

    system: System
    population: Population
    workload: Workload
    rng: random.Random
    token: str
    drawing: Drawing = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "drawing", Drawing(self.rng, self.token))

    def of(self, visit: int, arrival: float, mix: str, first_id: int) -> list[PlannedOperation]:
        """One visit: its subject, its shared arguments, then step by step what is chosen."""
        subject = self.workload.visit(self.population, self.rng)
        shared = self.drawing.draw(self.system.workload.arguments)
        made: dict[str, int] = {}
        counts: dict[str, int] = {}
        operations: list[PlannedOperation] = []
        for step in self.system.mixes[mix]:
            chosen = self.rng.random() < step.share
            if not chosen or (step.needs is not None and step.needs not in made):
                continue
            number = first_id + len(operations)
            made.setdefault(step.journey, number)
            nth = counts[step.journey] = counts.get(step.journey, -1) + 1
            operations.append(
                self._operation(
                    number,
                    step,
                    arrival,
                    visit,
                    made[step.needs] if step.needs is not None else None,
                    shared | self._arguments(subject, step.journey, nth),
                )
            )
        return operations

    def _arguments(self, subject: Any, journey: str, nth: int) -> dict[str, Any]:
        given = self.workload.arguments(subject, journey, nth)
        return given | self.drawing.draw(self.system.journeys[journey].arguments)

    def _operation(
        self,
        number: int,
        step: Step,
        arrival: float,
        visit: int,
        needs: int | None,
        arguments: dict[str, Any],
    ) -> PlannedOperation:
        key = f"{self.system.prefix(step.journey)}-{self.token}-{visit:06d}"
        op = PlannedOperation(number, step.journey, arrival + step.at, key, visit, needs, arguments)
        template = self.system.journeys[step.journey].intended_value
        value = self.workload.intended_value(op) if template is None else intended_by_form(template, op)
        return op if value is None else replace(op, value=value)


def _rehearsed(
    operations: Iterable[PlannedOperation], system: System, workload: Workload
) -> dict[str, RequestTraits]:
    """The first request of each journey is made once before anything starts: a mistake in it is told now."""
    first: dict[str, PlannedOperation] = {}
    for op in operations:
        first.setdefault(op.journey, op)
    found: dict[str, RequestTraits] = {}
    for name, op in sorted(first.items()):
        require_arguments(system, op)
        traits = workload.traits(op)
        if traits is not None:
            found[name] = traits
    return found
