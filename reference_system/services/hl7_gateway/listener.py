"""One MLLP connection of the gateway, from its first byte to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

from reference_system.common.mllp import Block, Framing, framed
from reference_system.services.hl7_gateway.acknowledgements import acknowledgement
from reference_system.services.hl7_gateway.messages import header_of

PAUSE_S = 1.0  # an open block to which nothing comes for so long does not come to its end
Answer = Callable[[Block], Awaitable[bytes | None]]
# Of what came of a block so far: the acknowledgement, None for none, and whether the message is to be kept.
Receipt = Callable[[bytes], Awaitable[tuple[bytes | None, bool]]]


@dataclass(frozen=True, slots=True)
class OnReceipt:
    """How messages are taken that are acknowledged before they are stored."""

    receipt: Receipt
    hold: Callable[[bytes], None]


class Listener:
    """Reads blocks and writes acknowledgements in their order. The next block is read when the one before
    is answered: a sender that is too fast is held up by its own connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> None:
        """`answer` gives the acknowledgement of a block; None: there is none, and the connection closes."""
        self._reader = reader
        self._writer = writer
        self._answer = answer
        self._framing = Framing()

    async def serve(self, early: OnReceipt | None) -> None:
        """Until the other side closes. With `early` blocks are acknowledged once their header is there, and
        held; without it `answer` is asked. Never raises for what the connection does."""
        try:
            await (self._on_receipt(early) if early is not None else self._in_order())
        except OSError:
            pass
        finally:
            self.abort()

    async def _in_order(self) -> None:
        while True:
            blocks, over = await self._blocks()
            for block in blocks:
                ack = await self._answer(block)
                if ack is None:
                    return
                await self._send(ack)
            if over:
                return

    async def _on_receipt(self, early: OnReceipt) -> None:
        given: tuple[bytes | None, bool] | None = None  # for the block that is open
        while True:
            blocks, over = await self._blocks()
            for block in blocks:
                if block.is_sign_of_life:
                    await self._send(acknowledgement(None, "AA"))
                    continue
                ack, kept = given or await self._received(early, block.content)
                given = None
                if kept:
                    early.hold(block.content)
                if ack is None:
                    return
            if over:
                return
            begun = self._framing.unfinished
            if begun and given is None and b"\r" in begun and header_of(begun) is not None:
                given = await self._received(early, begun)

    async def _received(self, early: OnReceipt, content: bytes) -> tuple[bytes | None, bool]:
        ack, kept = await early.receipt(content)
        if ack is not None:
            await self._send(ack)
        return ack, kept

    async def _blocks(self) -> tuple[list[Block], bool]:
        """The next blocks, and whether they are the last: after the end of the connection, or a pause inside
        a block."""
        waits = self._framing.waits
        try:
            async with asyncio.timeout(PAUSE_S if waits else None):
                data = await self._reader.read(65_536)
        except TimeoutError:
            data = b""
        except OSError:
            data = b""  # cut: what is open does not come to its end
        if data:
            return self._framing.feed(data), False
        last = self._framing.pause()
        return [last] if last is not None else [], True

    async def _send(self, ack: bytes) -> None:
        self._writer.write(framed(ack))
        await self._writer.drain()

    def abort(self) -> None:
        transport = cast(asyncio.Transport, self._writer.transport)
        if self._writer.transport is not None:
            transport.close()
