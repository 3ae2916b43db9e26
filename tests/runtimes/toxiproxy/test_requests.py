"""Toxics that know requests: what reaches callee and caller, in which order, and what ends."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes.links.adapter import Toxiproxy, ToxiproxyRefused
from runtimes.links.servers import RunningToxiproxy
from runtimes.toxiproxy.messages import Messages

NUMBERS = itertools.count()
ALL = {"share_ppm": 1_000_000}
GET = b"GET /a HTTP/1.1\r\nHost: it\r\n\r\n"
OWN = b"GET /health HTTP/1.1\r\nHost: it\r\nX-Caller: harness\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: it\r\nContent-Length: 5\r\n\r\nhello"
CHUNKS = b"5;x=y\r\nhello\r\n0\r\nTrailer: t\r\n\r\n"
CHUNKED = b"POST /a HTTP/1.1\r\nHost: it\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
INJECTED = b"HTTP/1.1 503 Injected\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"


@dataclass
class Line:
    """A client, the far end of its connection, and the proxy between."""

    proxies: Toxiproxy
    proxy: str
    port: int
    listener: socket.socket
    near: socket.socket = field(init=False)
    far: socket.socket = field(init=False)

    def connect(self) -> None:
        self.near = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        self.far, _ = self.listener.accept()
        self.far.settimeout(5)

    def put(self, kind: str, **attributes: int) -> None:
        self.proxies.put_toxic(self.proxy, "it", kind=kind, stream="upstream", attributes=attributes)

    def heal(self) -> None:
        self.proxies.remove_toxic(self.proxy, "it")

    def counted(self) -> dict[str, int]:
        counts = self.proxies.request_counts()
        assert counts is not None
        return dict(counts[self.proxy]["it"])

    def close(self) -> None:
        for end in ("near", "far"):
            if hasattr(self, end):
                getattr(self, end).close()


@pytest.fixture
def line(embedded: RunningToxiproxy) -> Iterator[Line]:
    proxies = Toxiproxy(embedded.host, embedded.port, token=embedded.token)
    name = f"requests-{next(NUMBERS)}"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        upstream = f"127.0.0.1:{listener.getsockname()[1]}"
        state = proxies.create_proxy(name, listen="127.0.0.1:0", upstream=upstream)
        made = Line(proxies, name, state.port, listener)
        yield made
        made.close()
        proxies.delete_proxy(name)


def get(end: socket.socket, expected: bytes) -> None:
    """Exactly these bytes arrive."""
    got = b""
    while len(got) < len(expected):
        more = end.recv(len(expected) - len(got))
        assert more, f"the connection ended after {got!r}, expected {expected!r}"
        got += more
    assert got == expected


def ended(end: socket.socket) -> None:
    """Nothing more arrives, and the connection is over."""
    assert end.recv(100) == b""


@contextmanager
def silent(end: socket.socket) -> Iterator[None]:
    """Nothing arrives within a moment, and the connection lives."""
    yield
    end.settimeout(0.2)
    with pytest.raises(TimeoutError):
        end.recv(1)
    end.settimeout(5)


@pytest.mark.parametrize("request_", [GET, POST, CHUNKED], ids=["get", "length", "chunks"])
@pytest.mark.parametrize("before", [True, False], ids=["open before", "fresh"])
def test_a_lost_response_leaves_the_work_done_and_the_caller_without_an_answer(
    line: Line, request_: bytes, before: bool
) -> None:
    """The callee gets the whole request; of its answer, whose end is waited for, no byte arrives."""
    if before:
        line.connect()
    line.put("lost_response", **ALL)
    if not before:
        line.connect()
    line.near.sendall(request_)
    get(line.far, request_)
    with silent(line.near):
        line.far.sendall(OK[:-1])
    line.far.sendall(OK[-1:])
    ended(line.near)
    ended(line.far)
    assert line.counted() == {"requests": 1, "touched": 1}


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ],
    ids=["length", "none", "chunks"],
)
def test_every_form_of_answer_is_lost_at_its_end(line: Line, answer: bytes) -> None:
    """A length, no body at all, or chunks."""
    line.put("lost_response", **ALL)
    line.connect()
    line.near.sendall(GET)
    get(line.far, GET)
    line.far.sendall(answer)
    ended(line.near)


def test_an_answer_that_ends_with_its_connection_is_lost_with_it(line: Line) -> None:
    """HTTP/1.0 style: the far end closes, and it counts as one."""
    line.put("lost_response", **ALL)
    line.connect()
    line.near.sendall(GET)
    get(line.far, GET)
    line.far.sendall(b"HTTP/1.0 200 OK\r\n\r\nsome")
    line.far.shutdown(socket.SHUT_WR)
    ended(line.near)
    assert line.counted()["touched"] == 1


def test_errors_are_answered_on_the_same_connection_and_nothing_reaches_the_callee(line: Line) -> None:
    """With lengths, chunks and without a body, one after the other; healed, the same connection goes on."""
    line.connect()
    line.put("error_share", status=503, **ALL)
    for one in (GET, POST, CHUNKED):
        line.near.sendall(one)
        get(line.near, INJECTED)
    assert line.counted() == {"requests": 3, "touched": 3}
    line.heal()
    line.near.sendall(POST)
    get(line.far, POST)
    line.far.sendall(OK)
    get(line.near, OK)


def test_pipelined_answers_keep_their_order(line: Line) -> None:
    """One that is refused here waits for the answer before it; probes of the harness are not touched."""
    line.put("error_share", status=503, **ALL)
    line.connect()
    line.near.sendall(OWN + GET + OWN)
    get(line.far, OWN + OWN)
    with silent(line.near):
        line.far.sendall(OK[:-1])
        get(line.near, OK[:-1])
    line.far.sendall(OK[-1:] + OK)
    get(line.near, OK[-1:] + INJECTED + OK)
    assert line.counted() == {"requests": 1, "touched": 1}


def test_a_client_that_waits_for_100_gets_the_error_and_the_end(line: Line) -> None:
    """Whether its body will come is not known, so that the connection cannot go on."""
    line.put("error_share", status=500, **ALL)
    line.connect()
    line.near.sendall(b"POST / HTTP/1.1\r\nHost: it\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    get(line.near, b"HTTP/1.1 500 Injected\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    ended(line.near)


def test_interim_answers_pass_and_the_answer_is_lost(line: Line) -> None:
    """A client that waits for 100 sends its body; then it hears no more."""
    line.put("lost_response", **ALL)
    line.connect()
    head = b"POST / HTTP/1.1\r\nHost: it\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    line.near.sendall(head)
    get(line.far, head)
    line.far.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    get(line.near, b"HTTP/1.1 100 Continue\r\n\r\n")
    line.near.sendall(b"hello")
    get(line.far, b"hello")
    line.far.sendall(OK)
    ended(line.near)


@pytest.mark.parametrize("kind", ["lost_response", "error_share"])
def test_an_upgraded_connection_passes_untouched(line: Line, kind: str) -> None:
    """The request for it, and every byte of the other protocol, also those that look like requests."""
    line.put(kind, **ALL)
    line.connect()
    asked = b"GET /ws HTTP/1.1\r\nHost: it\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    agreed = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    line.near.sendall(asked)
    get(line.far, asked)
    line.far.sendall(agreed + b"\x81\x02hi")
    get(line.near, agreed + b"\x81\x02hi")
    for _ in range(2):
        line.near.sendall(GET)
        get(line.far, GET)
        line.far.sendall(OK)
        get(line.near, OK)
    assert line.counted() == {"requests": 0, "touched": 0}


@pytest.mark.parametrize(
    "strange",
    [b"\x16\x03\x01\x00\x05hello", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/3.0\r\n\r\n"],
    ids=["tls", "http2", "version"],
)
def test_what_is_not_http_1_passes_at_once(line: Line, strange: bytes) -> None:
    """Nothing is held, counted or closed."""
    line.put("error_share", status=503, **ALL)
    line.connect()
    line.near.sendall(strange)
    get(line.far, strange)
    line.far.sendall(b"\x00\x01anything")
    get(line.near, b"\x00\x01anything")
    assert line.counted() == {"requests": 0, "touched": 0}


def test_an_answer_to_head_has_no_body(line: Line) -> None:
    """Its length is that of another answer; the next answer on the connection is still found."""
    line.put("lost_response", share_ppm=0)
    line.connect()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    line.near.sendall(b"HEAD / HTTP/1.1\r\nHost: it\r\n\r\n" + GET)
    line.far.sendall(head + OK)
    get(line.near, head + OK)
    assert line.counted() == {"requests": 2, "touched": 0}


def test_slow_requests_reach_the_callee_later_and_the_answer_comes_at_once(line: Line) -> None:
    """The delay counts from the moment that the request came; a heal lets go what waits."""
    line.connect()
    line.put("slow_processing", delay_us=300_000)
    start = time.monotonic()
    line.near.sendall(POST)
    get(line.far, POST)
    assert 0.29 <= time.monotonic() - start < 10.0
    line.far.sendall(OK)
    get(line.near, OK)
    line.heal()
    line.put("slow_processing", delay_us=60_000_000)
    line.near.sendall(POST)
    with silent(line.far):
        pass
    line.heal()
    get(line.far, POST)


def test_a_heal_in_the_middle_of_a_dropped_answer_ends_the_connection(line: Line) -> None:
    """Its caller would otherwise take the rest for the begin of an answer."""
    line.connect()
    line.put("lost_response", **ALL)
    line.near.sendall(GET)
    get(line.far, GET)
    with silent(line.near):
        line.far.sendall(OK[:-1])
    line.heal()
    ended(line.near)


def test_a_heal_in_the_middle_of_a_refused_request_ends_the_connection(line: Line) -> None:
    """The callee would otherwise take the rest of the body for a request."""
    line.connect()
    line.put("error_share", status=503, **ALL)
    line.near.sendall(POST[:-1])
    with silent(line.far):
        pass
    line.heal()
    ended(line.far)


def test_two_of_them_are_nested(line: Line) -> None:
    """What one answers itself is not waited for by the other, in whichever order they were put."""
    line.connect()
    line.put("error_share", status=503, **ALL)
    line.proxies.put_toxic(
        line.proxy, "other", kind="lost_response", stream="upstream", attributes={"share_ppm": 0}
    )
    line.near.sendall(GET)
    get(line.near, INJECTED)
    line.heal()
    line.near.sendall(GET)
    get(line.far, GET)
    line.far.sendall(OK)
    get(line.near, OK)


def test_shares_are_those_asked_for(line: Line) -> None:
    """Of 400 requests on one connection about a third."""
    line.put("error_share", share_ppm=333_333, status=503)
    line.connect()
    refused = 0
    for _ in range(400):
        line.near.sendall(GET)
        line.far.setblocking(False)
        answer = b""
        while b"\r\n\r\n" not in answer:
            try:
                if line.far.recv(1000):
                    line.far.sendall(OK)
            except BlockingIOError:
                pass
            line.near.settimeout(0.002)
            try:
                answer += line.near.recv(1000)
            except TimeoutError:
                continue
        refused += b" 503 " in answer
    assert 90 <= refused <= 180
    assert line.counted() == {"requests": 400, "touched": refused}


@pytest.mark.parametrize(
    ("kind", "stream", "attributes", "why"),
    [
        ("lost_response", "downstream", ALL, "a toxic of requests is upstream"),
        ("lost_response", "upstream", {"share_ppm": 1_000_001}, "share_ppm must be from 0 to 1000000"),
        ("error_share", "upstream", {"share_ppm": 1, "status": 200}, "status must be from 400 to 599"),
        ("slow_processing", "upstream", {"delay_us": 5, "jitter_us": 6}, "jitter_us must be from 0"),
    ],
)
def test_nonsense_is_refused(
    line: Line, kind: str, stream: str, attributes: dict[str, int], why: str
) -> None:
    """With what was found and expected."""
    with pytest.raises(ToxiproxyRefused, match=why):
        line.proxies.put_toxic(line.proxy, "it", kind=kind, stream=stream, attributes=attributes)


REQUESTS = st.lists(st.sampled_from([GET, POST, CHUNKED, b"junk\r\n", b"\x16\x03\x01"]), max_size=5)


@given(messages=REQUESTS, cuts=st.lists(st.integers(1, 40), max_size=30))
def test_every_byte_comes_out_once_wherever_chunks_are_cut(messages: list[bytes], cuts: list[int]) -> None:
    """Heads, bodies and what is neither, in their order."""
    stream, out, reader = b"".join(messages), b"", Messages(responses=False, fresh=True)
    heads = 0
    while stream:
        size = cuts.pop() if cuts else len(stream)
        reader.feed(stream[:size])
        stream = stream[size:]
        while (piece := reader.next()) is not None:
            out += piece.content
            heads += piece.kind == "head"
    assert out + reader.rest() == b"".join(messages)
    if not {b"junk\r\n", b"\x16\x03\x01"} & set(messages):
        assert heads == len(messages)
