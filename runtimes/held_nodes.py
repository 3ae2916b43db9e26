"""What keeps a node from its usual state: the faults that act on it, and restarts of our own. Processes and
containers keep this alike."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from experiment.controls import NodeAction
from runtimes.leftovers import Journal


class HeldNode:
    """The faults on one node, by their ids, and whether its state is for now our own doing."""

    def __init__(self, journal: Journal) -> None:
        """`journal` is told of every heal."""
        self._journal = journal
        self._active: dict[str, NodeAction] = {}
        self._lock = threading.RLock()
        self._changing = 0

    def forget(self) -> None:
        """It was healed as a whole: no fault is active any more."""
        with self._lock:
            for fault in tuple(self._active):
                self._active.pop(fault)
                self._journal.write("heal", fault=fault)

    @contextmanager
    def _held_down(self) -> Iterator[None]:
        self._changing += 1
        try:
            yield
        finally:
            self._changing -= 1

    def is_held(self) -> bool:
        """Whether a fault, or a restart of ours, keeps it down or did so a moment ago."""
        return bool(self._active) or self._changing > 0
