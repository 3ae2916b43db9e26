"""Processes end with the one that started them, and tools end in their time."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import psutil
import pytest

from experiment.children import ChildTimeout, run_child, start_child
from experiment.stop import Interrupted, Stop


def test_a_tool_is_run_to_its_end() -> None:
    """With what it said, and its exit status."""
    ended = run_child(["sh", "-c", "cat; echo wrong >&2; exit 3"], within_s=10.0, text="given")
    assert (ended.code, ended.out, ended.err) == (3, "given", "wrong\n")


def test_a_tool_that_does_not_end_is_ended_with_what_it_started() -> None:
    """Its whole group."""
    with pytest.raises(ChildTimeout, match=r"sh did not end within 0\.3 s"):
        run_child(["sh", "-c", "sleep 61.25 & sleep 61.25"], within_s=0.3)
    end = time.monotonic() + 10.0  # a process that was killed is seen for a moment more
    while left := [one for one in psutil.process_iter() if "61.25" in _words(one)]:
        assert time.monotonic() < end, left
        time.sleep(0.02)


def _words(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def test_a_tool_ends_when_the_end_is_asked_for() -> None:
    """At once, not when its time is over."""
    stop = Stop()
    threading.Timer(0.2, stop.set).start()
    began = time.monotonic()
    with pytest.raises(Interrupted):
        run_child(["sleep", "60"], within_s=60.0, stop=stop)
    assert time.monotonic() - began < 5.0


@pytest.mark.parametrize("setpriv", [True, False])
def test_a_child_is_tied_to_this_process(
    setpriv: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `setpriv` and without: it is the program itself in the end, in a session of its own."""
    if not setpriv:
        (tmp_path / "sleep").symlink_to("/bin/sleep")
        monkeypatch.setenv("PATH", str(tmp_path))
    child = start_child(["sleep", "60"])
    try:
        end = time.monotonic() + 10.0
        while (name := psutil.Process(child.pid).name()) != "sleep" and time.monotonic() < end:
            time.sleep(0.01)
        assert name == "sleep"
        assert os.getsid(child.pid) == child.pid
    finally:
        child.kill()
        child.wait()


def test_a_program_that_is_not_there_is_told_before_anything_starts() -> None:
    """By its name, whatever ties children here."""
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        start_child(["no-such-program"])
