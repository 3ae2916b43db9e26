"""HTTP/1.1 on an asyncio protocol: requests in, answers out, in order."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import cast

from runtimes.toxiproxy.http_reader import HttpReader, Refused, Request

UNCHUNKED_BYTES = 2048
"""Longer bodies go out chunked, as from the original."""
READ_DEADLINE_S = 15.0
IDLE_DEADLINE_S = 60.0
MOST_WAITING_REQUESTS = 16


@dataclass(frozen=True, slots=True)
class Response:
    """One answer. ``body`` None is an answer without one (204)."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = b""
    closes: bool = False
    """The connection ends with this answer."""


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
        self._reader = HttpReader()
        self._waiting: deque[Request | Refused] = deque()
        self._serving: asyncio.Task[None] | None = None
        self._in_request = False
        self._last_is_here = False

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
        if self._last_is_here or self._transport is None:
            return
        if not self._in_request:
            self._expect_within(READ_DEADLINE_S)
        self._reader.feed(data)
        while not self._last_is_here and (request := self._next()) is not None:
            self._waiting.append(request)
            self._last_is_here = isinstance(request, Refused) or not request.keep_alive
        self._in_request = self._reader.has_begun
        if self._reader.waits_for_continue:
            self._reader.waits_for_continue = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self._waiting and self._serving is None:
            self._serving = self._loop.create_task(self._serve())
        if len(self._waiting) > MOST_WAITING_REQUESTS:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._last_is_here = True
        return self._serving is not None  # answer what was asked, then close

    # -- our own ------------------------------

    def close(self) -> None:
        """Close when the answer that is being written is out."""
        if self._transport is not None:
            self._transport.close()

    def _next(self) -> Request | Refused | None:
        try:
            return self._reader.next()
        except Refused as refused:
            return refused

    def _expect_within(self, seconds: float) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self._loop.call_later(seconds, self._too_late)

    def _too_late(self) -> None:
        if self._transport is not None and self._serving is None:
            self._transport.abort()

    async def _serve(self) -> None:
        """Answer the waiting requests one after another."""
        while self._waiting and self._transport is not None:
            request = self._waiting.popleft()
            if isinstance(request, Refused):
                self._transport.write(encode_refusal(request))
                self._transport.close()
                break
            try:
                response = await self._response(request)
            except BaseException:  # a mistake of ours: the client is not to wait for an answer
                self.close()
                raise
            self._answer(request, response)
        self._serving = None

    async def _response(self, request: Request) -> Response:
        if request.headers.get("expect", "100-continue").lower() != "100-continue":
            return Response(HTTPStatus.EXPECTATION_FAILED, closes=True)
        return await self._handler(request)

    def _answer(self, request: Request, response: Response) -> None:
        if self._transport is None:
            return
        self._transport.write(encode(response, request))
        if response.closes or (self._last_is_here and not self._waiting):
            self._waiting.clear()
            self._transport.close()
        else:
            self._transport.resume_reading()
            self._expect_within(IDLE_DEADLINE_S)


def encode_refusal(refused: Refused) -> bytes:
    """The bytes that end a connection on which something came that is no request."""
    head = (
        f"HTTP/1.1 {refused.status_line}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
    )
    return f"{head}\r\n{refused.body}".encode()


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
    if request.version != "1.0":
        lines += ["Connection: close"] if response.closes or not request.keep_alive else []
    elif request.keep_alive:
        lines.append("Connection: keep-alive")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "replace")
    if not body or request.method == "HEAD":
        return head
    return head + (b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body)


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase
