"""Runtimes under contract. Another runtime joins by a line in OPENERS."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from experiment.topology import System
from runtimes.links.servers import find_server
from runtimes.processes.runtime import ProcessesRuntime
from runtimes.runtime import Runtime
from tests.contract.ground import Ground, LiveGround
from tests.contract.twin_ground import twin_ground
from tests.standin.containers import require_engine, standin_image
from tests.standin.folders import open_folder
from tests.standin.systems import pair, settings

REFUSED = "refused"  # the property of a test's report that names what a runtime refused


@contextmanager
def _live(make: Callable[[System, Path], Runtime], server: str | None) -> Iterator[Ground]:
    """The system started, with a client at work; `server` overrides which Toxiproxy server is taken."""
    system, stop = pair(stores=True), threading.Event()
    with open_folder() as var:
        runtime = make(system, var)
        ground = LiveGround(runtime)
        with pytest.MonkeyPatch.context() as patch:
            if server is not None:
                patch.setenv("TOXIPROXY_SERVER", server)
            runtime.start(settings(system))
        client = threading.Thread(target=ground.work, args=(stop,), daemon=True)
        client.start()
        try:
            yield ground
        finally:
            stop.set()
            client.join(10)
            runtime.stop()


def _containers() -> AbstractContextManager[Ground]:
    from runtimes.containers.runtime import ContainersRuntime

    require_engine()
    return _live(lambda system, var: ContainersRuntime(system, var, standin_image()), None)


def _twin() -> AbstractContextManager[Ground]:
    system = pair(stores=True)
    return twin_ground(system, settings(system))


OPENERS: dict[str, Callable[[], AbstractContextManager[Ground]]] = {
    "containers": _containers,
    "processes": lambda: _live(ProcessesRuntime, "embedded"),
    "processes with the real Toxiproxy": lambda: _live(ProcessesRuntime, None),
    "simulation": _twin,
}
if find_server().kind != "real":
    del OPENERS["processes with the real Toxiproxy"]
MARKS = {"containers": [pytest.mark.live, pytest.mark.docker], "simulation": []}
EVERY = [pytest.param(name, marks=MARKS.get(name, [pytest.mark.live])) for name in OPENERS]
LIVE = [case for case in EVERY if case.values != ("simulation",)]


@pytest.fixture(scope="session", params=EVERY)
def ground(request: pytest.FixtureRequest) -> Iterator[Ground]:
    """One system for all tests of the contract: each heals what it injects, and is checked for it."""
    with OPENERS[request.param]() as opened:
        yield opened


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which kinds a runtime refused: such a test passes, and must not read as if the fault had acted."""
    refused = sorted(
        str(value)
        for report in terminalreporter.getreports("passed")
        if report.when == "call"
        for name, value in report.user_properties
        if name == REFUSED
    )
    if refused:
        terminalreporter.section("faults that a runtime refused by name")
        for line in refused:
            terminalreporter.line(line)
