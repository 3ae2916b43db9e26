"""Crash and pause of one part of a running system, and how it is brought back.

A container is killed and held by its engine, which starts it again. A process is killed and held by signals;
only where the system's file says by which command it starts can it be killed.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from experiment.attaching import AttachedService
from experiment.controls import Crash, NodeAction, NodeProbe, Pause, capability
from experiment.errors import StartError, UnsupportedError
from experiment.services import Endpoints
from runtimes.attach.lodgings import engine_at
from runtimes.attach.parts import Part
from runtimes.attach.undo import Touched, run_starts
from runtimes.held_nodes import HeldNode
from runtimes.leftovers import Journal, end_processes
from runtimes.links.adapter import Toxiproxy
from runtimes.links.conversations import Broken, NoAnswer, Opener, Spoken
from runtimes.owners import Identity, identify
from runtimes.signs import alive
from runtimes.vitals import Wrong

START_WITHIN_S = 30.0
HOLD_WITHIN_S = 0.5
SIGN_WITHIN_S = 1.0
POLL_S = 0.05
State = Literal["running", "paused", "absent"]


def able(part: Part, said: AttachedService) -> frozenset[str]:
    """What can be done to a part and undone."""
    if part.process is None:
        return frozenset()
    kinds = (Pause, Crash) if part.lodging is not None or said.starts else (Pause,)
    return frozenset(map(capability, kinds))


def undone_by(part: Part, said: AttachedService, kind: str) -> str:
    """How a fault on a part ends, for people."""
    if part.lodging is not None:
        return f"docker {'start' if kind == capability(Crash) else 'unpause'} {part.lodging.name}"
    return said.starts if kind == capability(Crash) else "it is continued (SIGCONT)"


ProxyOf = Callable[[str], tuple[Toxiproxy, str]]


class Wired(Protocol):
    """What a node needs of the wiring: its part as it is now, and to be wired anew when it was started."""

    parts: dict[str, Part]

    def touch(self, one: Touched) -> None: ...
    def again(self, name: str, proxy: ProxyOf, start: Callable[[], None]) -> None: ...


class AttachedNode(HeldNode):
    """One service, store or bus that somebody else started."""

    def __init__(
        self,
        name: str,
        said: AttachedService,
        control: Endpoints,
        wired: Wired,
        proxy: ProxyOf,
        journal: Journal,
    ) -> None:
        """`proxy` gives the server of a link, and the name of its proxy there."""
        super().__init__(journal)
        self._name = name
        self._proxy = proxy
        self._said = said
        self._control = control
        self._wired = wired
        self._spoken = Spoken()
        self._answered = False  # before it was disturbed: one that never does is not waited for

    @property
    def name(self) -> str:
        return self._name

    @property
    def _part(self) -> Part:
        return self._wired.parts[self.name]

    @property
    def capabilities(self) -> frozenset[str]:
        return able(self._part, self._said)

    def act(self, fault: str, action: NodeAction) -> None:
        """Crash or pause it; nothing happens when the fault is active already. Raises UnsupportedError,
        StartError."""
        kind, part = capability(type(action)), self._part
        if kind not in self.capabilities or part.process is None:
            can = ", ".join(sorted(self.capabilities)) or "nothing"
            raise UnsupportedError(f"attach cannot do {kind} to {self.name}; it can: {can}")
        with self._lock:
            if fault in self._active:
                return
            self._answered = self._answers(part, SIGN_WITHIN_S)
            self._touch(part, kind)
            self._journal.write("inject", fault=fault, what=kind, target=self.name)
            self._active[fault] = action
            if part.lodging is not None:
                with engine_at() as engine:
                    done = engine.kill if isinstance(action, Crash) else engine.pause
                    done(part.lodging.name)
            elif isinstance(action, Crash):
                end_processes(_family(part))
            else:
                _signal(part, signal.SIGSTOP)
            self._await_end_of("running")

    def _touch(self, part: Part, kind: str) -> None:
        assert part.process is not None
        if part.lodging is not None:
            with engine_at() as engine:
                self._wired.touch(Touched("container", part.lodging.name, engine.url))
        elif kind == capability(Crash):
            self._wired.touch(Touched("start", self._said.starts, str(part.address)))
        else:
            for one in _family(part):
                self._wired.touch(Touched("process", str(one.pid), str(one.started_ticks)))

    def _await_end_of(self, state: State) -> None:
        """The kernel needs a moment, in which nothing may be measured yet."""
        end = time.monotonic() + HOLD_WITHIN_S
        while self.state == state and time.monotonic() < end:
            time.sleep(0.001)

    def _undo(self, _action: NodeAction, _others: Sequence[NodeAction]) -> None:
        self.revive()

    def revive(self) -> None:
        """Whatever was done to it: it runs and answers as before when this returns. Raises StartError."""
        with self._lock, self._held_down():
            state, part = self.state, self._part
            if state == "running":
                return
            if state == "absent":
                self._wired.again(self.name, self._proxy, self._start)
            elif part.lodging is not None:
                with engine_at() as engine:
                    engine.unpause(part.lodging.name)
            else:
                _signal(part, signal.SIGCONT)
            self._await_answer()

    def _start(self) -> None:
        part = self._part
        if part.lodging is not None:
            with engine_at() as engine:
                engine.start(part.lodging.name)
        elif self._said.starts:
            run_starts(self._said.starts)
        else:
            raise StartError(f"{self.name} is gone, and nothing says how it is started")

    def _await_answer(self) -> None:
        end = time.monotonic() + START_WITHIN_S
        while self._answered and not self.probe(SIGN_WITHIN_S).answers:
            if time.monotonic() > end:
                raise StartError(f"{self.name} does not answer: {self.last_words}")
            time.sleep(POLL_S)

    @property
    def state(self) -> State:
        """running, paused or absent, as the kernel and the engine say."""
        part = self._part
        if part.process is None:
            return "running"
        if not part.process.alive:
            return "absent"
        if part.lodging is not None and isinstance(next(iter(self._active.values()), None), Pause):
            with engine_at() as engine:
                return "paused" if engine.state(part.lodging.name).status == "paused" else "running"
        return "paused" if part.process.state == "T" else "running"

    def wrong(self) -> Wrong | None:
        """What happened to it that no fault did; None while it runs."""
        part = self._part
        if part.process is None or part.process.alive or self.is_held():
            return None
        return "died", f"process {part.process.pid} is gone"

    @property
    def last_words(self) -> str:
        """Its logs are its owner's."""
        return f"{self._part}; its logs are where its owner keeps them"

    def probe(self, deadline_s: float) -> NodeProbe:
        """State from the kernel, sign of life within the deadline."""
        state, part, start = self.state, self._part, time.monotonic()
        answers = state != "absent" and self._answers(part, deadline_s)
        seconds = time.monotonic() - start if answers else None
        return NodeProbe(state, answers, seconds, str(part.process))

    def _answers(self, part: Part, deadline_s: float) -> bool:
        """Its health, else any answer at all: a connection alone is the kernel's."""
        if self._control.health is not None:
            return alive(part.address, self._control, deadline_s)
        try:
            talk = Opener("tcp", part.address, spoken=self._spoken).open(deadline_s)
        except (NoAnswer, Broken):
            return False
        try:
            return talk.exchange(deadline_s) >= 0.0
        except (NoAnswer, Broken):
            return False
        finally:
            talk.close()

    def gauge(self, name: str) -> float:
        """Raises UnsupportedError: nothing is measured inside of it."""
        raise UnsupportedError(f"attach has no gauge {name} of {self.name}")


def _family(part: Part) -> list[Identity]:
    return [one for pid in part.pids if (one := identify(pid)) is not None]


def _signal(part: Part, number: signal.Signals) -> None:
    for one in _family(part):
        if one.alive:
            os.kill(one.pid, number)
