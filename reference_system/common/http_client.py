"""A small HTTP/1.1 client for the links between services: kept connections, one request at a time on each.

httptools, the server's own parser, reads the replies. A call costs half the CPU of one with a general client,
and the import a fraction; it speaks only what a link between two services needs (no redirects, no cookies).
"""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote

import httptools
import msgspec

from reference_system.common.transport import PLAIN, Speech

SAFE = "/?&=$:,;@+-_.~%"
PLAIN_PATH = re.compile(r"[A-Za-z0-9/$._-]*").fullmatch
_decode = msgspec.json.Decoder().decode


class NotConnected(OSError):
    """No connection could be made: the request was certainly not sent."""


class Disconnected(OSError):
    """The connection ended before the reply was whole: the request may have been carried out."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: any status. Header names are lower case; `json` decodes the body."""

    status: int
    body: bytes
    headers: dict[str, str]

    def json(self) -> Any:
        return _decode(self.body)

    @property
    def not_done(self) -> bool:
        """Whether the reply says that the request was refused before it had any effect."""
        labelled = "x-not-done" in self.headers or "retry-after" in self.headers
        return self.status == 429 or (self.status == 503 and labelled)


class _Connection(asyncio.Protocol):
    """One connection; `exchange` sends a request and waits for its reply."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.reusable = False
        self._reply: asyncio.Future[Reply] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    @property
    def open(self) -> bool:
        return self.transport is not None and not self.transport.is_closing()

    def exchange(self, request: bytes) -> asyncio.Future[Reply]:
        assert self.transport is not None
        self.reusable = False
        self._reply = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._reply

    def drop(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    # asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's transports do not inherit from it

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(Disconnected(f"not HTTP: {error}"))
            self.drop()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._fail(Disconnected(str(exc) if exc else "closed without a reply"))

    def _fail(self, error: Exception) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(error)

    # httptools

    def on_message_begin(self) -> None:
        self._headers = {}
        self._body = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self.reusable = self._parser.should_keep_alive()
        if self._reply is not None and not self._reply.done():
            status = self._parser.get_status_code()
            self._reply.set_result(Reply(status, b"".join(self._body), self._headers))


class HttpClient:
    """Connections to one address. A caller that is cancelled or times out costs its connection, no more."""

    def __init__(self, host: str, port: int, token: str = "") -> None:
        """Every request shows the token, if there is one."""
        self._host = host
        self._port = port
        self._head = f"HTTP/1.1\r\nhost: {host}:{port}\r\n"
        if token:
            self._head += f"x-access-token: {token}\r\n"
        self._speech = PLAIN
        self._idle: list[_Connection] = []

    def speak(self, speech: Speech) -> None:
        """From now on so; what was opened otherwise is closed."""
        if speech != self._speech:
            self.close()
        self._speech = speech

    async def request(self, method: str, path: str, headers: dict[str, str], body: bytes | None) -> Reply:
        """Raises NotConnected, Disconnected, or ValueError for a header value with control characters."""
        request = self._encoded(method, path, headers, body)
        connection = await self._connection()
        try:
            reply = await connection.exchange(request)
        except BaseException:
            connection.drop()
            raise
        if connection.reusable and connection.open:
            self._idle.append(connection)
        else:
            connection.drop()
        return reply

    def _encoded(self, method: str, path: str, headers: dict[str, str], body: bytes | None) -> bytes:
        target = path if PLAIN_PATH(path) else quote(path, SAFE)
        parts = [method, " ", target, " ", self._head]
        for name, value in headers.items():
            if not value.isprintable():
                raise ValueError(f"header {name} has control characters: {value!r}")
            parts += [name, ": ", value, "\r\n"]
        if body is not None:
            parts += ["content-length: ", str(len(body)), "\r\n"]
        elif method != "GET":
            parts.append("content-length: 0\r\n")
        parts.append("\r\n")
        head = "".join(parts).encode("latin-1", "replace")
        return head if body is None else head + body

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.open:
                return connection
        speech = self._speech
        try:
            return await self._opened(speech)
        except ssl.SSLError as error:
            if not speech.or_plain:
                raise NotConnected(str(error)) from error
        except OSError as error:
            raise NotConnected(str(error)) from error
        try:
            return await self._opened(PLAIN)
        except OSError as error:
            raise NotConnected(str(error)) from error

    async def _opened(self, speech: Speech) -> _Connection:
        _, connection = await asyncio.get_running_loop().create_connection(
            _Connection,
            self._host,
            self._port,
            ssl=speech.context,
            server_hostname=speech.name if speech.context is not None else None,
        )
        return connection

    def close(self) -> None:
        for connection in self._idle:
            connection.drop()
        self._idle.clear()
