"""One HTTP/1.1 exchange over a pool of kept-alive connections, for greenlets. It never repeats a request.

geventhttpclient's own client sends a request again when a kept-alive connection turns out closed; that would
hide exactly the lost answers that are measured here, so only its parser is used.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import gevent
from gevent import socket
from geventhttpclient.response import HTTPParseError, HTTPResponse

from experiment.access import shown, without_token
from experiment.requests import Request

RECEIVE_BYTES = 65536
# Servers close idle connections after some seconds (uvicorn: 5); one that may be closing is not used again.
IDLE_LIMIT_S = 2.0
PEEK = socket.MSG_PEEK | socket.MSG_DONTWAIT
OWN_LIMITS = frozenset((errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM))


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. Header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why there is none: the `seen` of a row in the outcome table."""

    seen: str


class Endpoint:
    """One address and its idle connections. As many connections as exchanges at once: a slow system never
    makes the schedule wait for one. Raises OSError when the name has no address."""

    def __init__(self, base: str, token: str = "") -> None:
        """Every request shows the token, or the one that stands in the address."""
        base, own = without_token(base)
        parts = urlsplit(base)
        host, port = parts.hostname or "127.0.0.1", parts.port or 80
        self._family, self._kind, self._protocol, _, self._address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        self._head = [f"host: {host}:{port}", *(f"{n}: {v}" for n, v in shown(token or own).items())]
        self._idle: list[tuple[Any, float]] = []

    def exchange(self, request: Request, timeout_s: float) -> Answer | NoAnswer:
        """Send once; give up `timeout_s` after the call, whatever has come by then."""
        seen_when_late = "connect_timeout"
        sock = None
        timer = gevent.Timeout.start_new(max(timeout_s, 0.001))
        try:
            sock = self._connection()
            if isinstance(sock, NoAnswer):
                return sock
            seen_when_late = "timeout"
            answer, reusable = _converse(sock, self._encode(request), request.method)
            if reusable:
                self._idle.append((sock, monotonic()))
                sock = None
            return answer
        except gevent.Timeout as caught:
            if caught is not timer:
                raise
            return NoAnswer(seen_when_late)
        finally:
            timer.close()
            if sock is not None and not isinstance(sock, NoAnswer):
                sock.close()

    def close(self) -> None:
        while self._idle:
            self._idle.pop()[0].close()

    def _connection(self) -> Any:
        """The idle connection used last, if it is young and still open; else a new one."""
        oldest = monotonic() - IDLE_LIMIT_S
        while self._idle:
            sock, since = self._idle.pop()
            if since >= oldest and _is_quiet(sock):
                return sock
            sock.close()
        return self._connect()

    def _connect(self) -> Any:
        sock = None
        try:
            sock = socket.socket(self._family, self._kind, self._protocol)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect(self._address)
            return sock
        except OSError as error:
            if sock is not None:
                sock.close()
            return NoAnswer(_connect_failure(error))
        except BaseException:
            if sock is not None:
                sock.close()
            raise

    def _encode(self, request: Request) -> bytes:
        lines = [f"{request.method} {request.path} HTTP/1.1", *self._head]
        lines.extend(f"{name}: {value}" for name, value in request.headers.items())
        if request.body or request.method != "GET":
            lines.append(f"content-length: {len(request.body)}")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + request.body


def _is_quiet(sock: Any) -> bool:
    """An idle connection with something to read was closed by the other side, or is out of step."""
    try:
        sock._sock.recv(1, PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _connect_failure(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if error.errno in OWN_LIMITS:
        return "no_socket"
    if isinstance(error, ConnectionError):
        return "connect_cut"
    return "connect_timeout" if isinstance(error, TimeoutError) else "unreachable"


def _converse(sock: Any, payload: bytes, method: str) -> tuple[Answer | NoAnswer, bool]:
    """Send, then receive until the answer is whole; and whether the connection can be used again."""
    try:
        sock.sendall(payload)
    except OSError:
        return NoAnswer("send_cut"), False
    parser = HTTPResponse(method)
    anything = False
    while not parser.message_complete or parser.get_code() < 200:  # 1xx answers precede the final one
        try:
            block = sock.recv(RECEIVE_BYTES)
        except OSError:
            return NoAnswer("truncated" if anything else "reset"), False
        if not block and not anything:
            return NoAnswer("closed"), False
        try:
            parser.feed(block)
        except HTTPParseError:
            return NoAnswer("truncated" if not block else "malformed"), False
        if not block and not parser.message_complete:
            return NoAnswer("truncated"), False
        anything = True
    headers = {name.lower(): value for name, value in parser.headers}
    body = bytes(parser._body_buffer)
    return Answer(parser.get_code(), headers, body), not parser.should_close()
