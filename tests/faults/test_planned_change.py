"""A planned change is judged by what its service says of it."""

from __future__ import annotations

from typing import cast

from experiment.controls import GaugedNode, NodeProbe
from faults.node_measures import NodeFigures
from faults.planned_change import PlannedChange

FAULT = PlannedChange("new_tables")
ALIVE = NodeProbe("running", True, 0.002, "10/1")


def figures(progress: float) -> NodeFigures:
    return NodeFigures(ALIVE, {"change/new_tables": progress})


class Node:
    """A node that says how far its change is."""

    def __init__(self, progress: float) -> None:
        self.progress = progress

    def gauge(self, name: str) -> float:
        assert name == "change/new_tables"
        return self.progress


def test_a_change_is_seen_when_it_is_in_force() -> None:
    """One that is on its way has not been made yet, and one that was there before was not made now."""
    effect = FAULT.judge(figures(0.0), figures(1.0))
    assert effect.seen
    assert effect.statement == "new_tables: not made -> in force"
    assert not FAULT.judge(figures(0.0), figures(0.5)).seen
    assert not FAULT.judge(figures(0.0), figures(0.0)).seen
    assert not FAULT.judge(figures(1.0), figures(1.0)).seen


def test_a_change_is_gone_when_nothing_of_it_is_left() -> None:
    """On its way back it is still there."""
    assert FAULT.gone(figures(0.0), figures(0.0)).seen
    half = FAULT.gone(figures(0.0), figures(0.5))
    assert not half.seen
    assert half.statement == "new_tables: on its way"


def test_a_change_that_ended_early_is_amiss() -> None:
    """It counts only while the service says that it is in force."""
    assert FAULT.amiss(cast(GaugedNode, Node(1.0))) == ""
    assert FAULT.amiss(cast(GaugedNode, Node(0.0))) == "new_tables is not made"
