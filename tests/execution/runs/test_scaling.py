"""Stretching a scenario."""

from __future__ import annotations

from execution.runs.scaling import scaled
from experiment.scenario import Repeat, phase_starts
from tests.execution.builders import Board, scenario


def test_a_factor_of_one_changes_nothing() -> None:
    """The same object comes back."""
    made = scenario(Board())
    assert scaled(made, 1.0) is made


def test_phases_and_flaps_grow_together() -> None:
    """Twice the time means twice each phase and each flap, with the same number of flaps."""
    made = scaled(scenario(Board(), Repeat(0.1, 0.05, 2)), 2.0)
    assert phase_starts(made.phases)["settle"] == 1.0
    assert made.faults[0].repeat == Repeat(0.2, 0.1, 2)


def test_rates_stay() -> None:
    """The load is not scaled."""
    assert scaled(scenario(Board()), 3.0).load == scenario(Board()).load
