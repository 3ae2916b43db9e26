"""Toxiproxy servers for the tests: the embedded one, and the real one where it is installed."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator

import pytest

from runtimes.links.servers import RunningToxiproxy, ServerChoice, find_server, start_server

Start = Callable[..., RunningToxiproxy]


def embedded_choice(*arguments: str) -> ServerChoice:
    """The embedded server, with options."""
    return ServerChoice("embedded", "tested", argv=(sys.executable, "-m", "runtimes.toxiproxy", *arguments))


def real_choice(*arguments: str) -> ServerChoice:
    """The real server, with options; skips the test where there is none."""
    choice = find_server()
    if choice.kind != "real":
        why = (
            "was not built, although Go is here: make toxiproxy"
            if shutil.which("go")
            else "is not on this machine"
        )
        pytest.skip(f"the real toxiproxy-server {why}")
    return ServerChoice("real", choice.reason, argv=(*choice.argv, *arguments))


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts servers that end with the session: `start(kind, *options, seed=...)`."""
    running: list[RunningToxiproxy] = []

    def start_one(kind: str, *arguments: str, seed: int | None = None) -> RunningToxiproxy:
        choice = embedded_choice(*arguments) if kind == "embedded" else real_choice(*arguments)
        server = start_server(choice, folder=tmp_path_factory.mktemp(kind), seed=seed, deadline_s=20)
        running.append(server)
        return server

    yield start_one
    for server in running:
        server.stop()


@pytest.fixture(scope="session")
def embedded(start: Start) -> RunningToxiproxy:
    """One embedded server for all tests that do not need one of their own."""
    return start("embedded", "-proxy-metrics")


@pytest.fixture(scope="session")
def real(start: Start) -> RunningToxiproxy:
    """One real server for all tests."""
    return start("real", "-proxy-metrics")


@pytest.fixture(scope="session", params=["embedded", "real"])
def server(request: pytest.FixtureRequest) -> RunningToxiproxy:
    """Each server in turn: what holds for one is to hold for the other."""
    found: RunningToxiproxy = request.getfixturevalue(request.param)
    return found
