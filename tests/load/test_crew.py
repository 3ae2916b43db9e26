"""Master and workers by their messages, over a runner that only passes them on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import gevent

from load.account import Account
from load.crew import Conductor, Worker
from load.script import write_script
from tests.load.local_system import local_system
from tests.load.plans import plan, started_history


@dataclass(slots=True)
class Message:
    data: Any


@dataclass(slots=True)
class Runner:
    """Stands for Locust's: hands messages to whoever registered for them, and starts the user."""

    worker_index: int = 0
    user: Callable[[], None] | None = None
    sent: list[tuple[str, Any]] = field(default_factory=list)
    listeners: dict[str, Callable[..., None]] = field(default_factory=dict)

    def register_message(self, name: str, listener: Callable[..., None]) -> None:
        assert name not in self.listeners
        self.listeners[name] = listener

    def send_message(self, name: str, plain: Any) -> None:
        self.sent.append((name, plain))
        if name in self.listeners:
            self.listeners[name](environment=None, msg=Message(plain))

    def start(self, count: int, spawn_rate: float) -> None:
        assert (count, spawn_rate) == (1, 1)
        if self.user is not None:
            gevent.spawn(self.user)


def crew(workers: int = 1) -> tuple[Runner, Conductor, list[dict[str, Any]]]:
    told: list[dict[str, Any]] = []
    runner = Runner()
    return runner, Conductor(runner, workers, told.append), told


def second(worker: int, t: float) -> dict[str, Any]:
    return asdict(Account(worker, []).close_second(t))


def test_one_worker_and_its_conductor_play_a_script(tmp_path: Path) -> None:
    """Ready, progress and summary are told in this order, over one local runner."""
    runner, conductor, told = crew()
    worker = Worker(lambda _: None)
    worker.attach(runner)
    runner.user = worker.play
    made = plan(rate=10.0, length_s=1.2)
    with local_system() as system:
        history = started_history(tmp_path / "h.jsonl")
        write_script(made, {"front": system.base}, history, "2026-01-01", tmp_path / "s.jsonl")
        conductor.load(str(tmp_path / "s.jsonl"), {})
        gevent.sleep(0)
        assert told == [{"event": "ready"}]
        conductor.go(time.monotonic())
        assert conductor.over.wait(20)
    assert [event["event"] for event in told][:2] == ["ready", "progress"]
    assert told[-1]["event"] == "summary"
    assert told[-1]["acknowledged"] == len(made.operations)


def test_a_user_that_is_started_again_plays_nothing_again(tmp_path: Path) -> None:
    """Locust starts the users of a worker again whose heartbeats it missed; no operation may be sent
    twice."""
    runner, conductor, told = crew()
    worker = Worker(lambda _: None)
    worker.attach(runner)
    runner.user = worker.play
    made = plan(rate=10.0, length_s=0.5)
    with local_system() as system:
        history = started_history(tmp_path / "h.jsonl")
        write_script(made, {"front": system.base}, history, "2026-01-01", tmp_path / "s.jsonl")
        conductor.load(str(tmp_path / "s.jsonl"), {})
        conductor.go(time.monotonic())
        assert conductor.over.wait(20)
        worker.play()
        assert len(system.heard) == len(made.operations)
    assert [event["event"] for event in told].count("ready") == 1


def test_a_worker_without_a_script_fails_instead_of_playing_nothing() -> None:
    """A message that was lost is no load of nothing."""
    runner, conductor, told = crew()
    worker = Worker(lambda _: None)
    worker.attach(runner)
    assert conductor.joined.is_set()
    gevent.spawn(worker.play)
    conductor.go(time.monotonic())
    assert conductor.over.wait(5)
    assert told[-1]["event"] == "failed"
    assert "nothing to play" in told[-1]["message"]


def test_all_have_joined_when_each_listens() -> None:
    """The script is sent to workers that listen, not to ones that have only connected."""
    runner, conductor, _ = crew(workers=2)
    runner.send_message("joined", {})
    assert not conductor.joined.is_set()
    runner.send_message("joined", {})
    assert conductor.joined.is_set()


def test_ready_is_told_when_all_are() -> None:
    """One worker of two is not enough."""
    runner, _, told = crew(workers=2)
    runner.send_message("ready", {})
    assert told == []
    runner.send_message("ready", {})
    assert told == [{"event": "ready"}]


def test_progress_is_told_when_all_have_reported_the_second() -> None:
    """Seconds of different workers are put together by their time, whatever the order."""
    runner, _, told = crew(workers=2)
    runner.send_message("second", second(0, 1.0))
    runner.send_message("second", second(0, 2.0))
    assert told == []
    runner.send_message("second", second(1, 1.0))
    assert [(event["event"], event["t"]) for event in told] == [("progress", 1.0)]


def test_a_failed_worker_ends_the_load_of_all() -> None:
    """The reason is told once, the others are halted, and it is over."""
    runner, conductor, told = crew(workers=2)
    runner.send_message("failed", {"message": "the disk is full"})
    runner.send_message("failed", {"message": "the disk is still full"})
    assert told == [{"event": "failed", "message": "the disk is full"}]
    assert ("halt", {}) in runner.sent
    assert conductor.over.is_set()


def test_a_halt_before_any_script_is_the_end() -> None:
    """A process that was started ahead and never needed ends at once."""
    _, conductor, told = crew()
    conductor.stop()
    assert conductor.over.is_set()
    assert told == []
