"""One system for many plans: as much of it is up as they need."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from execution.options import Options
from execution.runs import running_system, runtime_choice
from execution.runs.running_system import RunningSystem
from execution.runs.runtime_choice import RuntimeChoice
from experiment.needs import part_of
from experiment.stop import Stop
from experiment.topology import System
from tests.experiment.test_needs import REFERENCE


class Started:
    """A runtime that writes down what is asked of it."""

    def __init__(self, system: System, log: list[str]) -> None:
        self.system = system
        self._log = log

    def start(self, _run: object) -> None:
        self._log.append(f"start {' '.join(sorted(self.system.services))}")

    def stop(self) -> None:
        self._log.append("stop")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was started and stopped."""
    said: list[str] = []

    def make(system: System, *_: object) -> Any:
        return Started(system, said)

    choice = RuntimeChoice(make, lambda _: {})
    monkeypatch.setitem(runtime_choice.LIVE_RUNTIMES, "processes", choice)
    monkeypatch.setattr(running_system, "run_settings", lambda plan: plan)
    return said


def plan(*services: str) -> Any:
    return SimpleNamespace(system=part_of(replace(REFERENCE, links=()), services))


def test_what_any_of_the_plans_needs_is_started_once(log: list[str]) -> None:
    """A suite waits for one start."""
    plans = [plan("checkin", "bus"), plan("payer", "bus")]
    running = RunningSystem(Options(), plans, Stop())
    assert running.runtime_for(plans[0]) is running.runtime_for(plans[1])
    assert log == ["start bus checkin payer"]


def test_a_plan_that_nobody_knew_of_gets_what_it_needs(log: list[str]) -> None:
    """It is never played on half of what it needs: the system starts afresh, with the new parts too."""
    running = RunningSystem(Options(), [plan("checkin")], Stop())
    running.runtime_for(plan("checkin"))
    running.runtime_for(plan("payer"))
    running.runtime_for(plan("checkin"))
    running.stop()
    running.stop()
    assert log == ["start checkin", "stop", "start checkin payer", "stop"]
