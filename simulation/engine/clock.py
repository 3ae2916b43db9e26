"""Virtual time: a SimPy environment whose events are few, slotted and reused.

SimPy allocates an Event with a list of callbacks for everything that happens. Here one object (an attempt,
a timer) is scheduled again and again: it carries `fire`, the method to call when its time comes. Both SimPy's
own `step` and the shorter loop of `Clock.run_until` understand it, and give the same trace.

`_queue`, `_eid` and `_now` are private to SimPy; its version is pinned and a test watches them.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

import simpy

NORMAL = 1  # SimPy's priority of ordinary events
LAST = 2  # after all ordinary events of the same instant


class StopLoopError(Exception):
    """Ends the loop."""


def stop_loop() -> None:
    raise StopLoopError


class Occurrence:
    """What the clock can schedule. `fire(self)` is called at its time; it may be scheduled again then."""

    __slots__ = ("fire",)

    _ok = True  # SimPy asks whether an event failed: these do not

    fire: Callable[[Any], None]

    @property
    def callbacks(self) -> list[Callable[[Any], None]]:
        """What SimPy's own loop calls."""
        return [self.fire]

    @callbacks.setter
    def callbacks(self, _: object) -> None:
        """SimPy clears an event's callbacks when it happens; ours happen more than once."""


class Timer(Occurrence):
    """Calls `action` once at a given time, unless it was cancelled."""

    __slots__ = ("action",)

    def __init__(self, action: Callable[[], object]) -> None:
        self.action: Callable[[], object] | None = action
        self.fire = Timer._ring

    def _ring(self) -> None:
        if self.action is not None:
            self.action()

    def cancel(self) -> None:
        self.action = None


class Clock(simpy.Environment):
    """Seconds of virtual time since the run's zero. `heap` and `serial` are SimPy's own schedule."""

    def __init__(self) -> None:
        super().__init__()
        self.heap: list[Any] = self._queue
        self.serial = self._eid

    def schedule_at(self, when: float, occurrence: Occurrence) -> None:
        heappush(self.heap, (when, NORMAL, next(self.serial), occurrence))

    def call_at(self, when: float, action: Callable[[], object]) -> Timer:
        timer = Timer(action)
        heappush(self.heap, (when, NORMAL, next(self.serial), timer))
        return timer

    def call_after(self, delay: float, action: Callable[[], object]) -> Timer:
        return self.call_at(self._now + delay, action)

    def run_until(self, end: float) -> None:
        """Everything up to and including `end`; then the clock stands at `end`."""
        queue = self.heap
        stop = Timer(stop_loop)
        heappush(queue, (end, LAST, next(self.serial), stop))
        try:
            while True:
                item = heappop(queue)
                self._now = item[0]
                self.happen(item[3])
        except StopLoopError:
            return

    def run_out(self) -> None:
        """Everything until nothing is left to happen."""
        queue = self.heap
        while queue:
            self.run_until(queue[0][0])

    @staticmethod
    def happen(event: Any) -> None:
        """One event, ours or SimPy's own (a process, a timeout), as SimPy's step treats it."""
        if isinstance(event, Occurrence):
            event.fire(event)
            return
        callbacks, event.callbacks = event.callbacks, None
        for callback in callbacks:
            callback(event)
        if not event.ok and not event.defused:
            raise event.value
