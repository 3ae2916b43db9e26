"""The wish to end, from a signal: seen by everything that waits, and at once by work that may be cut short.

What starts or undoes things looks at it where it waits, so that nothing is left by halves. Pure work, such as
judging a history, is cut short wherever it is.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """A signal asked for the end. `notes` tell what was not done because of it."""

    def __init__(self, name: str = "SIGINT", *notes: str) -> None:
        super().__init__(name)
        self.name, self.notes = name, notes

    def __str__(self) -> str:
        return f"interrupted by {self.name}"


class Stop(threading.Event):
    """Set once somebody asked for the end. `signal` is the name of the signal, empty where none came; `why`
    is what else asked for it."""

    def __init__(self) -> None:
        super().__init__()
        self.signal = ""
        self.why = ""
        self._heard = False
        self._cutting = False

    def is_set(self) -> bool:
        return bool(self.signal) or super().is_set()

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set() or super().wait(timeout)

    def asked(self, why: str) -> None:
        """Somebody asked for the end otherwise than by a signal; `why` says in what way."""
        self.why = self.why or why
        self.set()

    @property
    def told(self) -> str:
        """`interrupted by SIGINT`, or what else asked for the end; empty where nothing did."""
        return f"interrupted by {self.signal}" if self.signal else self.why

    def heard(self, number: int, *, raising: bool = False) -> None:
        """Called by a signal's handler, in the main thread. It takes no lock, which this very thread may
        hold: whoever waits is woken by `set`, from another thread. The first one raises Interrupted, when
        `raising` and in work that may be cut short."""
        first, self._heard = not self._heard, True
        self.signal = self.signal or signal.Signals(number).name
        if first and (raising or self._cutting):
            raise Interrupted(self.signal)

    def check(self) -> None:
        """Raises Interrupted once somebody asked for the end."""
        if self.is_set():
            raise Interrupted(self.signal or "SIGINT")

    def sleep(self, seconds: float) -> None:
        """Wait so long. Raises Interrupted as soon as somebody asks for the end."""
        if self.wait(seconds):
            self.check()

    @contextmanager
    def cut_short(self, within_s: float) -> Iterator[None]:
        """Work that a signal ends wherever it is. Begun after the signal, it may last `within_s` seconds.
        Raises Interrupted."""
        if threading.current_thread() is not threading.main_thread():
            yield  # signals reach the main thread only
            self.check()
            return
        before = signal.signal(signal.SIGALRM, self._late)
        late = self.is_set()
        try:
            self._cutting = True
            if late:
                signal.setitimer(signal.ITIMER_REAL, within_s)
            else:
                self.check()  # it came between the two lines above
            yield
        except Exception:
            if self.is_set() and not late:
                self.check()  # a library that was cut short says so in its own way
            raise
        finally:
            self._cutting = False
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, before)

    def _late(self, _number: int, _frame: FrameType | None) -> None:
        raise Interrupted(self.signal or "SIGINT")
