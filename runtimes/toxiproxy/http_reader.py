"""Reads HTTP/1 requests from bytes as they come: as strict, and as lenient, as the original's library."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass
from http import HTTPStatus

LARGEST_HEAD_BYTES = (1 << 20) + 4096
LARGEST_BODY_BYTES = 16 << 20
LONGEST_CHUNK_LINE_BYTES = 4096
TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
VERSION = re.compile(rb"HTTP/(\d\.\d)")
TARGET = re.compile(rb"(?P<origin>[A-Za-z][A-Za-z0-9+.\-]*://[^/?]*)?(?P<path>/[^?]*)?(?P<query>\?.*)?", re.S)
CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
CONTROL_IN_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")

Headers = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Request:
    """One request. ``headers`` are the first values by their names in lower case."""

    method: str
    target: bytes
    """Path and query as they were sent, without the scheme and host of an absolute target."""
    version: str
    headers: dict[str, str]
    body: bytes
    keep_alive: bool


class Refused(Exception):
    """This is no request that can be served; the connection ends with this status."""

    def __init__(
        self, status: HTTPStatus = HTTPStatus.BAD_REQUEST, *, detail: str = "", body: str = ""
    ) -> None:
        self.status_line = f"{status.value} {status.phrase}" + (f": {detail}" if detail else "")
        self.body = body or self.status_line
        super().__init__(self.status_line)


class HttpReader:
    """Takes bytes with ``feed`` and gives requests with ``next``."""

    def __init__(self) -> None:
        self.waits_for_continue = False
        """The client sends its body only after a 100 Continue. Whoever sends that sets it back."""
        self._buffer = bytearray()
        self._head_bytes = 0
        self._after_post = False
        self._reading = self._request()

    def feed(self, content: bytes) -> None:
        """More bytes have come."""
        self._buffer += content

    def next(self) -> Request | None:
        """The next request, or None until there is all of it. Raises Refused."""
        try:
            next(self._reading)
        except StopIteration as read:
            request: Request = read.value
            self._reading = self._request()
            return request
        return None

    @property
    def has_begun(self) -> bool:
        """Whether a part of the next request is here."""
        return bool(self._buffer)

    # Each of these yields until the bytes that it wants have come.

    def _request(self) -> Generator[None, None, Request]:
        self._head_bytes = 0
        line = yield from self._line()
        if self._after_post and not line:  # some old clients end a body with an empty line
            line = yield from self._line()
        method, target, version = _request_line(line)
        headers = yield from self._headers()
        preface = (method, target, version) == ("PRI", b"*", "2.0") and not headers
        hosts = headers.get("host", [])
        if len(hosts) > 1:
            raise Refused
        if not version.startswith("1.") and not preface:
            raise Refused(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, detail="unsupported protocol version")
        if not hosts and version != "1.0" and method != "CONNECT" and not preface:
            raise Refused(detail="missing required Host header")
        body = yield from self._body(headers, version)
        self._after_post = method == "POST"
        first = {name: values[0] for name, values in headers.items()}
        return Request(method, target, version, first, body, _keeps_alive(headers, version) and not preface)

    def _headers(self) -> Generator[None, None, Headers]:
        headers: Headers = {}
        values: list[str] | None = None
        while line := (yield from self._line()):
            if line[0] in b" \t":  # a value goes on
                if values is None:
                    raise Refused
                values[-1] += " " + line.strip(b" \t").decode("latin-1")
                continue
            name, colon, value = line.partition(b":")
            if not colon or not name or CONTROL_IN_VALUE.search(value):
                raise Refused
            if not TOKEN.fullmatch(name):
                raise Refused(detail="invalid header name")
            values = headers.setdefault(name.decode("latin-1").lower(), [])
            values.append(value.strip(b" \t").decode("latin-1"))
        return headers

    def _body(self, headers: Headers, version: str) -> Generator[None, None, bytes]:
        lengths = {value.strip() for value in headers.get("content-length", [])}
        codings = headers.get("transfer-encoding", []) if version != "1.0" else []
        if codings and [coding.lower() for coding in codings] != ["chunked"]:
            raise Refused(HTTPStatus.NOT_IMPLEMENTED, body="Unsupported transfer encoding")
        if len(lengths) > 1 or any(not (text.isascii() and text.isdigit()) for text in lengths):
            raise Refused
        length = 0 if codings or not lengths else int(lengths.pop()[:20])
        if (codings or length) and _has(headers, "expect", "100-continue") and version != "1.0":
            self.waits_for_continue = True
        return (yield from self._chunks() if codings else self._exactly(length))

    def _chunks(self) -> Generator[None, None, bytes]:
        body = bytearray()
        while True:
            self._head_bytes = LARGEST_HEAD_BYTES - LONGEST_CHUNK_LINE_BYTES
            size = (yield from self._line()).partition(b";")[0].strip(b" \t")
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,16}", size):
                raise Refused
            if not int(size, 16):
                break
            body += yield from self._exactly(int(size, 16), before=len(body))
            if (yield from self._line()):
                raise Refused
        while (yield from self._line()):
            pass  # trailers
        return bytes(body)

    def _exactly(self, count: int, *, before: int = 0) -> Generator[None, None, bytes]:
        if before + count > LARGEST_BODY_BYTES:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        while len(self._buffer) < count:
            yield
        content = bytes(self._buffer[:count])
        del self._buffer[:count]
        return content

    def _line(self) -> Generator[None, None, bytes]:
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            self._check_head(searched)
            yield
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._head_bytes += end + 1
        self._check_head(0)
        return line.removesuffix(b"\r")

    def _check_head(self, more: int) -> None:
        if self._head_bytes + more > LARGEST_HEAD_BYTES:
            raise Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)


def _request_line(line: bytes) -> tuple[str, bytes, str]:
    """Method, target and version. Raises Refused."""
    method, _, rest = line.partition(b" ")
    sent, _, protocol = rest.partition(b" ")
    version = VERSION.fullmatch(protocol)
    target = TARGET.fullmatch(sent)
    if version is None or not TOKEN.fullmatch(method) or CONTROL.search(sent):
        raise Refused
    if sent == b"*" or (method == b"CONNECT" and not sent.startswith(b"/")):
        return method.decode(), sent, version[1].decode()
    if target is None or not (target["origin"] or target["path"]) or BAD_ESCAPE.search(target["path"] or b""):
        raise Refused
    return method.decode(), (target["path"] or b"") + (target["query"] or b""), version[1].decode()


def _has(headers: Headers, name: str, token: str) -> bool:
    return any(token in re.split(r"[,\s]+", value.lower()) for value in headers.get(name, []))


def _keeps_alive(headers: Headers, version: str) -> bool:
    if _has(headers, "connection", "close"):
        return False
    return version != "1.0" or _has(headers, "connection", "keep-alive")
