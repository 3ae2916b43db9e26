"""A plan: a scenario with every random choice made from the seed; an absolute timeline, alike on every
runtime."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from experiment.arrivals import arrival_times
from experiment.controls import Fault
from experiment.design import Design
from experiment.population import Population
from experiment.rows import FORMAT, Header
from experiment.scenario import PHASES, Scenario, activations, phase_starts
from experiment.topology import System


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
class PlannedOperation:
    """One operation at its intended start. Keys are the business keys that the client makes up.

    `dose_mg` is the dose to write (prescribe, change_dose), `amount` the money (claim, pay); `needs` is the
    id of the operation whose success this one builds on.
    """

    id: int
    journey: str
    at_s: float
    key: str
    visit: int
    patient: str
    coverage: str
    needs: int | None = None
    medication: str = ""
    dose_mg: float | None = None
    amount: float | None = None


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


def make_plan(scenario: Scenario, system: System, design: Design, seed: int, population: Population) -> Plan:
    """Pure: the same arguments give the same plan, bit for bit."""
    starts = phase_starts(scenario.phases)
    phases = tuple(
        PlannedPhase(name, starts[name], starts[name] + getattr(scenario.phases, name)) for name in PHASES
    )
    token = hashlib.sha256(f"{scenario.name}/{design.name}/{seed}".encode()).hexdigest()[:6]
    run_id = f"{scenario.name}-{design.name}-s{seed}-{token}"
    acting = tuple(sorted(_activations(scenario), key=lambda activation: activation.start_s))
    operations = _operations(scenario, system, seed, population, starts["settle"], token)
    return Plan(scenario, system, design, seed, run_id, phases, acting, operations, population)


def _activations(scenario: Scenario) -> list[Activation]:
    return [
        Activation(name, spec.fault, spec.target, start, end)
        for number, spec in enumerate(scenario.faults, 1)
        for name, start, end in activations(number, spec, scenario.phases)
    ]


def _operations(
    scenario: Scenario, system: System, seed: int, population: Population, length_s: float, token: str
) -> tuple[PlannedOperation, ...]:
    """Visits at the arrival times, each expanded by its mix. One stream of randomness per purpose, so that a
    change of the load does not change the patients."""
    times = arrival_times(
        scenario.load.arrivals, length_s, random.Random(f"arrivals-{seed}"), Path(scenario.source).parent
    )
    rng = random.Random(f"visits-{seed}")
    names, weights = zip(*sorted(scenario.load.journeys.items()), strict=True)
    drafts: list[PlannedOperation] = []
    for visit, arrival in enumerate(times):
        mix = rng.choices(names, weights)[0]
        drafts.extend(_visit(visit, arrival, mix, system, population, rng, len(drafts), token))
    kept: dict[int, PlannedOperation] = {}
    for op in drafts:  # what an operation needs stands before it
        if op.at_s < length_s and (op.needs is None or op.needs in kept):
            kept[op.id] = op
    return tuple(sorted(kept.values(), key=lambda op: (op.at_s, op.id)))


def _visit(
    visit: int,
    arrival: float,
    mix: str,
    system: System,
    population: Population,
    rng: random.Random,
    first_id: int,
    token: str,
) -> list[PlannedOperation]:
    patient = rng.choice(population.patients)
    medicine = rng.choice(patient.medications)
    amount = round(rng.uniform(5, 80), 2)
    prefixes = {"check_in": "enc", "claim": "inv", "pay": "inv", "dispense": "rx"}
    made: dict[str, int] = {}
    operations: list[PlannedOperation] = []
    changes = 0
    for step in system.mixes[mix]:
        chosen = rng.random() < step.share
        if not chosen or (step.needs is not None and step.needs not in made):
            continue
        number = first_id + len(operations)
        made.setdefault(step.journey, number)
        changes += step.journey == "change_dose"
        dose = medicine.dose_mg / 2**changes  # another one each time, so that a dose tells its version
        operations.append(
            PlannedOperation(
                id=number,
                journey=step.journey,
                at_s=arrival + step.at,
                key=f"{prefixes.get(step.journey, 'rx')}-{token}-{visit:06d}",
                visit=visit,
                patient=patient.id,
                coverage=patient.coverage_id,
                needs=made[step.needs] if step.needs is not None else None,
                medication=medicine.text,
                dose_mg=dose if step.journey in ("prescribe", "change_dose") else None,
                amount=amount if step.journey in ("claim", "pay") else None,
            )
        )
    return operations
