"""A live run that is interrupted: what was not reached is not claimed."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from execution.runs import live_run
from execution.runs.live_run import LiveRun, Progress
from execution.runs.run_folder import RunFolder
from experiment.aborting import AbortCondition
from experiment.controls import Traffic
from experiment.errors import StartError
from experiment.history import FORMAT, Header, Note, load_history
from experiment.recorder import Recorder
from experiment.rows import Obeyed, Operation
from experiment.stop import Stop
from experiment.trouble import Trouble
from load.account import LoadSummary
from runtimes.runtime import Address
from tests.execution.builders import Board, plan


class Load:
    """A load that ends at once, or never."""

    nice = -10

    def __init__(self, ends: bool) -> None:
        self._ends = ends

    def ready(self, deadline_s: float, look: Any) -> None: ...
    def go(self, zero_monotonic: float) -> None: ...
    def poll(self) -> None: ...
    def stop(self) -> None: ...

    def finished(self) -> bool:
        return self._ends

    def trouble(self) -> None: ...
    def wait(self, deadline_s: float, look: Any) -> LoadSummary:
        return LoadSummary(0, 0, 0, 0, 0, 0, 0.0)


class Home:
    """A runtime with nothing in it, that counts how often its records are read."""

    name = "processes"

    def __init__(self) -> None:
        self.read = 0

    def reset(self, settings: Any) -> None: ...
    def obeyed(self, t: float) -> list[Any]:
        return []

    def collect(self, folder: Path) -> None: ...
    def heal(self) -> None: ...

    def address(self, service: str) -> Address:
        return Address("127.0.0.1", 1)

    def controls(self) -> Any:
        return SimpleNamespace(link=lambda _: SimpleNamespace(traffic=Traffic))

    def trouble(self) -> Trouble | None:
        return None

    def leaks(self) -> list[str]:
        return []

    def sample(self, zero: Any) -> list[Any]:
        return []

    def backlog(self) -> dict[str, dict[str, int]]:
        return {}

    def pids(self) -> list[int]:
        return []

    def unhealed(self) -> list[str]:
        return []

    def records(self, zero: Any) -> list[Any]:
        self.read += 1
        return []


HEADER = Header(FORMAT, "r", "processes", "s", "d", "pair", 1, "2026-03-01T10:00:00+00:00", 0.0)


def played(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    interrupt: bool,
    remarks: tuple[Note, ...] = (),
    home: Home | None = None,
) -> Any:
    """A run without fault; when it settles, it is interrupted or not."""
    stop = Stop()
    home = home or Home()

    def watch(progress: Progress) -> None:
        if interrupt and progress.phase == "settle":
            stop.set()

    monkeypatch.setattr(live_run, "LoadProcess", lambda *_: SimpleNamespace(stop=lambda: None))
    monkeypatch.setattr(live_run, "start_load", lambda *_: Load(ends=not interrupt))
    monkeypatch.setattr(live_run, "final_reads", lambda *_: [])
    short = replace(plan(Board(), warm_up=0.0, fault=0.0, recovery=0.0, settle=30.0), activations=())
    run = LiveRun(short, home, RunFolder(tmp_path), HEADER, watch, stop, remarks)  # type: ignore[arg-type]
    return run.play(), home, load_history(tmp_path / "history.jsonl")


def test_an_interruption_while_settling_reads_no_final_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has not settled is not read, so that nobody takes what is late for lost."""
    ended, home, history = played(tmp_path, monkeypatch, interrupt=True)
    assert (ended.reason, home.read) == ("interrupted", 0)
    assert history.end is not None and history.end.reason == "interrupted"
    settle = history.phase("settle")
    assert settle is not None and settle.end is None


def test_a_run_that_settles_reads_its_final_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same run left alone; what was remarked on it stands in its history."""
    remark = Note(0.0, "violation", "1 duplicate charge (first attempt, r-0)", "no_duplicate_charge")
    ended, home, history = played(tmp_path, monkeypatch, interrupt=False, remarks=(remark,))
    assert (ended.reason, home.read) == ("completed", 1)
    assert remark in history.notes
    assert [s.value for s in history.samples if (s.source, s.name) == ("load", "nice")] == [-10.0]


class LargerHome(Home):
    """A runtime that is up for several plans, with a service that this one does not need."""

    def obeyed(self, t: float) -> list[Any]:
        return [Obeyed(t, name, "d") for name in (*plan(Board()).system.services, "stranger")]


def test_what_services_show_that_a_plan_does_not_need_is_no_part_of_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A suite starts what any of its entries needs; the design of the others is no evidence of this run."""
    _, _, history = played(tmp_path, monkeypatch, interrupt=False, home=LargerHome())
    shown = [row.service for row in history.designs]
    assert sorted(set(shown)) == sorted(plan(Board()).system.services)
    assert len(shown) == 2 * len(set(shown))


class LostHome(Home):
    """A runtime whose ground goes away while the run settles; then nothing of it answers any more."""

    def __init__(self) -> None:
        super().__init__()
        self.gone: Trouble | None = None

    def trouble(self) -> Trouble | None:
        return self.gone

    def backlog(self) -> dict[str, dict[str, int]]:
        self.gone = Trouble("the engine", "went away", time.monotonic(), "stopped or restarted")
        return {"billing": {"outbox": 1}}

    def collect(self, folder: Path) -> None:
        raise StartError("the system is not running: call start first")


def test_a_run_whose_ground_goes_away_while_settling_ends_as_invalid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says why, reads nothing more, and what cannot be collected does not end the suite."""
    ended, home, history = played(tmp_path, monkeypatch, interrupt=False, home=LostHome())
    assert (ended.reason, home.read) == ("failed", 0)
    when = r"(before the load began|at 0\.\d s)"  # a busy machine is later
    assert re.fullmatch(rf"the engine went away {when} \(stopped or restarted\)", ended.statement)
    assert Note(history.notes[0].t, "invalid", ended.statement) in history.notes


class FailingLoad(Load):
    """A load whose every operation fails: ten a second, written as a worker writes them."""

    def __init__(self, history: Path) -> None:
        super().__init__(ends=False)
        self._history = history

    def go(self, zero_monotonic: float) -> None:
        recorder = Recorder(self._history)
        recorder.write_all(
            Operation(n, "ask", f"ask-{n}", n / 10, n / 10, n / 10 + 0.05, "indeterminate", error="timeout")
            for n in range(40)
        )
        recorder.close()


def test_a_condition_of_the_scenario_ends_a_live_run_within_the_next_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Errors for two seconds: the phase is cut, nothing settles, no record is read, and the end says why."""
    home = Home()
    monkeypatch.setattr(live_run, "LoadProcess", lambda *_: SimpleNamespace(stop=lambda: None))
    monkeypatch.setattr(live_run, "start_load", lambda *_: FailingLoad(tmp_path / "history.jsonl"))
    short = replace(plan(Board(), warm_up=0.0, fault=20.0, recovery=0.0, settle=30.0), activations=())
    scenario = replace(short.scenario, abort=(AbortCondition(errors=0.5, lasting=2.0),))
    asked = replace(short, scenario=scenario)
    run = LiveRun(asked, home, RunFolder(tmp_path), HEADER, lambda _: None, Stop())  # type: ignore[arg-type]  # a stand-in
    ended = run.play()
    assert (ended.reason, ended.clean, home.read) == ("aborted", True, 0)
    assert ended.statement.startswith("aborted at 2 s by the scenario: errors above 50% for 2 seconds")
    assert ended.history.end is not None and ended.history.end.t < 10.0
    assert ended.history.phases[-1].end is None
