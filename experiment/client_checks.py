"""Whether a client of a workload can be used, and says the same as the file of its system."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from experiment.errors import Location, Problem, nearest
from experiment.forms import unknown_placeholders
from experiment.requests import PlannedOperation
from experiment.topology import System, place_in_file

# The functions of a client with what they take; the three tables hold functions by name.
FUNCTIONS = {"population": 2, "visit": 2, "arguments": 3, "intended_value": 1, "feed": 2}
TABLES = {"REQUESTS": 2, "ANSWERS": 2, "FINAL_READS": 1}


def client_problems(client: ModuleType) -> list[Problem]:
    """What a client offers and cannot be called."""
    problems: list[Problem] = []
    file = client.__file__ or client.__name__

    def require(name: str, function: Any, takes: int) -> None:
        expected = f"a function that takes {takes} argument{'s' if takes > 1 else ''}"
        if not callable(function):
            problems.append(Problem(Location(file), f"{name} = {function!r:.60}", expected))
            return
        try:
            inspect.signature(function).bind(*[None] * takes)
        except TypeError as error:
            problems.append(Problem(defined(function, file), f"{name}: {error}", expected))
        except ValueError:
            pass  # built in: it has no signature to look at

    for name, takes in FUNCTIONS.items():
        if hasattr(client, name):
            require(name, getattr(client, name), takes)
    for name, takes in TABLES.items():
        table = getattr(client, name, {})
        if not isinstance(table, Mapping):
            problems.append(Problem(Location(file), f"{name} = {table!r:.60}", "a dict of functions by name"))
            continue
        for key, function in table.items():
            require(f"{name}[{key!r}]", function, takes)
    return problems


def match_problems(system: System, client: ModuleType) -> list[Problem]:
    """Where the client and the system's file say different things."""
    problems: list[Problem] = []
    file = client.__file__ or client.__name__
    tables = {name: getattr(client, name, {}) for name in TABLES}
    if not all(isinstance(table, Mapping) for table in tables.values()):
        return []
    for name, known, what in (
        ("REQUESTS", system.journeys, "journey"),
        ("ANSWERS", system.journeys, "journey"),
        ("FINAL_READS", system.final_reads, "key prefix of final_reads"),
    ):
        for key in tables[name]:
            if key not in known:
                hint = nearest(str(key), known)
                expected = f"a {what} of {system.source}"
                problems.append(
                    Problem(Location(file), f'the unknown {what} "{key}" in {name}', expected, hint)
                )
    used = {step.journey for steps in system.mixes.values() for step in steps}
    for name, journey in system.journeys.items():
        twice = [
            (part, table)
            for part, table, form in (
                ("request", "REQUESTS", journey.request),
                ("answer", "ANSWERS", journey.answer),
            )
            if form is not None and name in tables[table]
        ]
        for part, table in twice:
            where = place_in_file(system, "journeys", name, part)
            problems.append(Problem(where, f"a second {part} in {table} of {file}", "one of the two"))
        if name in used and journey.request is None and not journey.task and name not in tables["REQUESTS"]:
            where = place_in_file(system, "journeys", name)
            expected = f'the key "request" here, or "{name}" in REQUESTS of {file}'
            hint = nearest(name, tables["REQUESTS"]) if tables["REQUESTS"] else ""
            problems.append(Problem(where, f"the journey {name} without a request", expected, hint))
    for prefix, form in system.final_reads.items():
        if form.answer is None and prefix not in tables["FINAL_READS"]:
            where = place_in_file(system, "final_reads", prefix)
            expected = f'the key "answer" here, or "{prefix}" in FINAL_READS of {file}'
            problems.append(Problem(where, f"the final read {prefix} without an answer", expected))
    return problems


def argument_problems(system: System, op: PlannedOperation) -> list[Problem]:
    """Every placeholder of the operation's journey that stands for nothing, at its place."""
    journey = system.journeys[op.journey]
    return [
        Problem(
            place_in_file(system, "journeys", op.journey, *path),
            f"the placeholder {{{name}}}",
            "a value of the plan or an argument of this journey",
            hint,
        )
        for path, name, hint in unknown_placeholders(journey.request, journey.intended_value, op.arguments)
    ]


def defined(function: Any, home: str) -> Location:
    """Where a function of a client is defined."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return Location(code.co_filename, code.co_firstlineno) if code is not None else Location(home)
