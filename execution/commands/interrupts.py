"""SIGINT and SIGTERM end a run in order: heal, stop, record, judge; the exit code says which it was."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from experiment.errors import ExitCode


class Interruption:
    """Set by the first signal. A second one of the same kind does not cut the clean-up short."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.signal: int | None = None

    def handle(self, number: int, _frame: FrameType | None) -> None:
        self.signal = self.signal or number
        self.stop.set()

    @property
    def exit_code(self) -> ExitCode | None:
        """None when nothing interrupted."""
        if self.signal is None:
            return None
        return ExitCode.TERMINATED if self.signal == signal.SIGTERM else ExitCode.INTERRUPTED


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Signals set the event instead of raising, so that clean-up never runs in the middle of itself."""
    interruption = Interruption()
    handled = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, interruption.handle) for number in handled}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
