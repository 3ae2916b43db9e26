"""Finds where HTTP/1 messages begin and end in one direction of a connection, byte for byte as they pass.

Nothing is rewritten: all that goes in comes out, cut into heads and bodies. What is not HTTP/1 (TLS, HTTP/2,
WebSocket frames) comes out as it is; reading goes on at the next chunk that begins like a message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

LARGEST_HEAD_BYTES = 256 * 1024
LONGEST_LINE_BYTES = 8 * 1024
REQUEST_LINE = re.compile(rb"(?P<what>[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}) [^\s]+ HTTP/1\.(?P<minor>[01])\r?\n")
STATUS_LINE = re.compile(rb"HTTP/1\.(?P<minor>[01]) (?P<what>\d{3})(?: [^\r\n]*)?\r?\n")
# What the first bytes of either may be, while the line is not there yet.
REQUEST_BEGIN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}(?: [^\s]*(?: (?:H|HT|HTT|HTTP.*)?)?\r?)?")
STATUS_BEGIN = re.compile(rb"H|HT|HTT|HTTP|HTTP/1?(?:\..*)?")
HEAD_END = re.compile(rb"\r?\n\r?\n")
CHUNK_SIZE = re.compile(rb"\s*([0-9A-Fa-f]{1,16})\s*(?:;.*)?\r?\n", re.S)


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a message: the method of a request or the status of a response, and its headers by lower
    case name, values of one name joined with commas."""

    what: str
    minor: int
    headers: Mapping[str, str]

    def has(self, name: str, token: str) -> bool:
        """Whether a list header has this token, in any case."""
        return token in (one.strip().lower() for one in self.headers.get(name, "").split(","))

    @property
    def keeps_open(self) -> bool:
        """Whether its sender wants the connection to go on."""
        return not self.has("connection", "close") and (
            self.minor > 0 or self.has("connection", "keep-alive")
        )


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a message, or bytes of none (`other`). `end` has no bytes: the message is complete."""

    kind: Literal["head", "body", "end", "other"]
    content: bytes | memoryview = b""
    head: Head | None = None


class Messages:
    """Takes bytes with `feed` and gives pieces with `next`; one direction of one connection."""

    def __init__(self, *, responses: bool, fresh: bool) -> None:
        """`fresh`: not a byte has passed yet, so that the first one begins a message."""
        self._responses = responses
        self._line, self._begin = (STATUS_LINE, STATUS_BEGIN) if responses else (REQUEST_LINE, REQUEST_BEGIN)
        self._buffer = bytearray()
        self._lost = not fresh  # where messages begin is not known
        self._left: int | None = 0  # bytes of the body that are still to come; None: until the end
        self._chunks: Literal["", "size", "content", "trailer"] = ""
        self._within = False
        self._raw = False

    @property
    def within(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._within

    def stop(self) -> None:
        """From now on all bytes are of another protocol."""
        self._raw, self._within = True, False

    def feed(self, content: bytes | memoryview) -> None:
        """More bytes have come."""
        if self._lost and not self._buffer and self._line.match(content):
            self._lost = False
        self._buffer += content

    def rest(self) -> bytes:
        """What has been fed and not been given out; it is forgotten here."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def next(self, request_method: str = "") -> Piece | None:
        """The next piece, or None until more bytes have come. Of responses, `request_method` is that of the
        request that the next head answers."""
        if self._within and self._left == 0 and not self._chunks:
            self._within = False
            return Piece("end")
        if not self._buffer:
            return None
        if self._raw or self._lost:
            return Piece("other", self.rest())
        if not self._within:
            return self._head(request_method)
        return self._body_line() if self._chunks in ("size", "trailer") else self._body()

    def _give_up(self) -> Piece:
        self._lost, self._within, self._chunks = True, False, ""
        return Piece("other", self.rest())

    def _head(self, request_method: str) -> Piece | None:
        start = len(self._buffer) - len(self._buffer.lstrip(b"\r\n"))  # some old clients end a body with one
        line = self._line.match(self._buffer, start)
        if line is None:
            first = bytes(self._buffer[start : start + LONGEST_LINE_BYTES])
            waits = not first or (b"\n" not in first and self._begin.fullmatch(first))
            return None if waits and len(first) < LONGEST_LINE_BYTES else self._give_up()
        end = HEAD_END.search(self._buffer, line.end() - 2)
        if end is None:
            return None if len(self._buffer) < LARGEST_HEAD_BYTES else self._give_up()
        content = bytes(self._buffer[: end.end()])
        fields = content[line.end() : end.start()]
        head = Head(line["what"].decode(), int(line["minor"]), _headers(fields))
        if not self._measure(head, request_method):
            return self._give_up()
        del self._buffer[: end.end()]
        self._within = True
        return Piece("head", content, head)

    def _measure(self, head: Head, request_method: str) -> bool:
        """Find out how long the body is; False where the head contradicts itself."""
        self._left, self._chunks = 0, ""
        if self._responses and (
            head.what[0] == "1" or head.what in ("204", "304") or request_method == "HEAD"
        ):
            return True
        if head.headers.get("transfer-encoding"):
            if head.has("transfer-encoding", "chunked"):
                self._chunks = "size"
                return True
            self._left = None
            return self._responses
        if length := head.headers.get("content-length"):
            lengths = {one.strip() for one in length.split(",")}
            text = lengths.pop()
            if lengths or not (text.isascii() and text.isdigit()):
                return False
            self._left = int(text)
        elif self._responses:
            self._left = None
        return True

    def _body(self) -> Piece:
        if self._left is None:
            return Piece("body", self.rest())
        taken = bytes(self._buffer[: self._left])
        del self._buffer[: len(taken)]
        self._left -= len(taken)
        if self._chunks and not self._left:
            self._chunks = "size"
        return Piece("body", taken)

    def _body_line(self) -> Piece | None:
        """The line before a chunk, or one of those after the last chunk."""
        at = self._buffer.find(b"\n")
        if at < 0:
            return None if len(self._buffer) < LONGEST_LINE_BYTES else self._give_up()
        line = bytes(self._buffer[: at + 1])
        if self._chunks == "trailer":
            if not line.strip():
                self._chunks, self._left = "", 0
        else:
            size = CHUNK_SIZE.fullmatch(line)
            if size is None:
                return self._give_up()
            length = int(size[1], 16)
            # The line break after a chunk is counted as a part of it.
            self._chunks, self._left = ("content", length + 2) if length else ("trailer", 0)
        del self._buffer[: at + 1]
        return Piece("body", line)


def _headers(fields: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in fields.decode("latin-1").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            key = name.strip().lower()
            found[key] = f"{found[key]}, {value.strip()}" if key in found else value.strip()
    return found
