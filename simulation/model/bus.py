"""The bus of the twin: one durable stream, publishers with outbox or buffer, and durable consumers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from simulation.engine.attempts import Attempt
from simulation.engine.clock import Timer
from simulation.engine.servers import Server
from simulation.engine.tasks import Future, ModelError, Work, within
from simulation.model.messages import CallFailed, Reply
from simulation.model.nodes import Node
from simulation.model.site import Site
from simulation.model.spans import Context


@dataclass(frozen=True, slots=True)
class Event:
    """What happened: `at` is when it was made, `version` that of the thing it tells of."""

    id: str
    type: str
    key: str
    at: float
    body: dict[str, Any] = field(default_factory=dict)
    version: int | None = None
    context: Context | None = None  # of the trace in which it was made


class BusNode(Node):
    """A durable stream, as NATS JetStream: appends what is published once per id, and wakes the consumers."""

    def __init__(self, site: Site, name: str, server: Server) -> None:
        super().__init__(site, name, server)
        self.stream: list[Event] = []
        self._known: set[str] = set()
        self.on_publish: list[Callable[[], None]] = []

    def handle(self, attempt: Attempt) -> None:
        for event in attempt.request.body["events"]:
            if event.id not in self._known:
                self._known.add(event.id)
                self.stream.append(event)
        attempt.channel.reply(attempt, Reply(200))
        for wake in self.on_publish:
            wake()


class Outbox:
    """Publishes events of committed changes of one service, in order; started with its process.

    A `durable` one keeps an event in the table `outbox` from the change's own transaction on, and looks there
    `linger_s` after a change; else it waits in memory only, and what the bus has not acknowledged when the
    process dies is lost.
    """

    def __init__(self, node: Node, *, durable: bool, linger_s: float) -> None:
        self._node = node
        self._durable = durable
        self._linger_s = linger_s
        self._buffer: deque[Event] = deque()
        self._wake = Future()
        node.waiting["outbox"] = self.waiting
        if node.bus:
            node.spawn(self._relay())

    def event(
        self, type_: str, key: str, body: dict[str, Any] | None = None, version: int | None = None
    ) -> Event:
        number = self._node.site.next_number()
        name = f"{self._node.name}-{number:012d}"
        return Event(name, type_, key, self._node.wall, body or {}, version, self._node.span)

    def write(self, *events: Event) -> None:
        """To be called inside the statement of the change."""
        if self._durable:
            table = self._node.tables.setdefault("outbox", {})
            table.update({event.id: event for event in events})

    def committed(self, *events: Event) -> None:
        """The change is durable: publish."""
        self._buffer.extend(events)
        self._wake.resolve()

    def waiting(self) -> int:
        return max(len(self._buffer), len(self._node.tables.get("outbox", {})))

    def _relay(self) -> Work[None]:
        """Publishes for as long as the process lives."""
        node = self._node
        swept = node.clock._now
        while True:
            woken = yield within(node.clock, self._wake, node.constant("outbox_sweep_s"))
            if woken:
                yield from node.pause_for(self._linger_s)
            self._wake = Future()
            try:
                while self._buffer:
                    batch = list(self._buffer)
                    yield from self._publish(batch)
                    for _ in batch:
                        self._buffer.popleft()
                if node.clock._now - swept >= node.constant("outbox_sweep_s"):
                    left = list(node.tables.get("outbox", {}).values())
                    if left:
                        yield from self._publish(left)
                    swept = node.clock._now
            except ModelError:
                if not self._durable:
                    self._buffer.clear()  # there is no second place from which they could be tried again
                yield from node.pause_for(node.constant("bus_retry_s"))
                self._wake.resolve()

    def _publish(self, batch: list[Event]) -> Work[None]:
        node = self._node
        yield from node.call(node.bus, "publish", {"events": batch})
        if self._durable:
            table = node.tables.get("outbox", {})

            def forget() -> None:
                for event in batch:
                    table.pop(event.id, None)

            yield from node.store(forget)


class Consumer:
    """Delivers the stream to one service: in order over its link, handled in batches, acknowledged after.

    `position` is what was acknowledged and survives crashes; everything behind it is delivered again when the
    connection or the process is lost.
    """

    def __init__(
        self,
        node: Node,
        bus: BusNode,
        subjects: tuple[str, ...],
        handler: Callable[[list[Event]], Work[None]],
    ) -> None:
        self._node = node
        self._bus = bus
        self._channel = node.links[node.bus]
        self.link = self._channel.name
        self._subjects = subjects
        self._wanted: dict[str, bool] = {}  # by the type of an event
        self._handler = handler
        self._position = 0
        self._sent = 0
        self._session = 0
        self._last_arrival = 0.0
        self._travelling: deque[tuple[Timer, int, int, Event]] = deque()
        self._arrived: deque[tuple[int, Event]] = deque()
        self._busy = False
        self._late = 0  # events that come again
        node.waiting["consumer_lag"] = self.lag
        node.connected = self.reconnect
        bus.on_publish.append(self.pump)

    def lag(self) -> int:
        wanted = self._wanted
        return self._late + sum(
            wanted[event.type] if event.type in wanted else self._wants(event)
            for event in self._bus.stream[self._position :]
        )

    def _wants(self, event: Event) -> bool:
        if event.type not in self._wanted:
            self._wanted[event.type] = any(
                event.type == subject or (subject.endswith(".>") and event.type.startswith(subject[:-1]))
                for subject in self._subjects
            )
        return self._wanted[event.type]

    def reconnect(self) -> None:
        """A new session: what was not acknowledged comes again."""
        self._session += 1
        self._sent = self._position
        self._arrived.clear()
        self._busy = False
        session, clock = self._session, self._node.clock
        pause = self._node.constant("bus_reconnect_s")
        clock.call_after(pause, lambda: self.pump() if session == self._session else None)

    def pump(self) -> None:
        """Send what is new over the link, as far as the link lets it pass."""
        node, bus, stream = self._node, self._bus.server, self._bus.stream
        channel = self._channel
        if not node.server.up or not bus.up or bus.paused:
            return
        while self._sent < len(stream):
            if channel.wire.closed:
                return  # reconnect is called when the link heals
            event, index = stream[self._sent], self._sent
            self._sent += 1
            if not self._wants(event):
                continue
            channel.wire.pushed += 1
            extra = channel.wire.delay(True)
            if extra is None or extra < 0:
                continue  # vanished, or kept back: the heal makes a new session
            arrival = max(self._last_arrival, node.clock._now + next(channel.back) + extra)
            self._last_arrival = arrival
            self._travel(arrival, self._session, index, event)

    def _travel(self, arrival: float, session: int, index: int, event: Event) -> None:
        timer = self._node.clock.call_at(arrival, lambda: self._arrive(session, index, event))
        self._travelling.append((timer, session, index, event))

    def hurry(self) -> None:
        """A delay was taken away: what it held arrives at once, in order."""
        self._last_arrival = self._node.clock._now
        travelling, self._travelling = self._travelling, deque()
        for timer, session, index, event in travelling:
            timer.cancel()
            self._travel(self._last_arrival, session, index, event)

    def _arrive(self, session: int, index: int, event: Event) -> None:
        self._travelling.popleft()
        if session != self._session or not self._node.ready:
            return
        again = self._channel.wire.comes_again()
        if again is not None:
            self._late += 1
            generation = self._node.generation
            self._node.clock.call_after(again.after_s, lambda: self._arrive_again(generation, event))
            if again.missed:
                return
        self._take(session, index, event)

    def _arrive_again(self, generation: int, event: Event) -> None:
        """What was delivered before is no part of the position."""
        self._late -= 1
        if generation == self._node.generation:
            self._take(self._session, -1, event)

    def _take(self, session: int, index: int, event: Event) -> None:
        self._arrived.append((index, event))
        if not self._busy:
            self._busy = True
            self._node.spawn(self._drain(session))

    def _drain(self, session: int) -> Work[None]:
        node = self._node
        while self._arrived and session == self._session:
            batch = list(self._arrived)
            self._arrived.clear()
            while True:
                try:
                    yield from self._handler([event for _, event in batch])
                    break
                except CallFailed:
                    yield from node.pause_for(node.constant("bus_retry_s"))
            for _, event in batch:
                node.delivered(self.link, event.at, event.context)
            if session == self._session:
                self._position = max(self._position, *(index + 1 for index, _ in batch))
        if session == self._session:
            self._busy = False


def winners(events: list[Event], fence: bool) -> list[Event]:
    """One event a key: the highest version when the fence is on, else the one that arrived last."""
    chosen: dict[str, Event] = {}
    for event in events:
        held = chosen.get(event.key)
        if held is None or not fence or (event.version or 0) > (held.version or 0):
            chosen[event.key] = event
    return list(chosen.values())
