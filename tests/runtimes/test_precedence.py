"""While a run is played the harness's threads go first, and the system's parts do not."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from runtimes.leftovers import Journal
from runtimes.precedence import NICE, going_first
from runtimes.spawning import Child, Command


def nice_of(pid: int) -> int:
    return os.getpriority(os.PRIO_PROCESS, pid)


def own_of_a_thread() -> int:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(nice_of(threading.get_native_id())))
    thread.start()
    thread.join()
    return found[0]


@pytest.fixture(name="allowed")
def is_allowed() -> bool:
    """Whether this user may go first."""
    usual = nice_of(0)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, usual - 1)
    except OSError:
        return False
    os.setpriority(os.PRIO_PROCESS, 0, usual)
    return True


def test_threads_go_first_and_children_of_the_starter_do_not(tmp_path: Path, allowed: bool) -> None:
    """Threads that were there, and those that are started meanwhile; afterwards all is as it was. A child
    that is started meanwhile has the usual value: it is what is measured."""
    usual = nice_of(0)
    waiting = threading.Event()
    before = threading.Thread(target=waiting.wait)
    before.start()
    journal = Journal(tmp_path, "test")
    code = "import time; time.sleep(60)"

    def child(name: str) -> Child:
        argv = (sys.executable, "-c", code)
        return Child(Command(name, argv, tmp_path, tmp_path / f"{name}.log", {}), journal)

    started = [child("one")]
    assert before.native_id is not None
    try:
        with going_first() as nice:
            expected = min(usual, NICE) if allowed else usual
            assert nice == expected == nice_of(0) == own_of_a_thread() == nice_of(before.native_id)
            started.append(child("two"))
            assert nice_of(started[1].pid) == usual
        assert usual == nice_of(0) == own_of_a_thread() == nice_of(before.native_id)
    finally:
        waiting.set()
        for one in started:
            one.kill()
        journal.close(remove=True)


def test_who_goes_first_already_stays_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A harness that was started so is neither lowered nor set back."""
    asked: list[object] = []
    monkeypatch.setattr(os, "getpriority", lambda *_: -15)
    monkeypatch.setattr(os, "setpriority", lambda *values: asked.append(values))
    with going_first() as nice:
        assert nice == -15
    assert asked == []
