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
from runtimes.links.adapter import Toxiproxy, ToxiproxyRefused
from runtimes.links.servers import BINARY, ServerChoice, find_server, start_server, tell_version
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
    named = str(program(tmp_path / "somewhere" / "server", "#!/bin/sh\n"))
    monkeypatch.setenv("TOXIPROXY_SERVER", named)
    assert find_server() == ServerChoice("real", "TOXIPROXY_SERVER is set", argv=(named,))
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
    "url",
    [
        "127.0.0.1:8474",
        "http://127.0.0.1",
        "http://127.0.0.1:bad",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:0",
        "https://127.0.0.1:1",
        "http://127.0.0.1:1/path",
        "http://[::1:1",
        " ",
    ],
)
def test_a_wrong_url_is_named(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """What TOXIPROXY_URL says, what it is to look like, and what to do."""
    monkeypatch.setenv("TOXIPROXY_URL", url)
    with pytest.raises(StartError) as error:
        find_server()
    assert f"TOXIPROXY_URL is {url!r}; expected http://HOST:PORT" in str(error.value)
    assert "unset it" in str(error.value)


def test_a_url_where_nobody_answers_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Doctor and a run say that no Toxiproxy is there."""
    url = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("TOXIPROXY_URL", url)
    for use in (
        lambda: tell_version(find_server(), 1),
        lambda: start_server(find_server(), folder=tmp_path, seed=None, deadline_s=1),
    ):
        with pytest.raises(StartError, match=f"TOXIPROXY_URL is {url}, but no Toxiproxy answers there"):
            use()


def test_the_brackets_of_an_ipv6_address_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL that is shown can be used."""
    monkeypatch.setenv("TOXIPROXY_URL", "http://[::1]:8474/")
    assert find_server().url == "http://[::1]:8474"


@pytest.mark.parametrize("named", ["/nonexistent", "/tmp", "relative-thing", "/etc/passwd"])
def test_a_setting_that_names_no_program_is_named(monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    """TOXIPROXY_SERVER may lead nowhere: the error says what was found, expected, and what to do."""
    monkeypatch.delenv("TOXIPROXY_URL", raising=False)
    monkeypatch.setenv("TOXIPROXY_SERVER", named)
    with pytest.raises(StartError) as error:
        find_server()
    assert f"TOXIPROXY_SERVER is {named!r}" in str(error.value)
    assert "expected the path of a toxiproxy-server, or the word 'embedded'; unset it" in str(error.value)


@pytest.mark.parametrize(
    ("script", "shown"), [("echo hello; exit 3", "gave 'hello'"), ("exec sleep 60", "gave nothing within")]
)
def test_a_program_that_is_no_toxiproxy_is_found_out(tmp_path: Path, script: str, shown: str) -> None:
    """Whoever names a program is told when it is another one."""
    other = program(tmp_path / "other", f"#!/bin/sh\n{script}\n")
    with pytest.raises(StartError, match=f"is not Toxiproxy: .*{shown}"):
        tell_version(ServerChoice("real", "tested", argv=(str(other),)), 1)


def test_the_version_is_told_without_a_start() -> None:
    """The embedded server tells the version that it is compatible with."""
    assert tell_version(EMBEDDED, 20) == "2.12.0"


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
    with pytest.raises(StartError, match="is not ready: running; last seen: it does not listen yet"):
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


def test_the_embedded_server_takes_calls_with_its_token_only(tmp_path: Path) -> None:
    """Every path asks for it, known or not, and its command line does not show it."""
    running = start_server(EMBEDDED, folder=tmp_path, seed=None, deadline_s=20, token="only for us")
    try:
        ours = Toxiproxy(running.host, running.port, token=running.token)
        ours.create_proxy("one", listen="127.0.0.1:0", upstream="127.0.0.1:9")
        for token in ("", "a guess", "only for us!"):
            stranger = Toxiproxy(running.host, running.port, token=token)
            for call in (
                stranger.reset,
                stranger.version,
                stranger.proxies,
                lambda s=stranger: s.delete_proxy("one"),
            ):
                with pytest.raises(ToxiproxyRefused) as refused:
                    call()
                assert refused.value.status == 401
            with pytest.raises(ToxiproxyRefused) as refused:
                stranger.send("GET", "/no/such/path")
            assert refused.value.status == 401
        assert set(ours.proxies()) == {"one"}
        shown = Path(f"/proc/{running.pid}/cmdline").read_bytes() + (tmp_path / "toxiproxy.log").read_bytes()
        assert b"only for us" not in shown
        running.replace(20)
        assert ours.version() == running.version
    finally:
        running.stop()
