"""Signals end a run in order."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from execution.commands.interrupts import interruptible
from experiment.errors import ExitCode
from experiment.stop import Interrupted


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, ExitCode.INTERRUPTED),
        (signal.SIGTERM, ExitCode.TERMINATED),
        (signal.SIGHUP, ExitCode.HUNG_UP),
    ],
)
def test_a_signal_sets_the_event_and_its_exit_code(number: int, code: ExitCode) -> None:
    """Neither signal raises; both are remembered."""
    with interruptible() as interruption:
        os.kill(os.getpid(), number)
        assert interruption.stop.wait(2.0)
    assert interruption.exit_code is code


def test_without_a_signal_there_is_no_exit_code() -> None:
    """A run that nobody interrupted ends by its verdict."""
    with interruptible() as interruption:
        pass
    assert interruption.exit_code is None


def test_handlers_are_put_back() -> None:
    """Afterwards Ctrl-C does what it did before."""
    before = signal.getsignal(signal.SIGINT)
    with interruptible():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_the_same_signal_at_once_counts_as_one() -> None:
    """A shell passes a closed terminal on to what the kernel told already."""
    with interruptible() as interruption:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)
        assert interruption.stop.wait(2.0)
    assert interruption.stop.signal == "SIGHUP"


def test_work_that_may_be_cut_short_is() -> None:
    """Wherever it is; what waits elsewhere is not."""
    with interruptible() as interruption:
        began = time.monotonic()
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
        with pytest.raises(Interrupted, match="interrupted by SIGTERM"), interruption.stop.cut_short(1.0):
            time.sleep(30.0)
        assert time.monotonic() - began < 20.0
        with pytest.raises(Interrupted):
            interruption.stop.sleep(5.0)


def test_work_that_begins_after_the_signal_has_its_time() -> None:
    """What is done of it within that time stands; the rest is cut short."""
    with interruptible() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.stop.wait(2.0)
        with interruption.stop.cut_short(5.0):
            done = True
        with pytest.raises(Interrupted), interruption.stop.cut_short(0.05):
            time.sleep(5.0)
    assert done
