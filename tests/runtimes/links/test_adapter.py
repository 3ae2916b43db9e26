"""The adapter drives any Toxiproxy with deadlines, checks what it did, and says what was answered."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from runtimes.links.adapter import (
    Toxiproxy,
    ToxiproxyHung,
    ToxiproxyRefused,
    ToxiproxyUnreachable,
)
from runtimes.links.servers import ROOT, RunningToxiproxy, start_server
from tests.runtimes.toxiproxy.conftest import embedded_choice, real_choice

UPSTREAM = "127.0.0.1:9"


@pytest.fixture(scope="module", params=["embedded", "real"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningToxiproxy]:
    """Each kind of server that this machine has."""
    choice = embedded_choice() if request.param == "embedded" else real_choice()
    running = start_server(choice, folder=tmp_path_factory.mktemp("toxiproxy"), seed=1, deadline_s=20)
    yield running
    running.stop()


@pytest.fixture
def adapter(server: RunningToxiproxy) -> Iterator[Toxiproxy]:
    """An adapter of the server, which has no proxies before and after."""
    made = Toxiproxy(server.host, server.port, deadline_s=5)
    yield made
    for name in made.proxies():
        made.delete_proxy(name)


@contextmanager
def scripted(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that does `answer` with every connection after it has read something. Gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                client.recv(65_536)
                answer(client)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def test_a_proxy_is_created_changed_and_deleted(adapter: Toxiproxy) -> None:
    """Every change gives the state that was read back."""
    made = adapter.create_proxy("p", listen="127.0.0.1:0", upstream=UPSTREAM)
    assert (made.name, made.upstream, made.enabled, made.toxics) == ("p", UPSTREAM, True, ())
    assert made.listen == f"127.0.0.1:{made.port}"
    assert made.port > 0
    assert adapter.set_enabled("p", False).enabled is False
    assert adapter.set_enabled("p", True).enabled is True
    assert adapter.set_upstream("p", "127.0.0.1:10").upstream == "127.0.0.1:10"
    assert adapter.proxies() == {"p": adapter.proxy("p")}
    adapter.delete_proxy("p")
    assert adapter.proxies() == {}


def test_a_toxic_is_put_updated_in_place_and_removed(adapter: Toxiproxy) -> None:
    """A toxic keeps its place when it is updated; what is not named stays; another kind replaces it."""
    adapter.create_proxy("p", listen="127.0.0.1:0", upstream=UPSTREAM)
    first = adapter.put_toxic("p", "t", kind="latency", stream="upstream", attributes={"latency": 5})
    assert (first.kind, first.stream, dict(first.attributes)) == (
        "latency",
        "upstream",
        {"latency": 5, "jitter": 0},
    )
    adapter.put_toxic("p", "other", kind="noop", stream="upstream", attributes={})
    updated = adapter.put_toxic(
        "p", "t", kind="latency", stream="upstream", attributes={"jitter": 2}, toxicity=0.1
    )
    assert dict(updated.attributes) == {"latency": 5, "jitter": 2}
    assert [toxic.name for toxic in adapter.proxy("p").toxics] == ["t", "other"]
    replaced = adapter.put_toxic("p", "t", kind="timeout", stream="downstream", attributes={"timeout": 1})
    assert (replaced.kind, replaced.stream) == ("timeout", "downstream")
    adapter.remove_toxic("p", "t")
    assert [toxic.name for toxic in adapter.proxy("p").toxics] == ["other"]
    adapter.reset()
    assert adapter.proxy("p").toxics == ()


@pytest.mark.parametrize("name", ["a b", "caller -> callee", "100%?#&", "é", "x:1"])
def test_names_are_quoted(adapter: Toxiproxy, name: str) -> None:
    """Any name that the server can keep works in every call."""
    adapter.create_proxy(name, listen="127.0.0.1:0", upstream=UPSTREAM)
    adapter.put_toxic(name, name, kind="latency", stream="downstream", attributes={"latency": 1})
    adapter.put_toxic(name, name, kind="latency", stream="downstream", attributes={"latency": 2})
    assert [toxic.name for toxic in adapter.proxy(name).toxics] == [name]
    adapter.remove_toxic(name, name)
    adapter.set_enabled(name, False)
    adapter.delete_proxy(name)
    assert adapter.proxies() == {}


def test_an_error_says_what_was_sent_and_answered(adapter: Toxiproxy) -> None:
    """Every status that is no success is an error, whatever the client library makes of it."""
    adapter.create_proxy("p", listen="127.0.0.1:0", upstream=UPSTREAM)
    with pytest.raises(ToxiproxyRefused) as refused:
        adapter.put_toxic("p", "t", kind="latency", stream="sideways", attributes={})
    assert refused.value.status == 400
    assert "/proxies/p/toxics" in refused.value.sent
    assert "stream was invalid" in refused.value.answered
    with pytest.raises(ToxiproxyRefused) as refused:
        adapter.create_proxy("q", listen=adapter.proxy("p").listen, upstream=UPSTREAM)
    assert refused.value.status == 500
    assert "address already in use" in str(refused.value)
    with pytest.raises(ToxiproxyRefused) as refused:
        adapter.create_proxy("p", listen="127.0.0.1:0", upstream=UPSTREAM)
    assert refused.value.status == 409
    with pytest.raises(ToxiproxyRefused) as refused:
        adapter.delete_proxy("nobody")
    assert refused.value.status == 404


def test_the_environment_s_http_proxy_is_ignored(adapter: Toxiproxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy for the web is none for the machine's own ports."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert adapter.version()


def test_adapters_of_two_servers_work_at_once_in_threads(adapter: Toxiproxy, tmp_path: Path) -> None:
    """Each adapter talks to its own server, whatever the other threads do."""
    second_server = start_server(embedded_choice(), folder=tmp_path, seed=None, deadline_s=20)
    try:
        second = Toxiproxy(second_server.host, second_server.port, deadline_s=10)
        wrong: list[str] = []

        def work(one: Toxiproxy, name: str) -> None:
            for _ in range(10):
                state = one.create_proxy(name, listen="127.0.0.1:0", upstream=UPSTREAM)
                one.put_toxic(name, "t", kind="latency", stream="upstream", attributes={"latency": 1})
                if one.proxies().keys() != {name} or state.name != name:
                    wrong.append(f"{name}: {one.proxies()}")
                one.delete_proxy(name)

        threads = [threading.Thread(target=work, args=pair) for pair in ((adapter, "one"), (second, "two"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
    finally:
        second_server.stop()


def test_a_server_that_is_not_there_is_unreachable() -> None:
    """A refused connection is not a hang."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ToxiproxyUnreachable, match=r"GET http://127\.0\.0\.1:"):
        Toxiproxy("127.0.0.1", port).version()


@pytest.mark.parametrize("drop", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"])
def test_a_server_that_does_not_answer_hangs(drop: bytes) -> None:
    """Silence, before or within the answer, ends at the deadline."""
    held: list[socket.socket] = []

    def hold(client: socket.socket) -> None:
        client.sendall(drop)
        held.append(client)

    with scripted(hold) as port, pytest.raises(ToxiproxyHung, match=r"within 0\.2 s"):
        Toxiproxy("127.0.0.1", port, deadline_s=0.2).version()
    for client in held:
        client.close()


@pytest.mark.parametrize(
    "begins", [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: "]
)
def test_a_server_that_drips_hangs(begins: bytes) -> None:
    """An answer that comes byte by byte does not escape the deadline, in its body or in its headers."""

    def drip(client: socket.socket) -> None:
        try:
            client.sendall(begins)
            for _ in range(100):
                client.sendall(b" ")
                time.sleep(0.02)
        except OSError:
            pass
        client.close()

    with scripted(drip) as port, pytest.raises(ToxiproxyHung):
        Toxiproxy("127.0.0.1", port, deadline_s=0.2).version()


def test_what_is_no_answer_is_named() -> None:
    """Something else than HTTP, or half an answer, is a server that cannot be reached, with the reason."""
    for answer in (b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", b""):

        def say(client: socket.socket, answer: bytes = answer) -> None:
            client.sendall(answer)
            client.close()

        with scripted(say) as port, pytest.raises(ToxiproxyUnreachable, match="could not be sent GET"):
            Toxiproxy("127.0.0.1", port).version()


def test_a_server_on_ipv6_is_reached() -> None:
    """An IPv6 address has its brackets in the URL and none in the connection."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "runtimes.toxiproxy", "-host", "::1", "-port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        try:
            adapter = Toxiproxy("::1", port, deadline_s=5)
            end = time.monotonic() + 20
            while True:
                try:
                    assert adapter.version() == "2.12.0"
                    break
                except ToxiproxyUnreachable:
                    assert time.monotonic() < end
                    time.sleep(0.02)
            assert adapter.url == f"http://[::1]:{port}"
        finally:
            process.kill()


def test_a_server_that_lies_is_found_out() -> None:
    """A success whose effect is not there when it is read back is an error."""
    shown = b'{"name":"p","listen":"127.0.0.1:1","upstream":"u","enabled":true,"Logger":{},"toxics":[]}'

    def lie(client: socket.socket) -> None:
        client.sendall(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(shown), shown)
        )
        client.close()

    with scripted(lie) as port, pytest.raises(ToxiproxyRefused, match="enabled: False"):
        Toxiproxy("127.0.0.1", port).set_enabled("p", False)


def test_a_rebuild_that_fails_half_way_forgets_nothing(
    adapter: Toxiproxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that hangs once more costs a second rebuild, and no toxic and no disabled proxy."""
    for name in ("p", "q", "r"):
        adapter.create_proxy(name, listen="127.0.0.1:0", upstream=UPSTREAM)
        adapter.put_toxic(name, "slow", kind="latency", stream="upstream", attributes={"latency": 3})
        adapter.set_enabled(name, False)
    before = adapter.proxies()
    other = Toxiproxy(*adapter.url.removeprefix("http://").split(":"), deadline_s=5)  # type: ignore[arg-type]
    for name in before:
        other.delete_proxy(name)
    put, calls = adapter.put_toxic, itertools.count(1)

    def hang_at_the_second(*arguments: Any, **settings: Any) -> object:
        if next(calls) == 2:
            raise ToxiproxyHung("again")
        return put(*arguments, **settings)

    with monkeypatch.context() as patched:
        patched.setattr(adapter, "put_toxic", hang_at_the_second)
        with pytest.raises(ToxiproxyHung):
            adapter.rebuild()
    assert adapter.known == before
    adapter.rebuild()
    assert adapter.known == before
    assert other.proxies() == before


def test_a_hung_server_is_replaced_and_its_links_rebuilt(server: RunningToxiproxy) -> None:
    """A stopped process hangs; its replacement has the same proxies, ports, toxics and states."""
    adapter = Toxiproxy(server.host, server.port, deadline_s=5)
    for name in ("on", "off"):
        adapter.create_proxy(name, listen="127.0.0.1:0", upstream=UPSTREAM)
    adapter.put_toxic(
        "on", "slow", kind="latency", stream="upstream", attributes={"latency": 3}, toxicity=0.5
    )
    adapter.set_enabled("off", False)
    before = adapter.proxies()
    first_pid = server.pid
    assert first_pid is not None
    os.kill(first_pid, signal.SIGSTOP)
    end = time.monotonic() + 5
    tasks = list(Path(f"/proc/{first_pid}/task").iterdir())
    while any(b") T " not in (task / "stat").read_bytes() for task in tasks):  # threads stop one by one
        assert time.monotonic() < end, "the server does not stop"
        time.sleep(0.01)
    adapter.deadline_s = 0.3
    with pytest.raises(ToxiproxyHung):
        adapter.version()
    adapter.deadline_s = 5
    server.replace(20)
    adapter.rebuild()
    assert server.pid != first_pid
    assert server.replaced >= 1
    assert adapter.proxies() == before
    for name in before:
        adapter.delete_proxy(name)
