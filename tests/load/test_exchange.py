"""One exchange over a real socket: what a client sees of every way to fail."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from experiment.requests import Request
from load.exchange import Answer, Endpoint, NoAnswer
from tests.load.local_system import Respond, Say, local_system, refused_address

POST = Request("POST", "/claims", {"content-type": "application/json"}, b"{}")
GET = Request("GET", "/worklist/rx-1", {})


@contextmanager
def endpoint(base: str) -> Iterator[Endpoint]:
    made = Endpoint(base)
    try:
        yield made
    finally:
        made.close()


def seen(respond: Respond, timeout_s: float = 2.0, request: Request = POST) -> str:
    with local_system(respond) as system, endpoint(system.base) as end:
        answer = end.exchange(request, timeout_s)
        assert isinstance(answer, NoAnswer), answer
        return answer.seen


def test_an_answer_comes_whole_with_lower_case_headers() -> None:
    """Status, headers and body of an answer arrive."""
    with (
        local_system(lambda _: Say(201, {"a": 1}, {"ETag": 'W/"3"'})) as system,
        endpoint(system.base) as end,
    ):
        answer = end.exchange(POST, 2.0)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.headers["etag"], answer.body) == (201, 'W/"3"', b'{"a": 1}')


def test_the_request_arrives_as_it_was_built() -> None:
    """Method, path, headers, length and body reach the server."""
    with local_system() as system, endpoint(system.base) as end:
        end.exchange(POST, 2.0)
        end.exchange(GET, 2.0)
        first, second = system.heard
    assert (first.method, first.path, first.body) == ("POST", "/claims", b"{}")
    assert first.headers["content-length"] == "2"
    assert first.headers["host"] == system.base.removeprefix("http://")
    assert (second.method, second.path) == ("GET", "/worklist/rx-1")


def test_an_interim_answer_is_not_taken_for_the_answer() -> None:
    """100 Continue precedes the final answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        end = Endpoint(f"http://127.0.0.1:{listener.getsockname()[1]}")

        def serve() -> None:
            connection, _ = listener.accept()
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        answer = end.exchange(POST, 2.0)
        thread.join()
        end.close()
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body) == (200, b"ok")


@pytest.mark.parametrize(
    ("say", "expected"),
    [
        (Say(how="reset"), "reset"),
        (Say(how="close"), "closed"),
        (Say(200, {"a": 1}, how="truncate"), "truncated"),
        (Say(200, {"a": 1}, how="truncate_head"), "truncated"),
        (Say(how="garbage"), "malformed"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.how,
)
def test_a_cut_answer_is_told_by_how_it_was_cut(say: Say, expected: str) -> None:
    """Reset, closed, truncated and malformed are different things to see."""
    assert seen(lambda _: say) == expected


def test_a_refused_connection_was_never_sent() -> None:
    """Nobody listens: refused, and nothing went out."""
    with endpoint(refused_address()) as end:
        assert end.exchange(POST, 2.0) == NoAnswer("refused")


def test_a_listener_that_never_accepts_is_a_connect_timeout() -> None:
    """A full queue of connections that nobody accepts: the request never left."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = []
        for _ in range(4):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(address)
            waiting.append(sock)
        with endpoint(f"http://127.0.0.1:{address[1]}") as end:
            answer = end.exchange(POST, 0.3)
        for sock in waiting:
            sock.close()
    assert answer == NoAnswer("connect_timeout")


def test_patience_ends_a_hanging_request() -> None:
    """A server that accepts and never answers costs the user's patience, no more."""
    started = time.monotonic()
    assert seen(lambda _: Say(how="hang"), timeout_s=0.2) == "timeout"
    assert time.monotonic() - started < 5.0


def test_patience_counts_the_whole_exchange_not_the_pauses() -> None:
    """An answer that trickles in forever is given up as a whole."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        endpoint(f"http://127.0.0.1:{listener.getsockname()[1]}") as end,
    ):
        done = threading.Event()

        def trickle() -> None:
            connection, _ = listener.accept()
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
            while not done.wait(0.05):
                try:
                    connection.sendall(b".")
                except OSError:
                    break
            connection.close()

        thread = threading.Thread(target=trickle)
        thread.start()
        answer = end.exchange(GET, 0.4)
        done.set()
        thread.join()
    assert answer == NoAnswer("timeout")


def test_a_request_is_never_repeated() -> None:
    """A connection closed without an answer is reported, not tried again behind the user's back."""
    with local_system(lambda _: Say(how="close")) as system, endpoint(system.base) as end:
        end.exchange(GET, 2.0)
        assert len(system.heard) == 1


def test_connections_are_kept_and_dead_ones_are_not_used() -> None:
    """Two answers come over one connection; one that the server has closed meanwhile costs no operation."""
    with local_system(lambda _: Say(200, {})) as system, endpoint(system.base) as end:
        end.exchange(GET, 2.0)
        kept = end._idle[0][0]
        end.exchange(GET, 2.0)
        assert end._idle[0][0] is kept
        kept.shutdown(socket.SHUT_RD)
        assert isinstance(end.exchange(GET, 2.0), Answer)
        assert end._idle[0][0] is not kept


def test_an_answer_that_asks_for_it_closes_the_connection() -> None:
    """`connection: close` is honoured."""
    with (
        local_system(lambda _: Say(200, {}, {"connection": "close"})) as system,
        endpoint(system.base) as end,
    ):
        assert isinstance(end.exchange(GET, 2.0), Answer)
        assert end._idle == []
