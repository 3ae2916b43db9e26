"""Visits: who comes, what each of their operations carries, and whether all of it can be sent."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from experiment.client_checks import argument_problems
from experiment.draws import Drawing
from experiment.errors import ConfigError, Problem
from experiment.requests import Known, PlannedOperation, RequestTraits
from experiment.templates import filler
from experiment.topology import Step, System, place_in_file
from experiment.workload import Population, Workload


def rehearse(system: System, workload: Workload) -> None:
    """Make one operation of every journey with its request, as a plan would: what is wrong in the workload is
    told without one. Raises ConfigError."""
    rng = random.Random("rehearsal")
    visits = Visits(system, workload.population(None, 1), workload, rng, "000000")
    rehearsed(visits.one_of_each(), system, workload)


@dataclass(frozen=True, slots=True)
class Visits:
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
            needs = made[step.needs] if step.needs is not None else None
            arguments = self._arguments(subject, shared, step.journey, nth)
            operations.append(self._operation(number, step, arrival, visit, needs, arguments))
        return operations

    def one_of_each(self) -> list[PlannedOperation]:
        """An operation of every journey in a mix, as no plan has them: to see whether all can be made."""
        steps = {step.journey: step for steps in self.system.mixes.values() for step in steps}
        operations = []
        for number, (journey, step) in enumerate(sorted(steps.items())):
            subject = self.workload.visit(self.population, self.rng)
            shared = self.drawing.draw(self.system.workload.arguments)
            arguments = self._arguments(subject, shared, journey, 0)
            operations.append(self._operation(number, step, 0.0, 0, None, arguments))
        return operations

    def _arguments(self, subject: Any, shared: dict[str, Any], journey: str, nth: int) -> dict[str, Any]:
        given = self.workload.arguments(subject, journey, nth)
        drawn = shared | self.drawing.draw(self.system.journeys[journey].arguments)
        if not drawn.keys().isdisjoint(given):
            raise self._drawn_twice(sorted(drawn.keys() & given.keys())[0], journey)
        return drawn | given

    def _drawn_twice(self, name: str, journey: str) -> ConfigError:
        shared = name in self.system.workload.arguments
        path = ("workload", "arguments", name) if shared else ("journeys", journey, "arguments", name)
        where = place_in_file(self.system, *path)
        found = f'the argument "{name}", which the client gives {journey} as well'
        return ConfigError([Problem(where, found, "it here or from the client")])

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
        if template is None:
            value = self.workload.intended_value(op)
        else:
            _require_arguments(self.system, op)
            value = filler(template)(Known().values(op))
        if value is None:
            return op
        return PlannedOperation(number, step.journey, op.at_s, key, visit, needs, arguments, value)


def rehearsed(
    operations: Iterable[PlannedOperation], system: System, workload: Workload
) -> dict[str, RequestTraits]:
    """The first request of each journey is made once before anything starts: a mistake in it is told now."""
    first: dict[str, PlannedOperation] = {}
    for op in operations:
        first.setdefault(op.journey, op)
    found: dict[str, RequestTraits] = {}
    for name, op in sorted(first.items()):
        _require_arguments(system, op)
        traits = workload.traits(op)
        if traits is not None:
            found[name] = traits
    return found


def _require_arguments(system: System, op: PlannedOperation) -> None:
    problems = argument_problems(system, op)
    if problems:
        raise ConfigError(problems)
