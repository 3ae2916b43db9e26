"""A command that is ended at any line of its journal leaves nothing, and answers a signal within seconds.

A sample of the moments; `python -m benchmarks.ended_anywhere` plays all of them.
"""

from __future__ import annotations

import signal

import pytest

from tests.live.killed import Held, end_at
from tests.standin.containers import require_engine
from tests.standin.folders import open_folder

pytestmark = pytest.mark.live
ANSWERED_WITHIN_S = 3.0
BUSY = 4.0  # so many times as long may a signal's answer take beside other tests


@pytest.mark.parametrize("moment", ["journal:1", "journal:4", "call:experiment.children:start_child"])
def test_the_guard_of_a_killed_command_leaves_nothing(moment: str) -> None:
    """Processes, ports, shared memory, instances, temporary files and half-made folders are gone soon,
    without another command; the history says that it was interrupted."""
    with open_folder() as home:
        outcome = end_at(moment, "kill", home)
    assert outcome.held
    assert outcome.wrong == ()


def test_the_next_command_sweeps_what_a_killed_command_and_guard_left() -> None:
    """In the middle of the faults."""
    with open_folder() as home:
        outcome = end_at("journal:17", "kill both", home)
    assert (outcome.held, outcome.wrong) == (True, ())


@pytest.mark.docker
@pytest.mark.parametrize("moment", ["engine:40", "journal:4"])
def test_the_guard_of_a_killed_command_leaves_no_container(moment: str) -> None:
    """Nor a network or a volume, at calls of the engine while the system starts and at a line of the
    journal."""
    require_engine()
    with open_folder() as home:
        outcome = end_at(moment, "kill", home, "containers")
    assert outcome.held
    assert outcome.wrong == ()


@pytest.mark.parametrize(
    ("moment", "name"),
    [
        ("journal:3", "SIGTERM"),
        ("journal:14", "SIGINT"),
        ("call:execution.runs.live_run:final_reads", "SIGTERM"),
        ("call:execution.runs.bench:judge", "SIGHUP"),
    ],
)
def test_a_signal_is_answered_at_any_moment(moment: str, name: str) -> None:
    """While the system starts, in a fault, while the final state is read, and while the run is judged: exit
    code, history and `check` say which signal it was, and nothing is left."""
    with open_folder() as home:
        outcome = end_at(moment, name, home)
    assert outcome.held
    assert outcome.wrong == ()
    assert outcome.seconds < ANSWERED_WITHIN_S * BUSY


def test_a_second_signal_ends_at_once() -> None:
    """Nothing is waited for; the guard removes what was started."""
    with open_folder() as home:
        held = Held(home, "journal:14", ("run", "tests/live/scenarios/every_line.yaml"))
        assert held.until_held()
        seen = held.seen()
        held.process.send_signal(signal.SIGINT)
        held.process.send_signal(signal.SIGTERM)
        held.process.send_signal(signal.SIGCONT)
        assert held.process.wait(10) in (130, 143), "whichever the kernel hands over first"
        assert "ended at once" in held.said
        assert held.await_nothing(seen)[1] == []
