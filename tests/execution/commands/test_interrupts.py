"""Signals end a run in order."""

from __future__ import annotations

import os
import signal

import pytest

from execution.commands.interrupts import interruptible
from experiment.errors import ExitCode


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED)]
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
