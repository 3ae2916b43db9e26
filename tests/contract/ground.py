"""What the contract of the fault kinds is played on: a running system with a trickle of work through it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from experiment.controls import Controls
from runtimes.http_calls import CallError, call
from runtimes.processes.runtime import ProcessesRuntime
from runtimes.runtime import Runtime


class Ground(Protocol):
    """The stand-in system `front -> back` with stores, on any runtime, in its own kind of time (seconds)."""

    def controls(self) -> Controls: ...
    def unhealed(self) -> Iterable[str]: ...  # what still acts, when the system is read back
    def heal(self) -> None: ...  # whatever was done to it and not healed
    def now(self) -> float: ...
    def wait(self, seconds: float) -> None: ...
    def serves(self, deadline_s: float) -> bool: ...  # whether a client's work is done, front door on


@dataclass(frozen=True, slots=True)
class LiveGround:
    """The system as processes or containers, in real time."""

    runtime: Runtime

    def controls(self) -> Controls:
        return self.runtime.controls()

    def unhealed(self) -> Iterable[str]:
        return self.runtime.unhealed()

    def heal(self) -> None:
        self.runtime.heal()

    def now(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def serves(self, deadline_s: float) -> bool:
        return call(self.runtime.address("front"), "POST", "/work", b"", deadline_s=deadline_s).status == 200

    def work(self, stop: threading.Event) -> None:
        """Ask for work all the time, whatever becomes of it, until `stop` is set."""
        while not stop.wait(0.02):
            try:
                call(self.runtime.address("front"), "POST", "/work", b"", deadline_s=1.0)
            except CallError:
                continue

    def hang_toxiproxy(self) -> None:
        """From now on the server takes calls and answers none."""
        if isinstance(self.runtime, ProcessesRuntime):
            server = self.runtime._toxiproxy
            assert server is not None and server.pid is not None
            os.kill(server.pid, signal.SIGSTOP)
            return
        engine, built = self.runtime._running()  # type: ignore[attr-defined]
        engine.pause(built.layout.container("toxiproxy"))
