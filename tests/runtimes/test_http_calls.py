"""Short calls of the harness end within their deadline, whatever the other side does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from runtimes.http_calls import CallError, call
from runtimes.loopback import HOST, free_port
from runtimes.runtime import Address


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Something that listens; what it says is each test's own."""
    with socket.create_server((HOST, 0)) as server:
        yield server


def address(server: socket.socket) -> Address:
    return Address(HOST, server.getsockname()[1])


def answer(server: socket.socket, content: bytes) -> list[bytes]:
    """Answer one connection in a thread; the request is in the list when it was read."""
    read: list[bytes] = []

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            read.append(connection.recv(65_536))
            connection.sendall(content)

    threading.Thread(target=serve, daemon=True).start()
    return read


def test_an_answer_has_status_and_body(listener: socket.socket) -> None:
    """Every call says that it comes from the harness, so that services can leave it out of their counts."""
    read = answer(listener, b'HTTP/1.1 503 Busy\r\ncontent-length: 10\r\n\r\n{"a": "b"}')
    found = call(address(listener), "POST", "/admin", b"{}", deadline_s=5)
    assert (found.status, found.json()) == (503, {"a": "b"})
    assert b"x-caller: harness" in read[0]


def test_silence_ends_with_the_deadline(listener: socket.socket) -> None:
    """A service that accepts and says nothing costs no more than the deadline."""
    with pytest.raises(CallError, match=r"GET http://127.0.0.1:\d+/health: timed out"):
        call(address(listener), "GET", "/health", deadline_s=0.1)


def test_a_cut_or_garbled_answer_is_no_answer(listener: socket.socket) -> None:
    """Half an answer is reported as such, not taken for a whole one."""
    answer(listener, b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
    with pytest.raises(CallError, match="IncompleteRead"):
        call(address(listener), "GET", "/records", deadline_s=5)
    answer(listener, b"nonsense\r\n\r\n")
    with pytest.raises(CallError, match="nonsense"):
        call(address(listener), "GET", "/records", deadline_s=5)


def test_a_refused_call_says_so() -> None:
    """Nobody listens there."""
    with pytest.raises(CallError, match="refused"):
        call(Address(HOST, free_port()), "GET", "/health", deadline_s=1)


def test_a_proxy_in_the_environment_is_not_asked(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls go to loopback, not to what HTTP_PROXY names."""
    monkeypatch.setenv("http_proxy", f"http://{HOST}:{free_port()}")
    answer(listener, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    assert call(address(listener), "GET", "/health", deadline_s=5).status == 200
