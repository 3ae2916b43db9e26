"""NATS JetStream over the service's own link: one durable stream, publishing in batches."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable
from typing import Any

import msgspec
import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js.api import RetentionPolicy, StorageType, StreamConfig

from reference_system.common.config import Address, LinkPatterns
from reference_system.common.logs import Log
from reference_system.common.metrics import LinkCounters
from reference_system.common.tracing import PRODUCER, Tracer

STREAM = "EVENTS"
SUBJECTS = ["checkin.>", "eligibility.>", "rx.>", "dispense.>", "claim.>", "payment.>", "patient.>", "lab.>"]
SUBJECTS += ["breakglass.>"]
STREAM_BYTES = 256 * 1024 * 1024
PUBLISH_TIMEOUT_S = 2.0
RECONNECT_WAIT_S = 0.2
FAST_PING_S = 3  # with a timeout in the design: a black hole is noticed after two unanswered pings
SLOW_PING_S = 120  # the client's own default

LOST = (nats.errors.Error, nats.js.errors.Error, ConnectionError, OSError, TimeoutError)


class Event(msgspec.Struct, frozen=True):
    """A fact, as it travels. `key` names the thing it is about; `version` orders facts about one key;
    `at` is unix seconds; `run` keeps runs apart that share a stream."""

    id: str
    run: str
    type: str
    key: str
    at: float
    body: dict[str, Any]
    version: int | None = None
    traceparent: str | None = None


encode_event = msgspec.json.Encoder().encode
decode_event = msgspec.json.Decoder(Event).decode
decode_events = msgspec.json.Decoder(list[Event]).decode


class BusUnavailable(Exception):
    """Nothing was acknowledged by the bus in time."""


class Bus:
    """A connection that comes back by itself."""

    def __init__(
        self,
        service: str,
        address: Address,
        patterns: LinkPatterns,
        counters: LinkCounters,
        log: Log,
        tracer: Tracer,
    ) -> None:
        self.service = service
        self.counters = counters
        self.attributes = {"link": f"{service} -> bus"}  # of spans
        self._tracer = tracer
        self._address = address
        self._patterns = patterns
        self._log = log
        self._client: Client | None = None
        self._stream: Any = None  # JetStream context; it keeps the inbox for acknowledgements
        self.reconnected = asyncio.Event()

    @property
    def client(self) -> Client:
        if self._client is None:
            raise BusUnavailable("bus: not connected yet")
        return self._client

    @property
    def connected(self) -> bool:
        return self._client is not None and self._client.is_connected

    def apply(self, patterns: LinkPatterns) -> None:
        """Timeouts change at once, the ping interval with the next connection."""
        self._patterns = patterns

    def obeyed(self) -> dict[str, Any]:
        """The pattern that acts on what it publishes now."""
        return {f"{self.service} -> bus: timeout": self._patterns.timeout}

    async def connect(self) -> None:
        """Connect once and make sure that the stream is there. Raises what nats-py raises."""
        client = Client()
        await client.connect(
            servers=[f"nats://{self._address.host}:{self._address.port}"],
            name=self.service,
            token=self._address.token or None,
            connect_timeout=2,
            reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type]  # seconds; fractions work
            max_reconnect_attempts=-1,
            ping_interval=FAST_PING_S if self._patterns.timeout else SLOW_PING_S,
            max_outstanding_pings=2,
            pending_size=8 * 1024 * 1024,
            error_cb=self._on_error,
            reconnected_cb=self._on_reconnect,
        )
        try:
            await self._make_stream(client)
        except BaseException:
            await client.close()
            raise
        self._client, self._stream = client, client.jetstream()

    async def _make_stream(self, client: Client) -> None:
        config = StreamConfig(
            name=STREAM,
            subjects=SUBJECTS,
            storage=StorageType.FILE,
            retention=RetentionPolicy.LIMITS,
            max_bytes=STREAM_BYTES,
            max_age=3600,
            duplicate_window=120,
        )
        manager = client.jsm()
        try:
            await manager.stream_info(STREAM)
        except nats.js.errors.NotFoundError:
            with contextlib.suppress(nats.js.errors.BadRequestError):  # another service was first
                await manager.add_stream(config)

    async def _on_error(self, error: Exception) -> None:
        self.counters.errors += 1
        self._log.seldom("bus", error=f"{type(error).__name__}: {error}")

    async def _on_reconnect(self) -> None:
        self.reconnected.set()

    async def publish(self, events: Iterable[Event]) -> None:
        """Publish and wait until the stream has acknowledged all of them. Raises BusUnavailable.

        Events of one domain (`rx` of `rx.changed`) travel together in one message, in their order. A repeat
        of a message within two minutes is dropped by JetStream, a repeat in other company by its consumers.
        """
        domains: dict[str, list[Event]] = {}
        for event in events:
            domains.setdefault(event.type.partition(".")[0], []).append(event)
        pending: list[asyncio.Future[Any]] = []
        if not self.connected:
            raise BusUnavailable("bus: not connected")
        limit, started, ok = self._patterns.timeout, time.time(), False
        self.counters.logical += 1
        self.counters.attempts += 1
        try:
            async with asyncio.timeout(limit if limit is not None else PUBLISH_TIMEOUT_S * 30):
                for domain, together in domains.items():
                    headers = {"Nats-Msg-Id": f"{together[0].id}+{len(together)}"}
                    if together[0].traceparent:
                        headers["traceparent"] = together[0].traceparent
                    body = encode_event(together)
                    pending.append(
                        await self._stream.publish_async(f"{domain}.events", body, headers=headers)
                    )
                await asyncio.gather(*pending)
            ok = True
        except LOST as error:
            self.counters.errors += 1
            if isinstance(error, TimeoutError):
                self.counters.timeouts += 1
            raise BusUnavailable(f"bus: {type(error).__name__}: {error}") from error
        finally:
            for future in pending:
                future.cancel()
            if self._tracer.tells_calls:
                self._tracer.past("publish", started, ok, self.attributes, PRODUCER, kept=False)

    async def close(self) -> None:
        if self._client is not None:
            with contextlib.suppress(*LOST, asyncio.CancelledError):
                async with asyncio.timeout(0.5):
                    await self._client.close()
