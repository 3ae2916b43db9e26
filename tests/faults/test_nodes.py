"""Crash and pause are judged by the process's state, its sign of life and its identity."""

from __future__ import annotations

from experiment.controls import NodeProbe
from faults.crash import Crash
from faults.pause import Pause

RUNNING = NodeProbe("running", True, 0.002, "10/1")
ABSENT = NodeProbe("absent", False, None, "10/1")
PAUSED = NodeProbe("paused", False, None, "10/1")
RESTARTED = NodeProbe("running", True, 0.002, "22/2")
STARTING = NodeProbe("running", False, None, "22/2")


def test_a_crash_is_a_process_that_is_gone() -> None:
    """Held or merely silent is not gone, and what answers is not gone either."""
    effect = Crash().judge(RUNNING, ABSENT)
    assert effect.seen
    assert effect.statement == "process running -> absent, no answer"
    assert effect.existing_connections == "affected"
    assert not Crash().judge(RUNNING, PAUSED).seen
    assert not Crash().judge(RUNNING, RUNNING).seen
    assert not Crash().judge(ABSENT, ABSENT).seen


def test_a_crash_is_gone_when_another_process_answers() -> None:
    """The same process still running was never restarted; one that is starting is not back."""
    assert Crash().gone(RUNNING, RESTARTED).seen
    assert not Crash().gone(RUNNING, RUNNING).seen
    assert not Crash().gone(RUNNING, STARTING).seen


def test_a_pause_is_a_process_that_is_held() -> None:
    """Silence alone is not a pause; nor is a process that was silent before."""
    effect = Pause().judge(RUNNING, PAUSED)
    assert effect.seen
    assert effect.statement == "process running -> paused, no answer"
    assert not Pause().judge(RUNNING, STARTING).seen
    assert not Pause().judge(RUNNING, ABSENT).seen
    assert not Pause().judge(STARTING, PAUSED).seen


def test_a_pause_is_gone_when_the_same_process_answers() -> None:
    """A restart is not the end of a pause: what the process held in memory would be lost."""
    assert Pause().gone(RUNNING, RUNNING).seen
    assert not Pause().gone(RUNNING, PAUSED).seen
    assert not Pause().gone(RUNNING, RESTARTED).seen
