"""Timers that fire within tens of microseconds, on one timer file descriptor of the kernel.

uvloop rounds its timers to milliseconds; delays of a few milliseconds would be wrong by as much.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from time import monotonic

CLOCK_MONOTONIC = 1
TFD_NONBLOCK = 0o4000
TFD_TIMER_ABSTIME = 1
FEWEST_CANCELLED_TO_SWEEP = 1024


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class Timer:
    """A callback that is due at an instant of ``time.monotonic``; ``cancel`` forgets it."""

    __slots__ = ("callback", "due", "timers")

    def __init__(self, timers: Timers, due: float, callback: Callable[[], None]) -> None:
        self.timers = timers
        self.due = due
        self.callback: Callable[[], None] | None = callback

    def __lt__(self, other: Timer) -> bool:
        return self.due < other.due

    def cancel(self) -> None:
        """Never call back. Harmless when it has fired or was cancelled before."""
        if self.callback is not None:
            self.callback = None
            self.timers._one_was_cancelled()


class Timers:
    """All timers of an event loop. ``close`` gives the file descriptor back."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = self._libc.timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._spec = _TimerSpec()
        self._spec_at = ctypes.byref(self._spec)
        self._heap: list[Timer] = []
        self._armed_for = float("inf")
        self._cancelled = 0
        loop.add_reader(self._fd, self._fire)

    def call_at(self, due: float, callback: Callable[[], None]) -> Timer:
        """Call ``callback`` at ``due``, or at once from the loop when that has passed."""
        timer = Timer(self, due, callback)
        heappush(self._heap, timer)
        if due < self._armed_for:
            self._arm(due)
        return timer

    @property
    def waiting(self) -> int:
        """How many timers are kept, cancelled ones included."""
        return len(self._heap)

    def close(self) -> None:
        """Forget all timers."""
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._heap.clear()

    def _arm(self, due: float) -> None:
        self._armed_for = due
        due = max(due, 1e-9)  # zero would disarm
        seconds = int(due)
        self._spec.value.seconds = seconds
        self._spec.value.nanoseconds = int((due - seconds) * 1e9) or 1
        if self._libc.timerfd_settime(self._fd, TFD_TIMER_ABSTIME, self._spec_at, None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")

    def _fire(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return  # re-armed for later since it became readable
        self._armed_for = float("inf")
        heap = self._heap
        while heap:
            timer = heap[0]
            if timer.callback is None:
                heappop(heap)
                self._cancelled -= 1
                continue
            if timer.due > monotonic():
                break
            heappop(heap)
            callback, timer.callback = timer.callback, None
            callback()
        if heap and heap[0].due < self._armed_for:
            self._arm(heap[0].due)

    def _one_was_cancelled(self) -> None:
        self._cancelled += 1
        if self._cancelled > FEWEST_CANCELLED_TO_SWEEP and self._cancelled * 2 > len(self._heap):
            self._heap[:] = [timer for timer in self._heap if timer.callback is not None]
            heapify(self._heap)
            self._cancelled = 0
