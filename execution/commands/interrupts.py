"""SIGINT, SIGTERM and SIGHUP end a command in order; the exit code says which it was. A second one ends it at
once, and the guards of what it started sweep.

Signals are heard in two places. The main thread's handler cuts pure work short. A thread that is woken
through a pipe wakes whoever waits, whatever the main thread is doing; it is the one that ends all the second
time.
"""

from __future__ import annotations

import os
import select
import signal
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from experiment.errors import SIGNALS, ExitCode
from experiment.stop import Stop

HANDLED = tuple(signal.Signals[name] for name in SIGNALS)
SAME_WITHIN_S = 0.3  # a shell passes a closed terminal on: the same signal twice, for one event
CUT_WITHIN_S = 2.0
AT_ONCE = b"ended at once: what was started is being removed\n"


class Interruption:
    """What the signals of a command have asked for. `raising`: everything may be cut short."""

    def __init__(self, *, raising: bool = False) -> None:
        self.stop = Stop()
        self._raising = raising
        self._first: signal.Signals | None = None
        self._first_at = 0.0
        self._terminals = [fd for fd in (1, 2) if _is_device(fd)]

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """In the main thread."""
        self.stop.heard(number, raising=self._raising)

    def watch(self, pipe: int) -> None:
        """In a thread of its own, until the other end of the pipe is closed."""
        while numbers := self._next(pipe):
            for number in numbers:
                if number in HANDLED:
                    self._arrived(signal.Signals(number))

    def _next(self, pipe: int) -> bytes:
        """Work that was cut short and does not end, in a library that hears no signal, is ended."""
        if self._raising and self._first is not None:
            left = self._first_at + CUT_WITHIN_S - time.monotonic()
            if not select.select([pipe], [], [], max(0.0, left))[0]:
                os._exit(int(self.exit_code or ExitCode.INTERRUPTED))
        return os.read(pipe, 64)

    def _arrived(self, number: signal.Signals) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first, self._first_at = number, now
            self.stop.signal = self.stop.signal or number.name
            if number == signal.SIGHUP:
                self._forget_the_terminal()
            self.stop.set()
        elif number is not self._first or now - self._first_at > SAME_WITHIN_S:
            os.write(2, AT_ONCE)
            os._exit(int(self.exit_code or ExitCode.INTERRUPTED))

    def _forget_the_terminal(self) -> None:
        """What is written to one that was closed fails, and nobody reads it."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for fd in self._terminals:
            os.dup2(nowhere, fd)
        os.close(nowhere)

    @property
    def exit_code(self) -> ExitCode | None:
        """None when nothing interrupted."""
        return (
            ExitCode.INTERRUPTED if self.stop.why and not self.stop.signal else SIGNALS.get(self.stop.signal)
        )


def _is_device(fd: int) -> bool:
    try:
        return stat.S_ISCHR(os.fstat(fd).st_mode)
    except OSError:
        return False  # a command may be started without it


@contextmanager
def interruptible(*, raising: bool = False) -> Iterator[Interruption]:
    """Signals set the event instead of raising, so that clean-up never runs in the middle of itself; with
    `raising` they raise Interrupted wherever the command is. SIGHUP is left to `nohup`."""
    interruption = Interruption(raising=raising)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    watcher = threading.Thread(target=interruption.watch, args=(reading,), daemon=True, name="signals")
    watcher.start()
    kept = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    handled = [number for number in HANDLED if number != signal.SIGHUP or not kept]
    before = {number: signal.signal(number, interruption.handle) for number in handled}
    pipe_before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield interruption
    finally:
        signal.set_wakeup_fd(pipe_before)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(writing)
        watcher.join()
        os.close(reading)
