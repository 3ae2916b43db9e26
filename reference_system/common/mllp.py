"""Blocks of the Minimal Lower Layer Protocol: 0x0B, a message, 0x1C 0x0D. What is framed wrongly is told as
such; nothing of it is taken for a message."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import cast

START, FS, END = b"\x0b", b"\x1c", b"\x1c\r"
MOST_BYTES = 1_000_000  # of one block
BUSY = "try again"  # the reason of an AR that says nothing of the message


def framed(message: bytes) -> bytes:
    return START + message + END


@dataclass(frozen=True, slots=True)
class Block:
    """What came in one block. `fault` says how it is framed wrongly; empty when it is right."""

    content: bytes
    fault: str = ""

    @property
    def is_sign_of_life(self) -> bool:
        """Nothing but blanks: who sends it wants to know whether anybody listens."""
        return not self.fault and not self.content.strip()


@dataclass(slots=True)
class Framing:
    """Finds the blocks in what one connection brings, however it is cut into pieces.

    0x1C ends a block only with 0x0D behind it, or as the last byte before a pause. Bytes between blocks are
    dropped; those that end as a block does, without a start, are a block with a fault.
    """

    _buffer: bytearray = field(default_factory=bytearray)
    _inside: bool = False
    junk_bytes: int = 0

    @property
    def unfinished(self) -> bytes | None:
        """What came so far of a block that is open; None between blocks."""
        return bytes(self._buffer) if self._inside else None

    @property
    def waits(self) -> bool:
        """Whether bytes are held that are no whole block yet."""
        return self._inside or bool(self._buffer.strip())

    def feed(self, data: bytes) -> list[Block]:
        """The blocks that are whole now."""
        self._buffer += data
        found: list[Block] = []
        while True:
            block = self._within() if self._inside else self._between()
            if block is None:
                break
            found.append(block)
        if len(self._buffer) > MOST_BYTES:
            found.append(Block(bytes(self._buffer[:200]), f"a block of more than {MOST_BYTES:,} bytes"))
            self._buffer.clear()
            self._inside = False
        return found

    def _between(self) -> Block | None:
        start, end = self._buffer.find(START), self._buffer.find(END)
        if end >= 0 and (start < 0 or end < start):
            content = self._cut(end, len(END))
            return Block(content, "a block without its start") if content.strip() else self._between()
        if start < 0:
            return None
        self.junk_bytes += len(self._cut(start, 1).strip())
        self._inside = True
        return self._within()

    def _within(self) -> Block | None:
        end, again = self._buffer.find(END), self._buffer.find(START)
        if again >= 0 and (end < 0 or again < end):
            content = self._cut(again, 1)  # the next one has begun
            whole = content.endswith(FS)
            return Block(content[:-1]) if whole else Block(content, "a block without its end")
        if end < 0:
            return None
        self._inside = False
        return Block(self._cut(end, len(END)))

    def _cut(self, at: int, gap: int) -> bytes:
        content = bytes(self._buffer[:at])
        del self._buffer[: at + gap]
        return content

    def pause(self) -> Block | None:
        """Nothing came for a while: the block that is open ends here, or never will. Also at the end of a
        connection."""
        content, inside = bytes(self._buffer), self._inside
        self._buffer.clear()
        self._inside = False
        if not content.strip() and not inside:
            return None
        if inside and content.endswith(FS):
            return Block(content[:-1])
        return Block(content, "a block without its end" if inside else "bytes outside of a block")


def code_of(acknowledgement: bytes) -> str:
    """AA, AE or AR as MSA-1 says; empty where there is none."""
    for segment in acknowledgement.replace(b"\n", b"\r").split(b"\r"):
        if segment.startswith(b"MSA|"):
            return segment.split(b"|")[1].decode("latin-1")
    return ""


def text_of(acknowledgement: bytes) -> str:
    """The reason of a refusal."""
    for segment in acknowledgement.split(b"\r"):
        if segment.startswith(b"ERR|"):
            return segment.split(b"|")[-1].decode("utf-8", "replace")
    return ""


class Connection:
    """A caller's connection to an MLLP listener: a block goes out, acknowledgements come back."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._framing = Framing()
        self._came: list[Block] = []

    @classmethod
    async def open(cls, host: str, port: int) -> Connection:
        """Raises OSError."""
        return cls(*await asyncio.open_connection(host, port))

    @property
    def usable(self) -> bool:
        """Whether it is open with nothing left over from an earlier exchange."""
        idle = not self._came and not self._framing.waits
        return idle and not self._writer.is_closing() and not self._reader.at_eof()

    async def exchange(self, raw: bytes, answers: int = 1) -> list[bytes]:
        """Send these bytes as they are and wait for so many blocks. Raises OSError, also when the other side
        closes first."""
        self._writer.write(raw)
        await self._writer.drain()
        while len(self._came) < answers:
            data = await self._reader.read(65_536)
            if not data:
                raise ConnectionResetError("closed without an acknowledgement")
            self._came += self._framing.feed(data)
        found, self._came = self._came[:answers], self._came[answers:]
        return [block.content for block in found]

    def close(self) -> None:
        transport = cast(asyncio.Transport, self._writer.transport)
        transport.abort()
