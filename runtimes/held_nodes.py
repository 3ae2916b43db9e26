"""What keeps a node from its usual state: the faults that act on it, and restarts of our own. All runtimes
keep this alike."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from experiment.controls import Change, NodeAction, capability
from experiment.errors import UnsupportedError
from runtimes.leftovers import Journal
from runtimes.planned_changes import CHANGE, PlannedChanges


class HeldNode(ABC):
    """The faults on one node, by their ids, and whether its state is for now our own doing."""

    def __init__(self, journal: Journal, planned: PlannedChanges | None = None) -> None:
        """`journal` is told of every heal; `planned` are the changes that it offers, if it offers any."""
        self._journal = journal
        self.planned = planned
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
        return any(not isinstance(one, Change) for one in self._active.values()) or self._changing > 0

    @property
    def changes(self) -> tuple[str, ...]:
        """The names of the planned changes that it offers."""
        return self.planned.names if self.planned is not None else ()

    def undo(self, fault: str) -> None:
        """Undo it once no other fault wants it so; returns when the part is ready. Raises StartError."""
        with self._lock:
            action = self._active.get(fault)
            if action is None:
                return
            if isinstance(action, Change):
                return self._take_back(fault, action)
            others = [one for name, one in self._active.items() if name != fault]
            if not any(type(one) is type(action) for one in others):
                self._undo(action, others)
            self._active.pop(fault)
            self._journal.write("heal", fault=fault)

    @abstractmethod
    def _undo(self, action: NodeAction, others: Sequence[NodeAction]) -> None:
        """Take back what `action` did; `others` go on acting, none of them of its kind. Raises StartError."""

    def _apply(self, fault: str, action: NodeAction, name: str, do: Callable[[NodeAction], None]) -> None:
        """Do it to the node called `name`, which is known to be able; nothing where the fault is active."""
        with self._lock:
            if fault in self._active:
                return
            if isinstance(action, Change):
                return self._begin(fault, action, name)
            self._journal.write("inject", fault=fault, what=capability(type(action)), target=name)
            self._active[fault] = action
            do(action)

    def _begin(self, fault: str, change: Change, name: str) -> None:
        """Begin a planned change. Raises UnsupportedError, ChangeError."""
        if self.planned is None:
            raise UnsupportedError(f"{name} offers no planned changes")
        self._journal.write("inject", fault=fault, what=CHANGE, target=name)
        self._active[fault] = change
        self.planned.begin(change)

    def _take_back(self, fault: str, change: Change) -> None:
        assert self.planned is not None
        self.planned.take_back(change)
        self._active.pop(fault)
        self._journal.write("heal", fault=fault)
