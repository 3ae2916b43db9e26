"""Durable consumption in batches, with T10 (each event once) and T11 (an older version never overwrites a
newer).

Events arrive through a JetStream pull consumer that survives the process. A batch is handled in one
statement and acknowledged by its last message; what was handled but not acknowledged comes again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import nats.js.errors
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from reference_system.common import tracing
from reference_system.common.behaviours import Behaviours
from reference_system.common.bus import LOST, STREAM, Bus, BusUnavailable, Event, decode_events
from reference_system.common.logs import Log
from reference_system.common.metrics import Metrics
from reference_system.common.store import StoreUnavailable

ASK_FOR = 256
ASK_EXPIRES_S = 5.0
HEARTBEAT_S = 1.0
SILENCE_S = 3.0  # no event and no heartbeat for so long: ask again
ACK_WAIT_S = 5.0
AFTER_FAILURE_S = 0.25

DDL = "CREATE TABLE IF NOT EXISTS consumed (id text PRIMARY KEY)"
FRESH = "fresh AS (INSERT INTO consumed SELECT unnest($1::text[]) ON CONFLICT DO NOTHING RETURNING id)"

Handler = Callable[[list[Event]], Awaitable[None]]
_ask = msgspec.json.encode(
    {"batch": ASK_FOR, "expires": int(ASK_EXPIRES_S * 1e9), "idle_heartbeat": int(HEARTBEAT_S * 1e9)}
)


def winners(events: list[Event], fence: bool) -> list[Event]:
    """One event a key: the highest version when the fence is on, else the one that arrived last."""
    chosen: dict[str, Event] = {}
    for event in events:
        held = chosen.get(event.key)
        if held is None or not fence or (event.version or 0) > (held.version or 0):
            chosen[event.key] = event
    return list(chosen.values())


class Consumer:
    """Feeds one service's handler. The handler commits; only then is the batch acknowledged."""

    def __init__(
        self,
        bus: Bus,
        subjects: list[str],
        handler: Handler,
        log: Log,
        metrics: Metrics,
        tracer: tracing.Tracer,
        run: Callable[[], str],
        behaviours: Callable[[], Behaviours],
    ) -> None:
        self._bus = bus
        self._durable = bus.service
        self._subjects = subjects
        self._handler = handler
        self._log = log
        self._metrics = metrics
        self._tracer = tracer
        self._run = run
        self._behaviours = behaviours
        self._again: list[Event] = []  # come a second time, on request of the experiment
        self._late = 0  # will come so
        self._arrived: list[Msg] = []
        self._wake = asyncio.Event()
        self._asked = 0
        self._heard = 0.0

    async def consume(self) -> None:
        """Runs for as long as the process lives; starts anew after every lost connection."""
        while True:
            try:
                await self._session()
            except (BusUnavailable, StoreUnavailable, *LOST) as error:
                self._log.seldom("consumer waits", error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(AFTER_FAILURE_S)

    async def _session(self) -> None:
        client = self._bus.client
        await self._make_consumer()
        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox, cb=self._on_message, pending_msgs_limit=100_000)
        self._arrived.clear()
        self._asked = 0
        self._heard = time.monotonic()
        try:
            while client is self._bus.client and not client.is_closed:
                if self._bus.reconnected.is_set():
                    self._bus.reconnected.clear()
                    self._asked = 0
                if self._asked < ASK_FOR // 2:
                    self._asked = ASK_FOR
                    await client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{self._durable}", _ask, inbox)
                await self._wait()
                if self._again:
                    again, self._again = self._again, []
                    await self._work(again)
                elif self._arrived:
                    batch, self._arrived = self._arrived, []
                    await self._handle(batch)
                elif time.monotonic() - self._heard > SILENCE_S:
                    self._asked, self._heard = 0, time.monotonic()
        finally:
            if not client.is_closed and client.is_connected:
                await subscription.unsubscribe()

    async def _wait(self) -> None:
        self._wake.clear()
        if self._arrived or self._again:
            return
        try:
            async with asyncio.timeout(HEARTBEAT_S):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _make_consumer(self) -> None:
        config = ConsumerConfig(
            durable_name=self._durable,
            filter_subjects=self._subjects,
            ack_policy=AckPolicy.ALL,
            ack_wait=ACK_WAIT_S,
            deliver_policy=DeliverPolicy.ALL,
            max_ack_pending=10_000,
        )
        manager = self._bus.client.jsm()
        try:
            await manager.consumer_info(STREAM, self._durable)
        except nats.js.errors.NotFoundError:
            await manager.add_consumer(STREAM, config)

    async def _on_message(self, message: Msg) -> None:
        self._heard = time.monotonic()
        status = message.headers.get("Status") if message.headers else None
        if status is None:
            self._asked -= 1
            self._arrived.append(message)
        elif status != "100":  # the request expired or was refused: a heartbeat is 100
            self._asked = 0
        else:
            return
        self._wake.set()

    async def _handle(self, batch: list[Msg]) -> None:
        run = self._run()
        events = [event for m in batch for event in decode_events(m.data) if event.run == run]
        behaviours = self._behaviours()
        await self._work(self._first_time(events, behaviours) if behaviours else events)
        await batch[-1].ack()

    def _first_time(self, events: list[Event], behaviours: Behaviours) -> list[Event]:
        """The events that are handled now; some are to come again, or then only."""
        now: list[Event] = []
        for event in events:
            again = behaviours.redelivers(self._durable)
            if again is not None:
                self._late += 1
                asyncio.get_running_loop().call_later(again.after_s, self._come_again, event)
            if again is None or not again.missed:
                now.append(event)
        return now

    def _come_again(self, event: Event) -> None:
        self._late -= 1
        self._again.append(event)
        self._wake.set()

    async def _work(self, events: list[Event]) -> None:
        run = self._run()
        events = [event for event in events if event.run == run]
        if events:
            spans = [self._tracer.start(event.type, tracing.CONSUMER, event.traceparent) for event in events]
            with tracing.caused_by(span.trace for span in spans):
                await self._until_committed(events)
            for span, event in zip(spans, events, strict=True):
                if self._tracer.tells_calls:  # how old the fact was when its handling began
                    span.attributes = {**self._bus.attributes, "age_s": max(0.0, span.start - event.at)}
                self._tracer.finish(span)
        self._metrics.count("consumed", len(events))

    async def _until_committed(self, events: list[Event]) -> None:
        """Keeps at it while the store is away: the bus would bring the batch again only after its own
        wait."""
        while events:
            try:
                return await self._handler(events)
            except StoreUnavailable as error:
                self._log.seldom("consumer waits", error=str(error))
                await asyncio.sleep(AFTER_FAILURE_S)
                run = self._run()
                events = [event for event in events if event.run == run]

    @property
    def silent_s(self) -> float:
        """Seconds since the bus was last heard: what was consumed is as old as that, at least."""
        return time.monotonic() - self._heard

    async def lag(self) -> int:
        """Events of the stream that this consumer has not acknowledged; 1 when that cannot be known."""
        try:
            async with asyncio.timeout(0.5):
                info: Any = await self._bus.client.jsm().consumer_info(STREAM, self._durable)
        except (BusUnavailable, *LOST):
            return 1
        late = self._late + len(self._again)
        return int(info.num_pending or 0) + int(info.num_ack_pending or 0) + late
