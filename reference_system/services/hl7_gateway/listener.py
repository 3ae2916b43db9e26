"""One MLLP connection of the gateway, from its first byte to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

from reference_system.common.mllp import Block, Framing, framed
from reference_system.services.hl7_gateway.acknowledgements import acknowledgement
from reference_system.services.hl7_gateway.messages import header_of

PAUSE_S = 1.0  # an open block to which nothing comes for so long does not come to its end
Answer = Callable[[Block], Awaitable[bytes | None]]


class Listener:
    """Reads blocks and writes acknowledgements in their order. The next block is read when the one before
    is answered: a sender that is too fast is held up by its own connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> None:
        """`answer` gives the acknowledgement of a block; None: there is none, and the connection closes."""
        self._reader = reader
        self._writer = writer
        self._answer = answer
        self._framing = Framing()

    async def serve(self, hold: Callable[[bytes], None] | None) -> None:
        """Until the other side closes. With `hold` blocks are acknowledged on receipt, once their header is
        there, and held; without it `answer` is asked. Never raises for what the connection does."""
        try:
            await (self._on_receipt(hold) if hold is not None else self._in_order())
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

    async def _on_receipt(self, hold: Callable[[bytes], None]) -> None:
        acknowledged = False  # the block that is open
        while True:
            blocks, over = await self._blocks()
            for block in blocks:
                if block.is_sign_of_life:
                    await self._send(acknowledgement(None, "AA"))
                    continue
                if not acknowledged:
                    await self._send(acknowledgement(header_of(block.content), "AA"))
                acknowledged = False
                hold(block.content)
            if over:
                return
            begun = self._framing.unfinished
            if begun and not acknowledged and b"\r" in begun and (header := header_of(begun)) is not None:
                await self._send(acknowledgement(header, "AA"))
                acknowledged = True

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
