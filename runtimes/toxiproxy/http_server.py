"""HTTP/1.1 on an asyncio protocol: requests in, answers out, in order; all else is answered 400."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import cast

import httptools

LARGEST_HEAD_BYTES = 1 << 20
LARGEST_BODY_BYTES = 16 << 20
UNCHUNKED_BYTES = 2048
"""Longer bodies go out chunked, as from the original."""
READ_DEADLINE_S = 15.0
IDLE_DEADLINE_S = 60.0
MOST_WAITING_REQUESTS = 16


@dataclass(frozen=True, slots=True)
class Request:
    """One request; header names are in lower case."""

    method: str
    target: bytes
    version: str
    headers: dict[str, str]
    body: bytes
    keep_alive: bool


@dataclass(frozen=True, slots=True)
class Response:
    """One answer. ``body`` None is an answer without one (204)."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = b""


Handler = Callable[[Request], Awaitable[Response]]


class HttpConnection(asyncio.Protocol):
    """One client of the API. Closes a client that sends nothing, or half a request, for too long."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, handler: Handler, clients: set[HttpConnection]
    ) -> None:
        self._loop = loop
        self._handler = handler
        self._clients = clients
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._waiting: deque[Request] = deque()
        self._serving: asyncio.Task[None] | None = None
        self._broken = False
        self._in_request = False
        self._parser = httptools.HttpRequestParser(self)
        self._clear_request()

    # -- called by the event loop ------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._clients.add(self)
        self._expect_within(IDLE_DEADLINE_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._clients.discard(self)
        self._waiting.clear()
        if self._deadline is not None:
            self._deadline.cancel()

    def data_received(self, data: bytes) -> None:
        if self._broken:
            return
        if not self._in_request:
            self._in_request = True
            self._expect_within(READ_DEADLINE_S)
        self._head_bytes += 0 if self._head_complete else len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._broken = True  # nothing else is spoken here: the answer is the last one
        except httptools.HttpParserError:
            self._refuse(HTTPStatus.BAD_REQUEST)
            return
        if self._head_bytes > LARGEST_HEAD_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self._body_bytes > LARGEST_BODY_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        elif len(self._waiting) > MOST_WAITING_REQUESTS and self._transport is not None:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        return self._serving is not None  # answer what was asked, then close

    # -- called by the parser ------------------------------

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._head_complete = True
        if self._headers.get("expect", "").lower() == "100-continue" and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes <= LARGEST_BODY_BYTES:
            self._body.append(body)

    def on_message_complete(self) -> None:
        version = self._parser.get_http_version()
        request = Request(
            method=self._parser.get_method().decode("latin-1"),
            target=self._target,
            version=version,
            headers=self._headers,
            body=b"".join(self._body),
            keep_alive=self._parser.should_keep_alive(),
        )
        self._clear_request()
        if version == "1.1" and "host" not in request.headers:
            self._refuse(HTTPStatus.BAD_REQUEST, ": missing required Host header")
            return
        self._waiting.append(request)
        if self._serving is None:
            self._serving = self._loop.create_task(self._serve())

    # -- our own ------------------------------

    def close(self) -> None:
        """Close when the answer that is being written is out."""
        if self._transport is not None:
            self._transport.close()

    def _clear_request(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._head_bytes = 0
        self._head_complete = False
        self._in_request = False

    def _expect_within(self, seconds: float) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self._loop.call_later(seconds, self._too_late)

    def _too_late(self) -> None:
        if self._transport is not None and self._serving is None:
            self._transport.abort()

    def _refuse(self, status: HTTPStatus, detail: str = "") -> None:
        self._broken = True
        self._waiting.clear()
        if self._transport is None:
            return
        text = f"{status.value} {status.phrase}"
        head = f"HTTP/1.1 {text}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
        self._transport.write(f"{head}{text}{detail}".encode())
        self._transport.close()

    async def _serve(self) -> None:
        """Answer the waiting requests one after another."""
        while self._waiting and self._transport is not None:
            request = self._waiting.popleft()
            try:
                response = await self._handler(request)
            except BaseException:  # a mistake of ours: the client is not to wait for an answer
                self.close()
                raise
            self._answer(request, response)
        self._serving = None

    def _answer(self, request: Request, response: Response) -> None:
        if self._transport is None:
            return
        self._transport.write(encode(response, request))
        if not request.keep_alive or (self._broken and not self._waiting):
            self._waiting.clear()
            self._transport.close()
        else:
            self._transport.resume_reading()
            self._expect_within(IDLE_DEADLINE_S)


def encode(response: Response, request: Request) -> bytes:
    """The bytes of ``response``: headers sorted, then the date and the length, as in the original."""
    body = response.body
    lines = [
        f"HTTP/{'1.0' if request.version == '1.0' else '1.1'} {response.status} {_phrase(response.status)}"
    ]
    lines += [f"{name}: {response.headers[name]}" for name in sorted(response.headers)]
    lines.append(f"Date: {formatdate(time.time(), usegmt=True)}")
    chunked = body is not None and len(body) > UNCHUNKED_BYTES and request.version != "1.0"
    if chunked:
        lines.append("Transfer-Encoding: chunked")
    elif body is not None and request.method != "HEAD":
        lines.append(f"Content-Length: {len(body)}")
    if not request.keep_alive:
        lines.append("Connection: close")
    elif request.version == "1.0":
        lines.append("Connection: keep-alive")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "replace")
    if not body or request.method == "HEAD":
        return head
    return head + (b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body)


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase
