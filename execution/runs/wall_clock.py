"""The wall clock of a run, and by how much it was set while the run went on.

Everything is timed by the monotonic clock, which nobody can set. Only services tell the wall time, in their
records. So each step of the wall clock is noted, and taken off the times that were told after it.
"""

from __future__ import annotations

import time
from dataclasses import replace

from experiment.history import Note
from experiment.units import format_duration
from runtimes.runtime import Step, Zero

LEAST_S = 0.02  # a clock that runs a little faster or slower than ours moves by such steps
JUMP_S = 0.5


class WallClock:
    """Looked at again and again; `zero` is that of the run, with every step so far."""

    def __init__(self, lead_s: float) -> None:
        """The zero of the run is so far ahead."""
        self.zero = Zero(time.monotonic() + lead_s, time.time() + lead_s)
        self._offset_s = self.zero.wall_s - self.zero.monotonic_s

    def look(self) -> Note | None:
        """Note a step since the last look. Returns what a reader must know of one that is a jump: back is
        invalid, since what was told before and after it cannot be told apart."""
        now_s = time.monotonic()
        by_s = time.time() - now_s - self._offset_s
        if abs(by_s) < LEAST_S:
            return None
        self._offset_s += by_s
        t = now_s - self.zero.monotonic_s
        self.zero = replace(self.zero, steps=(*self.zero.steps, Step(t, by_s)))
        if abs(by_s) < JUMP_S:
            return None
        what = f"the wall clock of this machine was set {'forward' if by_s > 0 else 'back'}"
        said = f"{what} by {format_duration(abs(by_s))} at {t:.1f} s"
        if by_s < 0:
            return Note(t, "invalid", f"{said}: what services told before and after cannot be told apart")
        return Note(t, "info", f"{said}; the times of the records are corrected")
