"""What playing costs, counted in steps of the interpreter: time would depend on the machine."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest

from benchmarks.twin import plan_of
from execution.catalogue import default_catalogue
from simulation.model.models import magnitudes_of
from simulation.model.run import play


@pytest.mark.parametrize("design", ["resilient", "fragile"])
def test_an_operation_costs_as_much_in_a_long_run_as_in_a_short_one(design: str) -> None:
    """Models look things up by their keys: what scans its table for every request takes ever more."""
    short, long = (steps_an_operation(design, seconds) for seconds in (4.0, 16.0))
    assert long < 1.1 * short


def steps_an_operation(design: str, seconds: float) -> float:
    """Lines of the models that were executed for each operation, generators' own among them."""
    system = default_catalogue().system()
    plan = plan_of("smoke/control", design, system, 60.0, seconds)
    steps = 0

    def line(_frame: FrameType, event: str, _: Any) -> Any:
        nonlocal steps
        steps += event == "line"
        return line

    def call(frame: FrameType, _event: str, _: Any) -> Any:
        return line if "/workload/twin/" in frame.f_code.co_filename else None

    magnitudes = magnitudes_of(system)
    sys.settrace(call)
    try:
        play(plan, magnitudes)
    finally:
        sys.settrace(None)
    return steps / len(plan.operations)
