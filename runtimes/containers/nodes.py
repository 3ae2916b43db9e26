"""What can be done to one container of the system, undone, and measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from math import nan
from pathlib import Path
from typing import Literal

from experiment.controls import (
    CpuLimit,
    Crash,
    Disconnect,
    FillDisk,
    NodeAction,
    NodeProbe,
    OutOfMemory,
    Pause,
    SkewClock,
    capability,
)
from experiment.errors import UnsupportedError
from runtimes.containers.engine import Engine
from runtimes.containers.layout import SERVICE_USER
from runtimes.containers.parts import ContainerPart, last_words, wait_until_ready
from runtimes.containers.squeeze import squeeze_memory
from runtimes.containers.toolbox import Toolbox
from runtimes.containers.watch import stopped
from runtimes.held_nodes import HeldNode
from runtimes.http_calls import CallError, call
from runtimes.leftovers import Journal
from runtimes.planned_changes import CHANGE, GAUGE, PlannedChanges
from runtimes.private_places import hand_over

ANY = frozenset(map(capability, (Crash, Pause, CpuLimit, Disconnect)))
ONLY_SERVICES = frozenset({*map(capability, (OutOfMemory, SkewClock)), CHANGE})
ONLY_STORES = frozenset({capability(FillDisk)})
HOLDING = (Crash, Pause, Disconnect, OutOfMemory)  # while one of these acts, the part does not answer
READY_WITHIN_S = 30.0
SETTLE_S = 3.0  # a changed clock file is read again within a second
WORK = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done"  # about 0.1 s of one core

State = Literal["running", "paused", "absent"]


class ContainerNode(HeldNode):
    """One part of the system. A restart keeps address, configuration and files."""

    def __init__(
        self,
        part: ContainerPart,
        engine: Engine,
        toolbox: Toolbox,
        clock: Path | None,
        journal: Journal,
        planned: PlannedChanges | None = None,
    ) -> None:
        """`clock` is the file that moves a service's wall clock; None for what has none."""
        self.part = part
        self._engine = engine
        self._toolbox = toolbox
        self._clock = clock
        super().__init__(journal, planned)
        self._held_back_s = 0.0

    @property
    def name(self) -> str:
        return self.part.name

    @property
    def container(self) -> str:
        return self.part.spec.name

    @property
    def capabilities(self) -> frozenset[str]:
        if self.part.is_store:
            return ANY | ONLY_STORES
        missing = {capability(SkewClock)} if self._clock is None else set()
        if self.planned is None or not self.planned.names:
            missing.add(CHANGE)
        return ANY | (ONLY_SERVICES - missing)

    # -- doing ------------------------------

    def act(self, fault: str, action: NodeAction) -> None:
        """Do it; nothing happens when the fault is active already. Raises UnsupportedError, EngineError."""
        kind = capability(type(action))
        if kind not in self.capabilities:
            able = ", ".join(sorted(self.capabilities))
            raise UnsupportedError(f"containers cannot do {kind} to {self.name}; they can: {able}")
        self._apply(fault, action, self.name, self._do)

    def _do(self, action: NodeAction) -> None:
        match action:
            case Crash():
                self._engine.kill(self.container)
            case Pause():
                if self.state == "running":
                    self._engine.pause(self.container)
            case CpuLimit(cores):
                self._engine.limit_cpu(self.container, cores)
            case Disconnect():
                for network in self._places().keys() & self._joined():
                    self._engine.disconnect(network, self.container)
            case OutOfMemory():
                squeeze_memory(self._engine, self.container)
            case FillDisk():
                self._toolbox.fill(self.name)
            case SkewClock(offset_s):
                self._set_clock(offset_s)

    def _undo(self, action: NodeAction, others: Sequence[NodeAction]) -> None:
        self._lift(action)
        if not any(isinstance(one, HOLDING) for one in others):
            self._ready()

    def _lift(self, action: NodeAction) -> None:
        match action:
            case Pause():
                self._unpause()
            case CpuLimit():
                self._engine.limit_cpu(self.container, None)
            case Disconnect():
                self._reconnect()
            case FillDisk():
                self._toolbox.empty(self.name)
                self._start()  # a store that lost its disk may have given up
            case SkewClock():
                self._set_clock(0.0)
            case Crash() | OutOfMemory():
                self._engine.limit_memory(self.container, self.part.spec.memory_bytes)
                self._start()

    def revive(self) -> None:
        """Whatever was done to it: it runs as it should when this returns. Raises StartError."""
        with self._lock, self._held_down():
            state = self._engine.state(self.container)
            if state.status == "paused":
                self._unpause()
            if stopped(state):
                self._engine.resume(self.container)
            if state.cpu_quota_us > 0:
                self._engine.limit_cpu(self.container, None)
            if state.memory_bytes != self.part.spec.memory_bytes:
                self._engine.limit_memory(self.container, self.part.spec.memory_bytes)
            if self._clock is not None:
                self._set_clock(0.0)
            if self.part.is_store:
                self._toolbox.empty(self.name)
            self._reconnect()
            self._start()
            self._ready()

    def restart(self) -> None:
        """Stop it if it runs, start it again, return when it is ready. Raises StartError."""
        with self._lock, self._held_down():
            self._engine.stop(self.container, 3)
            self._start()
            self._ready()

    def renew(self, part: ContainerPart) -> None:
        """Another container at the same address, with other variables; returns when it is ready. Raises
        StartError, EngineError."""
        with self._lock, self._held_down():
            self._engine.remove(self.container)
            self.part = part
            self._engine.create(part.spec)
            self._start()
            self._ready()

    def _start(self) -> None:
        if self._engine.state(self.container).status in ("exited", "created"):
            self._engine.start(self.container)

    def _unpause(self) -> None:
        if self._engine.state(self.container).status == "paused":
            self._engine.unpause(self.container)

    def _reconnect(self) -> None:
        joined = self._joined()
        for network, address in self._places().items():
            if network not in joined:
                self._engine.connect(network, self.container, address)

    def _places(self) -> dict[str, str]:
        """Its networks, with its address in each."""
        return {self.part.spec.network: self.part.address.host, **dict(self.part.spec.joins)}

    def _joined(self) -> set[str]:
        return set(self._engine.state(self.container).networks)

    def _set_clock(self, offset_s: float) -> None:
        """Replaced in one step: the service never reads half a line."""
        assert self._clock is not None
        partial = self._clock.with_suffix(".new")
        partial.write_text(f"{offset_s:+.3f}\n")
        hand_over(partial, SERVICE_USER)
        partial.replace(self._clock)

    def _ready(self) -> None:
        wait_until_ready(self._engine, self.part, time.monotonic() + READY_WITHIN_S)

    # -- measuring ------------------------------

    def remains(self) -> list[str]:
        """What of any fault is still there, besides its state; one phrase each."""
        state = self._engine.state(self.container)
        clock = self._clock.read_text().strip() if self._clock is not None else "+0"
        found = {
            "its CPU is limited": state.cpu_quota_us > 0,
            "its memory limit is not its own": state.memory_bytes != self.part.spec.memory_bytes,
            "it is cut off from the network": not self._places().keys() <= set(state.networks),
            f"its clock is moved by {clock} s": float(clock) != 0,
        }
        return [phrase for phrase, true in found.items() if true]

    @property
    def state(self) -> State:
        """running, paused (by the engine or by a signal) or absent."""
        found = self._engine.state(self.container)
        if found.status == "paused" or stopped(found):
            return "paused"
        return "running" if found.status == "running" else "absent"

    @property
    def last_words(self) -> str:
        """How it ended, and the last lines of its log."""
        return last_words(self._engine, self.container)

    def probe(self, deadline_s: float) -> NodeProbe:
        """State from the engine, sign of life within the deadline."""
        found = self._engine.state(self.container)
        state: State = "paused" if found.status == "paused" else "absent"
        if found.status == "running":
            state = "running"
        start = time.monotonic()
        answers = state != "absent" and self.part.answers(deadline_s)
        seconds = time.monotonic() - start if answers else None
        return NodeProbe(state, answers, seconds, f"{found.pid}/{found.started_at}")

    def gauge(self, name: str) -> float:
        """One figure that a fault judges by; see GAUGES. Raises EngineError, UnsupportedError."""
        if name.startswith(GAUGE) and self.planned is not None:
            return self.planned.figure(name)
        if name not in GAUGES:
            raise UnsupportedError(f"containers have no gauge {name}; they have {', '.join(sorted(GAUGES))}")
        return GAUGES[name](self)

    def work_s(self) -> float:
        """How long a fixed piece of work (about 0.1 s of a core) takes inside the container."""
        held_back_s = self._engine.held_back_s(self.container)
        start = time.monotonic()
        self._engine.run(self.container, ("sh", "-c", WORK))
        took_s = time.monotonic() - start
        self._held_back_s = self._engine.held_back_s(self.container) - held_back_s
        return took_s

    def work_held_back_s(self) -> float:
        """For how long the kernel kept the container from the CPU during the last piece of work."""
        return self._held_back_s

    def cpu_limit(self) -> float:
        """Cores allowed; 0 means no limit."""
        return max(0, self._engine.state(self.container).cpu_quota_us) / 100_000

    def oom_killed(self) -> float:
        """1 when the kernel ended it for want of memory."""
        return float(self._engine.state(self.container).oom_killed)

    def connected(self) -> float:
        """1 while it is on all of its networks."""
        return float(self._places().keys() <= self._joined())

    def disk_free_bytes(self) -> float:
        return float(self._toolbox.free_bytes(self.name))

    def disk_takes_writes(self) -> float:
        return float(self._toolbox.takes_writes(self.name))

    def clock_offset_s(self) -> float:
        """The service's wall clock minus ours, as it tells the time itself."""
        try:
            before = time.time()
            told = call(self.part.address, "GET", "/metrics", deadline_s=SETTLE_S).json()["unix_time"]
            return float(told) - (before + time.time()) / 2
        except CallError:
            return nan  # it tells no time at all
        except KeyError:
            raise UnsupportedError(f"{self.name} does not tell its time in GET /metrics") from None


GAUGES: dict[str, Callable[[ContainerNode], float]] = {
    "work_s": ContainerNode.work_s,
    "work_held_back_s": ContainerNode.work_held_back_s,
    "cpu_limit": ContainerNode.cpu_limit,
    "oom_killed": ContainerNode.oom_killed,
    "connected": ContainerNode.connected,
    "disk_free_bytes": ContainerNode.disk_free_bytes,
    "disk_takes_writes": ContainerNode.disk_takes_writes,
    "clock_offset_s": ContainerNode.clock_offset_s,
}
