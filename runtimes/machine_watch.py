"""Watches the machine while a run goes on: who uses its CPU, and what has to wait, once a second."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable

from experiment.history import Note, Row, Sample
from experiment.rows import MACHINE
from runtimes.machine import Family, Reading, Use, read_machine

PERIOD_S = 1.0
MOST_COST = 0.01  # of one core: where reading takes longer, it is done less often,
LONGEST_S = 3.0  # but not less often than so
NO_FIGURES = "what others took of this machine is not known: its kernel does not say (no /proc/stat)"
NO_PRESSURE = (
    "for how long something waited for CPU, disk or memory is not known: this kernel does not say (no PSI); "
    "the CPU time that others took is"
)


class MachineWatch:
    """Records samples of the source `machine` from `start` to `stop`, in a thread. Names: `cores`,
    `own_cores`, `other_cores`, `stolen_cores`; `waiting` about cpu, io and memory, and `held_back`, as shares
    of the time. Each is of the time since the sample before it."""

    def __init__(self, zero_s: float, record: Callable[[Iterable[Row]], None]) -> None:
        """`zero_s`: the zero of the run on CLOCK_MONOTONIC."""
        self._zero_s = zero_s
        self._record = record
        self._family = Family(os.getpid())
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="machine", daemon=True)

    def start(self) -> None:
        """Say what cannot be known here, and begin."""
        try:
            first = read_machine()
        except OSError:
            self._record([Note(0.0, "info", NO_FIGURES)])
            return
        if not first.waiting:
            self._record([Note(0.0, "info", NO_PRESSURE)])
        self._family.use(first)
        self._thread.start()

    def follow(self, pids: Iterable[int]) -> None:
        """Processes of the system that are not children of this one belong to the run too."""
        self._family.follow(pids)

    def stop(self) -> None:
        """Nothing is recorded after it. Safe to call again."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _watch(self) -> None:
        pause = PERIOD_S
        while not self._over.wait(pause):
            began = time.thread_time()
            try:
                self._take(read_machine())
            except OSError:  # a full disk ends the run elsewhere
                return
            pause = min(LONGEST_S, max(PERIOD_S, (time.thread_time() - began) / MOST_COST))

    def _take(self, now: Reading) -> None:
        use = self._family.use(now)
        if use is not None and now.at_s > self._zero_s:
            self._record(samples(round(now.at_s - self._zero_s, 6), use))


def samples(t: float, use: Use) -> list[Row]:
    """One reading as rows."""
    figures = {
        "cores": float(use.cores),
        "own_cores": use.own,
        "other_cores": use.others,
        "stolen_cores": use.stolen,
    }
    if use.held_back is not None:
        figures["held_back"] = use.held_back
    rows = [Sample(t, MACHINE, name, round(value, 4)) for name, value in figures.items()]
    return [*rows, *(Sample(t, MACHINE, "waiting", round(v, 4), about) for about, v in use.waiting.items())]
