"""The right server is found and started, is ours when it answers, and leaves nothing behind."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import psutil
import pytest

from experiment.errors import StartError
from runtimes.links import servers as toxiproxy_servers
from runtimes.links.adapter import Toxiproxy
from runtimes.links.servers import BINARY, ServerChoice, find_server, start_server
from runtimes.loopback import free_port

EMBEDDED = ServerChoice("embedded", "tested", argv=(sys.executable, "-m", "runtimes.toxiproxy"))


def no_server(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """An environment without any Toxiproxy."""
    monkeypatch.delenv("TOXIPROXY_URL", raising=False)
    monkeypatch.delenv("TOXIPROXY_SERVER", raising=False)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(sys, "prefix", str(folder))


def program(path: Path, text: str) -> Path:
    """An executable script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_the_embedded_server_is_the_last_resort(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where nothing else is found, the embedded server is used, and the choice says so."""
    no_server(monkeypatch, tmp_path)
    choice = find_server()
    assert choice.kind == "embedded"
    assert choice.argv[1:] == ("-m", "runtimes.toxiproxy")
    assert "no toxiproxy-server was found" in str(choice)


def test_a_server_in_the_virtual_environment_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`make toxiproxy` puts it there; one on the PATH goes before."""
    no_server(monkeypatch, tmp_path / "path")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    built = program(tmp_path / "venv" / "bin" / BINARY, "#!/bin/sh\n")
    assert find_server() == ServerChoice(
        "real", f"{BINARY} is in the virtual environment", argv=(str(built),)
    )
    installed = program(tmp_path / "path" / BINARY, "#!/bin/sh\n")
    assert find_server() == ServerChoice("real", f"{BINARY} is on the PATH", argv=(str(installed),))


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """TOXIPROXY_SERVER names a program or `embedded`; TOXIPROXY_URL, a server that runs, goes before all."""
    no_server(monkeypatch, tmp_path)
    monkeypatch.setenv("TOXIPROXY_SERVER", "/somewhere/server")
    assert find_server() == ServerChoice("real", "TOXIPROXY_SERVER is set", argv=("/somewhere/server",))
    monkeypatch.setenv("TOXIPROXY_SERVER", "embedded")
    assert find_server().kind == "embedded"
    monkeypatch.setenv("TOXIPROXY_URL", "http://127.0.0.1:1/")
    assert find_server() == ServerChoice("external", "TOXIPROXY_URL is set", url="http://127.0.0.1:1")


def test_a_started_server_is_a_process_of_ours(tmp_path: Path) -> None:
    """It answers, its pid listens on its port, its log is in the folder; stopped, it leaves only the log."""
    running = start_server(EMBEDDED, folder=tmp_path, seed=5, deadline_s=20)
    try:
        assert running.label == "embedded 2.12.0"
        assert running.pid is not None
        process = psutil.Process(running.pid)
        listening = [
            one.laddr.port for one in process.net_connections("tcp") if one.status == psutil.CONN_LISTEN
        ]
        assert listening == [running.port]
        assert Toxiproxy(running.host, running.port).version() == running.version
        assert '"seed": 5' in (tmp_path / "toxiproxy.log").read_text()
    finally:
        running.stop()
    assert not psutil.pid_exists(running.pid) or psutil.Process(running.pid).status() == psutil.STATUS_ZOMBIE
    assert [path.name for path in tmp_path.iterdir()] == ["toxiproxy.log"]


def test_an_external_server_is_used_and_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A server named by TOXIPROXY_URL is neither started nor stopped nor replaced."""
    mine = start_server(EMBEDDED, folder=tmp_path, seed=None, deadline_s=20)
    try:
        monkeypatch.setenv("TOXIPROXY_URL", mine.url.replace("127.0.0.1", "localhost"))
        external = start_server(find_server(), folder=tmp_path, seed=None, deadline_s=5)
        assert (external.kind, external.pid, external.host) == ("external", None, "127.0.0.1")
        external.stop()
        with pytest.raises(StartError, match="not ours to replace"):
            external.replace(1)
        assert Toxiproxy(mine.host, mine.port).version() == "2.12.0"
    finally:
        mine.stop()


@pytest.mark.parametrize(
    ("url", "reason"),
    [("127.0.0.1:8474", "expected http://HOST:PORT"), ("http://127.0.0.1:1", "no Toxiproxy answers there")],
)
def test_a_wrong_url_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str, reason: str) -> None:
    """What TOXIPROXY_URL says, and what is wrong with it."""
    monkeypatch.setenv("TOXIPROXY_URL", url)
    with pytest.raises(StartError) as error:
        start_server(find_server(), folder=tmp_path, seed=None, deadline_s=1)
    assert url in str(error.value)
    assert reason in str(error.value)


def test_a_server_that_dies_shows_its_last_words(tmp_path: Path) -> None:
    """The error has the status and the last log lines; no process and no journal is left."""
    dying = program(tmp_path / "bin" / "dying", "#!/bin/sh\necho 'out of cheese' >&2\nexit 3\n")
    folder = tmp_path / "run"
    folder.mkdir()
    with pytest.raises(StartError) as error:
        start_server(
            ServerChoice("real", "tested", argv=(str(dying),)), folder=folder, seed=None, deadline_s=10
        )
    assert "ended with exit status 3" in str(error.value)
    assert "out of cheese" in str(error.value)
    assert [path.name for path in folder.iterdir()] == ["toxiproxy.log"]


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    """TOXIPROXY_SERVER may lead nowhere."""
    with pytest.raises(StartError, match="nowhere"):
        start_server(
            ServerChoice("real", "tested", argv=("/nowhere/server",)),
            folder=tmp_path,
            seed=None,
            deadline_s=5,
        )


def test_a_silent_server_is_given_up_at_the_deadline(tmp_path: Path) -> None:
    """A process that never answers is ended, and the error says what was seen last."""
    silent = program(tmp_path / "bin" / "silent", "#!/bin/sh\nexec sleep 60\n")
    folder = tmp_path / "run"
    folder.mkdir()
    with pytest.raises(StartError, match="is not ready: running; last seen: Toxiproxy could not be sent"):
        start_server(
            ServerChoice("real", "tested", argv=(str(silent),)), folder=folder, seed=None, deadline_s=0.5
        )


def test_another_server_on_the_port_is_not_taken_for_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """When the port is taken between choosing and starting, the next one is tried."""
    mine = start_server(EMBEDDED, folder=tmp_path, seed=None, deadline_s=20)
    stays = program(tmp_path / "bin" / "stays", "#!/bin/sh\nexec sleep 60\n")
    ports = iter([mine.port] * toxiproxy_servers.MOST_PORTS_TRIED)
    monkeypatch.setattr(toxiproxy_servers, "free_port", lambda: next(ports))
    try:
        with pytest.raises(StartError, match="taken by another process"):
            start_server(
                ServerChoice("real", "tested", argv=(str(stays),)), folder=tmp_path, seed=None, deadline_s=20
            )
    finally:
        mine.stop()


def test_free_ports_are_really_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A taken port costs one attempt: the server comes up on the next."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter([taken.getsockname()[1]])
        monkeypatch.setattr(toxiproxy_servers, "free_port", lambda: next(ports, None) or free_port())
        running = start_server(EMBEDDED, folder=tmp_path, seed=None, deadline_s=20)
        running.stop()
    assert os.getpid() != running.pid
