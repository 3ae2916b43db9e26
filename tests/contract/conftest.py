"""Runtimes under contract. Another runtime joins by a line in OPENERS."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from experiment.topology import System
from runtimes.http_calls import CallError, call
from runtimes.links.servers import find_server
from runtimes.processes.runtime import ProcessesRuntime
from runtimes.runtime import Runtime
from tests.standin.containers import require_engine, standin_image
from tests.standin.folders import open_folder
from tests.standin.systems import pair, settings

EMBEDDED = {"TOXIPROXY_SERVER": "embedded"}


def _containers(system: System, var: Path) -> Runtime:
    from runtimes.containers.runtime import ContainersRuntime

    return ContainersRuntime(system, var, standin_image())


# Name -> what opens the runtime, and the environment it is opened in.
OPENERS: dict[str, tuple[Callable[[System, Path], Runtime], dict[str, str]]] = {
    "processes": (ProcessesRuntime, EMBEDDED),
    "containers": (_containers, {}),
}
if find_server().kind == "real":
    OPENERS["processes with the real Toxiproxy"] = (ProcessesRuntime, {})


@dataclass(frozen=True, slots=True)
class Ground:
    """A running stand-in system, `front -> back` with stores, and a trickle of work through it."""

    runtime: Runtime
    stop_work: threading.Event

    def hang_toxiproxy(self) -> None:
        """From now on the server takes calls and answers none."""
        if isinstance(self.runtime, ProcessesRuntime):
            server = self.runtime._toxiproxy
            assert server is not None and server.pid is not None
            os.kill(server.pid, signal.SIGSTOP)
            return
        engine, built = self.runtime._running()  # type: ignore[attr-defined]
        engine.pause(built.layout.container("toxiproxy"))


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(name, marks=[pytest.mark.docker] * (name == "containers")) for name in sorted(OPENERS)
    ],
)
def ground(request: pytest.FixtureRequest) -> Iterator[Ground]:
    """One system for all tests of the contract: each heals what it injects, and is checked for it."""
    if request.param == "containers":
        require_engine()
    system = pair(stores=True)
    opener, environment = OPENERS[request.param]
    with open_folder() as var:
        runtime = opener(system, var)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            runtime.start(settings(system))
        stop = threading.Event()
        worker = threading.Thread(target=_work, args=(runtime, stop), daemon=True)
        worker.start()
        try:
            yield Ground(runtime, stop)
        finally:
            stop.set()
            worker.join(10)
            runtime.stop()


def _work(runtime: Runtime, stop: threading.Event) -> None:
    while not stop.wait(0.02):
        try:
            call(runtime.address("front"), "POST", "/work", b"", deadline_s=1.0)
        except CallError:
            continue
