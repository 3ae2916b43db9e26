"""How an old system sends: one message on a connection at a time, and again until it is acknowledged."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import msgspec

from reference_system.common.config import Address, LinkPatterns
from reference_system.common.http_client import HttpClient, Reply
from reference_system.common.metrics import LinkCounters
from reference_system.common.mllp import BUSY, Connection, code_of, text_of
from reference_system.common.patterns.retry import Retries
from reference_system.common.transport import Speech

CONNECTIONS = 8


class Unanswered(Exception):
    """No acknowledgement came, however often it was sent."""


class Outbound:
    """The link to the gateway: MLLP for messages, HTTP for files, through one proxy."""

    def __init__(
        self, name: str, address: Address, patterns: LinkPatterns, counters: LinkCounters, seed: str
    ):
        self.name = name
        self._address = address
        self._counters = counters
        self._rng = random.Random(seed)
        self._idle: list[Connection] = []
        self._http = HttpClient(address.host, address.port, address.shown)
        self._places = asyncio.Semaphore(CONNECTIONS)
        self.apply(patterns)

    def apply(self, patterns: LinkPatterns) -> None:
        self._timeout = patterns.timeout
        self._retries = Retries(patterns.retry, self._rng)

    def speak(self, speech: Speech) -> None:
        """How files are sent from now on; messages go by MLLP, which knows no TLS in old systems."""
        self._http.speak(speech)

    def obeyed(self) -> dict[str, Any]:
        retry = msgspec.to_builtins(self._retries.pattern)
        return {f"{self.name}: timeout": self._timeout, f"{self.name}: retry": retry}

    async def message(self, raw: bytes, answers: int) -> tuple[list[bytes], int]:
        """The acknowledgements, and how often it was sent. Raises Unanswered."""
        self._counters.logical += 1
        self._retries.request()
        made, pause = 0, 0.0
        while True:
            made += 1
            self._counters.attempts += 1
            try:
                async with self._places, asyncio.timeout(self._timeout):
                    acks = await self._exchange(raw, answers)
                if not (code_of(acks[0]) == "AR" and text_of(acks[0]) == BUSY):
                    return acks, made
            except TimeoutError:
                self._counters.timeouts += 1
            except OSError:
                self._counters.errors += 1
            if not self._retries.allowed(made, True) or not self._retries.spend():
                raise Unanswered(self.name)
            pause = self._retries.pause(made, pause)
            await asyncio.sleep(pause)
            self._counters.retries += 1

    async def _exchange(self, raw: bytes, answers: int) -> list[bytes]:
        connection = self._kept() or await Connection.open(self._address.host, self._address.port)
        try:
            acks = await connection.exchange(raw, answers)
        except BaseException:
            connection.close()
            raise
        if raw.endswith(b"\x1c\r"):
            self._idle.append(connection)
        else:
            connection.close()  # the gateway cannot tell where the next block would begin
        return acks

    def _kept(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            connection.close()
        return None

    async def file(self, name: str, content: bytes, context: str = "") -> Reply:
        """Upload a file in a trace; any status. Raises Unanswered."""
        headers = {"x-caller": "hl7_sender", **({"traceparent": context} if context else {})}
        self._counters.logical += 1
        made, pause = 0, 0.0
        while True:
            made += 1
            self._counters.attempts += 1
            try:
                async with asyncio.timeout(self._timeout):
                    return await self._http.request("POST", f"/batches?name={name}", headers, content)
            except TimeoutError:
                self._counters.timeouts += 1
            except OSError:
                self._counters.errors += 1
            if not self._retries.allowed(made, True):
                raise Unanswered(self.name)
            pause = self._retries.pause(made, pause)
            await asyncio.sleep(pause)
            self._counters.retries += 1

    def hang_up(self) -> None:
        """Close what is kept open for the next message."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def close(self) -> None:
        self.hang_up()
        self._http.close()
