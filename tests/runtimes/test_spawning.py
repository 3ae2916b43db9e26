"""Child processes: started, stopped by force when they must be, and quoted in messages."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiment.errors import StartError
from runtimes.leftovers import Journal
from runtimes.spawning import Child, Command, last_lines

DEADLINE_S = 10.0
STUBBORN = (
    "import signal, sys, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print('listening', flush=True)\n"
    "time.sleep(60)\n"
)
PARENT = (
    "import subprocess, time\n"
    "child = subprocess.Popen(['/bin/sleep', '60'], start_new_session=True)\n"
    "print('listening', flush=True)\n"
    "time.sleep(60)\n"
)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal of its own for each test."""
    made = Journal(tmp_path / "var", "test")
    yield made
    made.close(remove=True)


def run(journal: Journal, *argv: str) -> Child:
    log = journal.folder / "child.log"
    return Child(Command("child", argv, Path("/"), log, {"PATH": "/usr/bin:/bin"}), journal)


def until_it_says(child: Child, text: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while text not in child.last_words() and child.running and time.monotonic() < end:
        time.sleep(0.01)
    assert text in child.last_words()


def test_a_child_that_listens_to_no_one_is_stopped(journal: Journal) -> None:
    """After the deadline of a stop in good order comes SIGKILL."""
    child = run(journal, sys.executable, "-c", STUBBORN)
    until_it_says(child, "listening")
    child.stop(0.2)
    assert child.status == "ended by SIGKILL"


def test_a_paused_child_is_stopped_in_good_order(journal: Journal) -> None:
    """It is continued first: a process that is held sees no other signal."""
    child = run(journal, "/bin/sleep", "60")
    child.signal_family(signal.SIGSTOP)
    child.stop(DEADLINE_S)
    assert child.status == "ended by SIGTERM"


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_children_of_a_child_end_with_it(how: str, journal: Journal) -> None:
    """Also those that made a session of their own, as PostgreSQL's do."""
    child = run(journal, sys.executable, "-c", PARENT)
    until_it_says(child, "listening")
    family = child.family()
    assert len(family) == 2
    if how == "stop":
        child.stop(DEADLINE_S)
    else:
        child.kill()
    assert [one for one in family if one.alive] == []


def test_stopping_one_that_has_ended_does_nothing(journal: Journal) -> None:
    """Its status stays what it was."""
    child = run(journal, "/bin/false")
    end = time.monotonic() + DEADLINE_S
    while child.running and time.monotonic() < end:
        time.sleep(0.01)
    child.stop(DEADLINE_S)
    child.kill()
    assert child.status == "ended with exit status 1"


def test_a_folder_that_is_not_there_ends_the_start(journal: Journal) -> None:
    """What cannot be executed is an error with the reason, at once."""
    command = Command("child", ("/bin/true",), Path("/nowhere"), journal.folder / "log", {})
    with pytest.raises(StartError, match="child could not be started"):
        Child(command, journal)


def test_the_last_lines_of_a_log_are_quoted(tmp_path: Path) -> None:
    """A long log is read from its end; one without a word, or without a file, is said so."""
    log = tmp_path / "log"
    log.write_text("".join(f"line {n}\n" for n in range(100_000)))
    assert last_lines(log, 2) == "    line 99998\n    line 99999"
    log.write_text("")
    assert last_lines(log) == "    (its log is empty)"
    assert last_lines(tmp_path / "none") == "    (no log: No such file or directory)"
