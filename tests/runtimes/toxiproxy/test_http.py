"""Requests as clients of all kinds write them: what is answered, alike by either server."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass

import pytest

from runtimes.links.servers import RunningToxiproxy
from tests.runtimes.toxiproxy.calls import Call, ask

PATIENCE_S = 5.0
CLOSE = b"Connection: close\r\n\r\n"
NEW = b'{"name":"j","upstream":"127.0.0.1:9","listen":"127.0.0.1:0"}'
NEW_LENGTH = b"Content-Length: %d\r\n" % len(NEW)
VERSION = b'{"version": "2.12.0"}\n'
NO_NAME = b'{"error":"missing required field: name","status":400}\n'


@dataclass(frozen=True, slots=True)
class Row:
    """What is sent, and the status line and body that come back."""

    sent: bytes
    status: bytes
    body: bytes = b""


def get(target: bytes, method: bytes = b"GET", headers: bytes = b"Host: x\r\n") -> bytes:
    return method + b" " + target + b" HTTP/1.1\r\n" + headers + CLOSE


def post(headers: bytes, body: bytes) -> bytes:
    return b"POST /proxies HTTP/1.1\r\nHost: x\r\n" + headers + CLOSE + body


BAD = (b"HTTP/1.1 400 Bad Request", b"400 Bad Request")
ROWS = {
    "an absolute target": Row(get(b"http://h/version"), b"HTTP/1.1 200 OK", VERSION),
    "an absolute target with a query": Row(get(b"http://h:1/version?x"), b"HTTP/1.1 200 OK", VERSION),
    "options of the server": Row(get(b"*", b"OPTIONS"), b"HTTP/1.1 200 OK"),
    "a star that is no option": Row(get(b"*"), b"HTTP/1.1 301 Moved Permanently"),
    "a bad escape": Row(get(b"/%zz"), *BAD),
    "a bad escape in the query": Row(get(b"/version?%zz"), b"HTTP/1.1 200 OK", VERSION),
    "a target without a slash": Row(get(b"version"), *BAD),
    "a space in the target": Row(get(b"/a b"), *BAD),
    "a control character in the target": Row(get(b"/\x01"), *BAD),
    "two hosts": Row(get(b"/version", headers=b"Host: x\r\nHost: y\r\n"), *BAD),
    "no host": Row(
        get(b"/version", headers=b""),
        b"HTTP/1.1 400 Bad Request: missing required Host header",
        b"400 Bad Request: missing required Host header",
    ),
    "an unknown method": Row(get(b"/proxies", b"FOO"), b"HTTP/1.1 405 Method Not Allowed"),
    "a method in lower case": Row(get(b"/version", b"get"), b"HTTP/1.1 405 Method Not Allowed"),
    "a method that is no token": Row(get(b"/version", b"G(T"), *BAD),
    "an unknown expectation": Row(
        post(b"Expect: foo\r\nContent-Length: 2\r\n", b"{}"), b"HTTP/1.1 417 Expectation Failed"
    ),
    "line feeds alone": Row(get(b"/version").replace(b"\r", b""), b"HTTP/1.1 200 OK", VERSION),
    "the version 1.0": Row(b"GET /version HTTP/1.0\r\n\r\n", b"HTTP/1.0 200 OK", VERSION),
    "the version 1.2": Row(get(b"/version").replace(b"HTTP/1.1", b"HTTP/1.2"), b"HTTP/1.1 200 OK", VERSION),
    "the version 3.0": Row(
        get(b"/version").replace(b"HTTP/1.1", b"HTTP/3.0"),
        b"HTTP/1.1 505 HTTP Version Not Supported: unsupported protocol version",
        b"505 HTTP Version Not Supported: unsupported protocol version",
    ),
    "a version that is none": Row(get(b"/version").replace(b"HTTP/1.1", b"HTTP/x"), *BAD),
    "the preface of HTTP/2": Row(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"HTTP/1.1 301 Moved Permanently"),
    "a header without a colon": Row(get(b"/version", headers=b"Host: x\r\nno colon\r\n"), *BAD),
    "a header without a name": Row(get(b"/version", headers=b"Host: x\r\n: empty\r\n"), *BAD),
    "a space before the colon": Row(
        get(b"/version", headers=b"Host: x\r\nX : y\r\n"),
        b"HTTP/1.1 400 Bad Request: invalid header name",
        b"400 Bad Request: invalid header name",
    ),
    "a folded header": Row(
        get(b"/version", headers=b"Host: x\r\nX: a\r\n b\r\n"), b"HTTP/1.1 200 OK", VERSION
    ),
    "a control character in a header": Row(get(b"/version", headers=b"Host: x\r\nX: \x01\r\n"), *BAD),
    "chunks": Row(
        post(b"Transfer-Encoding: chunked\r\n", b"2;x=y\r\n{}\r\n0\r\nTrailer: 1\r\n\r\n"),
        b"HTTP/1.1 400 Bad Request",
        NO_NAME,
    ),
    "chunks and a length": Row(
        post(b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", b"2\r\n{}\r\n0\r\n\r\n"),
        b"HTTP/1.1 400 Bad Request",
        NO_NAME,
    ),
    "another transfer encoding": Row(
        post(b"Transfer-Encoding: gzip\r\n", b""),
        b"HTTP/1.1 501 Not Implemented",
        b"Unsupported transfer encoding",
    ),
    "two lengths": Row(post(b"Content-Length: 2\r\nContent-Length: 3\r\n", b"{}"), *BAD),
    "one length twice": Row(
        post(b"Content-Length: 2\r\nContent-Length: 2\r\n", b"{}"), b"HTTP/1.1 400 Bad Request", NO_NAME
    ),
    "a length with a sign": Row(post(b"Content-Length: +2\r\n", b"{}"), *BAD),
    "the offer of h2c": Row(
        b"GET /version HTTP/1.1\r\nHost: x\r\nConnection: close, Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n",
        b"HTTP/1.1 200 OK",
        VERSION,
    ),
    "a websocket": Row(
        b"POST /proxies HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n"
        b"Content-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 400 Bad Request",
        NO_NAME,
    ),
}


def exchange(server: RunningToxiproxy, sent: bytes) -> bytes:
    """Everything that is answered until the server closes."""
    answer = b""
    with socket.create_connection((server.host, server.port), timeout=PATIENCE_S) as client:
        client.sendall(sent)
        while part := client.recv(65_536):
            answer += part
    return answer


@pytest.mark.parametrize("name", ROWS)
def test_a_request_is_read_as_the_original_reads_it(server: RunningToxiproxy, name: str) -> None:
    """Status line and body of each kind of request, valid or not; then the connection closes."""
    row = ROWS[name]
    head, _, body = exchange(server, row.sent).partition(b"\r\n\r\n")
    body = body.replace(b'"git"', b'"2.12.0"')  # a real server that was built without its version
    assert (head.split(b"\r\n")[0], body) == (row.status, row.body)


def test_a_body_that_comes_with_an_offer_of_h2c_is_read(server: RunningToxiproxy) -> None:
    """Java's client offers HTTP/2 with every request: its body counts, and the connection stays."""
    offer = (
        b"POST /proxies HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nHost: 127.0.0.1\r\n"
        b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nUpgrade: h2c\r\n" + NEW_LENGTH + b"\r\n"
    )
    try:
        answer = exchange(server, offer + NEW + get(b"/version"))
    finally:
        ask(server.port, Call("DELETE", "/proxies/j"))
    assert re.findall(rb"HTTP/1.1 (\d+) ", answer) == [b"201", b"200"]


def test_http_1_0_closes_unless_it_is_asked_to_stay(server: RunningToxiproxy) -> None:
    """Only an answer that keeps the connection says so."""
    request = b"GET /version HTTP/1.0\r\n%b\r\n"
    answer = exchange(server, request % b"Connection: keep-alive\r\n" + request % b"")
    assert re.findall(rb"HTTP/1.0 200 OK|Connection: [\w-]+", answer) == [
        b"HTTP/1.0 200 OK",
        b"Connection: keep-alive",
        b"HTTP/1.0 200 OK",
    ]


def test_what_came_before_a_bad_request_is_answered(server: RunningToxiproxy) -> None:
    """Pipelined requests are answered in order; the one that cannot be read is the last."""
    good = b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = exchange(server, good + good + b"nonsense\r\n\r\n")
    assert re.findall(rb"HTTP/1.1 (\d+) ", answer) == [b"200", b"200", b"400"]


def test_a_client_that_waits_for_continue_gets_it(server: RunningToxiproxy) -> None:
    """100 Continue comes when the body is still to be sent, and before the answer."""
    head = post(b"Expect: 100-continue\r\nContent-Length: 2\r\n", b"")
    with socket.create_connection((server.host, server.port), timeout=PATIENCE_S) as client:
        client.sendall(head)
        assert client.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"{}")
        assert client.recv(65_536).startswith(b"HTTP/1.1 400 ")


def test_a_request_may_come_byte_by_byte(embedded: RunningToxiproxy) -> None:
    """However it is cut, a request is read as one that comes whole."""
    chunked = post(b"Transfer-Encoding: chunked\r\n", b"2\r\n{}\r\n0\r\n\r\n")
    with socket.create_connection((embedded.host, embedded.port), timeout=PATIENCE_S) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in chunked:
            client.sendall(bytes([byte]))
        answer = client.recv(65_536)
    assert answer.endswith(NO_NAME)


def test_a_client_that_ends_after_its_request_is_answered_and_closed(server: RunningToxiproxy) -> None:
    """The end of the input is not the end of the answer, and nothing stays open for more."""
    with socket.create_connection((server.host, server.port), timeout=PATIENCE_S) as client:
        client.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while part := client.recv(65_536):
            answer += part
    # The real server may see the end of the input first, and then gives the request up.
    given_up = (b"HTTP/1.1 503 ",) if server.kind == "real" else ()
    assert answer.startswith((b"HTTP/1.1 200 OK\r\n", *given_up))
