"""Crash and pause of one process of the system."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from experiment.controls import Crash, NodeAction, NodeProbe, Pause, capability
from experiment.errors import CleanupError, UnsupportedError
from runtimes.held_nodes import HeldNode
from runtimes.leftovers import Journal
from runtimes.planned_changes import GAUGE, PlannedChanges
from runtimes.processes.parts import CommandProcess, Part, ServiceProcess, wait_until_ready
from runtimes.spawning import Child
from runtimes.vitals import Wrong, wrong_with

ACTIONS = frozenset(map(capability, (Crash, Pause)))
RESTART_DEADLINE_S = 30.0
STOP_DEADLINE_S = 3.0
HOLD_DEADLINE_S = 0.5
EARLY_ENDS = 4  # so often a service may end before it was ever ready
PAUSE_S = 0.3
CODE = (ServiceProcess, CommandProcess)


class ProcessNode(HeldNode):
    """One service, store or bus as a process. A restart uses the same configuration and port."""

    def __init__(
        self, part: Part, child: Child, journal: Journal, planned: PlannedChanges | None = None
    ) -> None:
        self.part = part
        self.child = child
        super().__init__(journal, planned)
        self._starts = 1
        self._early_ends = 0

    @property
    def name(self) -> str:
        return self.part.name

    @property
    def capabilities(self) -> frozenset[str]:
        return ACTIONS | self.planned.capabilities if self.planned is not None else ACTIONS

    def act(self, fault: str, action: NodeAction) -> None:
        """Crash or pause it; nothing happens when the fault is active already. Raises UnsupportedError."""
        kind = capability(type(action))
        if kind not in self.capabilities:
            able = ", ".join(sorted(self.capabilities))
            raise UnsupportedError(f"the processes runtime cannot do {kind} to {self.name}; it can: {able}")
        self._apply(fault, action, self.name, self._do)

    def _do(self, action: NodeAction) -> None:
        if isinstance(action, Crash):
            self.child.kill()
        else:
            self._hold()

    def _undo(self, _action: NodeAction, _others: Sequence[NodeAction]) -> None:
        self.revive()

    def _hold(self) -> None:
        """SIGSTOP; the kernel needs a moment, in which nothing may be measured yet."""
        self.child.signal_family(signal.SIGSTOP)
        end = time.monotonic() + HOLD_DEADLINE_S
        while self.state == "running" and time.monotonic() < end:
            time.sleep(0.001)

    def revive(self) -> None:
        """Whatever was done to it: it runs again when this returns. Raises StartError."""
        with self._lock, self._held_down():
            if self.child.running:
                self.child.signal_family(signal.SIGCONT)
            else:
                self.restart()

    def restart(self) -> None:
        """End it if it runs, start it again, return when it is ready. Raises StartError."""
        with self._lock, self._held_down():
            self.child.stop(STOP_DEADLINE_S, self.part.stop_signal)
            self.child = self.part.start()
            self._starts += 1
            self._early_ends = 0
            end = time.monotonic() + RESTART_DEADLINE_S
            wait_until_ready([(self.part, self.child)], end, self.start_again)

    def start_again(self, _: str = "") -> Child | None:
        """Start a service once more that ended before it was ready, as its platform would: its database may
        not answer yet. None for what is not started so, or has died too often."""
        if not isinstance(self.part, CommandProcess) or self._early_ends >= EARLY_ENDS:
            return None
        self._early_ends += 1
        time.sleep(PAUSE_S * self._early_ends)
        self.child = self.part.start()
        return self.child

    def wrong(self) -> Wrong | None:
        """What happened to it; None while it runs."""
        return wrong_with(self.child)

    @property
    def state(self) -> str:
        """running, paused or absent, as the kernel says."""
        if not self.child.running:
            return "absent"
        return "paused" if self.child.stopped else "running"

    @property
    def last_words(self) -> str:
        """How it ended, and the last lines of its log."""
        return f"{self.child.status}; it said:\n{self.child.last_words()}"

    def gauge(self, name: str) -> float:
        """One figure that a fault judges by: how far a planned change is. Raises UnsupportedError."""
        if self.planned is None or not name.startswith(GAUGE):
            raise UnsupportedError(f"processes have no gauge {name} of {self.name}")
        return self.planned.figure(name)

    def probe(self, deadline_s: float) -> NodeProbe:
        """State from the kernel, sign of life within the deadline."""
        state = self.state
        start = time.monotonic()
        answers = state != "absent" and self.part.answers(deadline_s)
        seconds = time.monotonic() - start if answers else None
        identity = f"{self.child.pid}/{self._starts}"
        return NodeProbe(state, answers, seconds, identity)  # type: ignore[arg-type]


def stop_nodes(nodes: Sequence[ProcessNode], deadline_s: float) -> list[str]:
    """End them all at once, stores last: services say their last words to them. Returns what does not end."""
    problems: list[str] = []
    with ThreadPoolExecutor(max(1, len(nodes)), thread_name_prefix="stop") as pool:
        for stores in (False, True):
            group = [node for node in nodes if isinstance(node.part, CODE) is not stores]
            ending = [pool.submit(node.child.stop, deadline_s, node.part.stop_signal) for node in group]
            for done in ending:
                try:
                    done.result()
                except CleanupError as error:
                    problems.append(str(error))
    return problems
