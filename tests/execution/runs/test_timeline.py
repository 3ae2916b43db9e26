"""The fault timeline: on time, with proof, and always healed."""

from __future__ import annotations

import threading
import time
from typing import Any, cast

import pytest

from execution.runs.timeline import FaultTimeline, beside
from experiment.controls import Controls
from experiment.fault_proof import at_once
from experiment.history import FaultEvent
from experiment.plan import Plan
from experiment.scenario import Repeat
from tests.execution.builders import Board, plan

NO_CONTROLS = cast(Controls, None)


def played(made: Plan, abandon_after: float | None = None) -> list[FaultEvent]:
    rows: list[Any] = []
    timeline = FaultTimeline(made, NO_CONTROLS, time.monotonic(), rows.append)
    timeline.start()
    if abandon_after is not None:
        time.sleep(abandon_after)
        timeline.abandon()
    assert timeline.join(5.0)
    return rows


def test_a_fault_is_injected_proved_healed_and_seen_gone() -> None:
    """The four events of one activation stand in the history in their order."""
    events = played(plan(Board()))
    assert [event.event for event in events] == ["inject", "active", "still_active", "heal", "healed"]
    assert events[0].t >= events[0].planned
    assert [event.planned for event in events] == pytest.approx([0.1, 0.1, 0.4, 0.4, 0.4])


def test_a_fault_without_effect_says_so_and_is_still_healed() -> None:
    """No effect is an event of its own, never silence."""
    board = Board(works=False)
    assert [event.event for event in played(plan(board))] == ["inject", "no_effect", "heal", "healed"]
    assert board.calls == ["inject f1", "heal f1"]


def test_a_fault_that_raises_is_recorded_and_healed() -> None:
    """The action of a fault that fails ends as `failed`, after an attempt to heal."""
    board = Board(raises=True)
    events = played(plan(board))
    assert [event.event for event in events][-1] == "failed"
    assert "the control said no" in events[-1].statement
    assert board.calls == ["inject f1", "heal f1"]


def test_flapping_injects_and_heals_each_time() -> None:
    """Each flap is an activation with an id of its own."""
    board = Board()
    played(plan(board, repeat=Repeat(up=0.1, down=0.05)))
    assert board.calls == ["inject f1.1", "heal f1.1", "inject f1.2", "heal f1.2"]


def test_an_abandoned_run_heals_what_is_injected() -> None:
    """Abandoning in the middle of a fault heals it at once."""
    board = Board()
    events = played(plan(board, fault=30.0), abandon_after=0.3)
    assert [event.event for event in events] == ["inject", "active", "heal", "healed"]
    assert board.calls == ["inject f1", "heal f1"]


def test_an_abandoned_run_injects_nothing_new() -> None:
    """Abandoning before the fault is due leaves it uninjected."""
    board = Board()
    assert played(plan(board, baseline=30.0), abandon_after=0.05) == []
    assert board.calls == []


def test_a_timeline_that_never_started_can_be_joined() -> None:
    """A run that is interrupted before its faults has nothing to wait for."""
    rows: list[Any] = []
    timeline = FaultTimeline(plan(Board()), NO_CONTROLS, time.monotonic(), rows.append)
    timeline.abandon()
    assert timeline.join(1.0)


def test_only_threads_of_faults_that_act_now_are_alive() -> None:
    """A fault that flaps for an hour has a thousand activations, and never a thousand threads."""
    made = plan(Board(), fault=3600.0, repeat=Repeat(up=1.0, down=1.0))
    before = threading.active_count()
    timeline = FaultTimeline(made, NO_CONTROLS, time.monotonic(), lambda _: None)
    timeline.start()
    time.sleep(0.3)
    assert len(timeline.proofs) == 1800
    assert threading.active_count() <= before + 3
    timeline.abandon()
    assert timeline.join(5.0)


def test_a_target_is_measured_early_but_not_before_the_last_fault_is_gone() -> None:
    """Time for a second try before the first activation; where the same target was just healed, less."""
    flapping = plan(Board(), repeat=Repeat(up=1.0, down=0.7), baseline=2.0, fault=6.0)
    timeline = FaultTimeline(flapping, NO_CONTROLS, time.monotonic(), lambda _: None)
    ahead = [proof.activation.start_s - proof.due_s for proof in timeline.proofs]
    assert ahead == pytest.approx([1.2, 0.35, 0.35, 0.35])


def test_what_a_measurement_raises_is_raised_where_it_is_wanted() -> None:
    """A thread of its own hides nothing."""
    for begin in (at_once, beside):
        made = begin(lambda: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            made.result()
        assert begin(lambda: 7).result() == 7
