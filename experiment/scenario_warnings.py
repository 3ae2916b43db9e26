"""What a scenario leaves unjudged: it can be run, but what it shows is less than its reader may think."""

from __future__ import annotations

from collections.abc import Iterator

from experiment.errors import Problem
from experiment.scenario import Scenario
from experiment.yaml_source import Node, key_place


def warnings_of(node: Node, scenario: Scenario) -> tuple[Problem, ...]:
    """Each with its place, what was found, what was expected and a hint; none of them is a mistake."""
    return tuple(_unasked(node, scenario))


def _unasked(node: Node, scenario: Scenario) -> Iterator[Problem]:
    """Parts of `expect` that are not there."""
    expect, where = scenario.expect, key_place(node, "expect")
    journeys = "{journey: NAME, success: "
    if not expect.baseline:
        hint = f'without one half of the operations is enough; such as {journeys}">= 99%"}}'
        yield Problem(where, "no objective for the baseline", "one under expect.baseline", hint)
    if not expect.invariants:
        hint = "the properties that the load exercises are judged, but a run that has no data for them passes"
        yield Problem(where, "no property", "the names of some under expect.invariants", hint)
    if not scenario.faults:
        return
    if not expect.fault and not expect.invariants:
        hint = f'what users get while faults act is not judged; such as {journeys}">= 90%"}}'
        yield Problem(where, "no objective for the time of the faults", "one under expect.fault", hint)
    if expect.recovery is None:
        hint = "whether the system is well again is not judged; such as {within: 10s, hold: 5s}"
        yield Problem(where, "no recovery", "expect.recovery", hint)


def told(warning: Problem) -> str:
    """In a line of its own, as mistakes are."""
    hint = f"\n    {warning.hint}" if warning.hint else ""
    return f"{warning.where}: warning: found {warning.found}, expected {warning.expected}{hint}"
