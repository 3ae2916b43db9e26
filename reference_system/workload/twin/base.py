"""What every service of the reference system has: its front door, its publisher, and events handled once."""

from __future__ import annotations

from typing import Any

from simulation.modelling import CallFailed, Event, Future, Node, Outbox, Told, Work

COLLECTOR = "telemetry"
BURST_S = 0.5  # how long a burst above `max_rate` is let through, as live


def unfinished(rows: list[dict[str, Any]], column: str, *open_values: str) -> int:
    """How many rows still have one of the values. The others leave the list: none ever comes back, so that
    counting costs no more than what is unfinished."""
    rows[:] = [row for row in rows if row[column] in open_values]
    return len(rows)


class ReferenceNode(Node):
    """A service with the switches that all of them have. TLS takes no time here: handshakes are not
    modelled, and the price is measured on live services."""

    SWITCHES: tuple[str, ...] = (
        "shedding", "max_rate", "outbox", "outbox_poll", "dedupe", "trace_context", "trace_export", "tls",
    )  # fmt: skip
    outbox: Outbox
    _tokens: float | None = None  # of `max_rate`
    _counted_at = 0.0

    @property
    def shares_database(self) -> bool:
        """Whether all services of the design have one database."""
        return bool(self.site.switches(self.name)["database"] != "owned")

    def publisher(self) -> Outbox:
        """The publisher of this process's events."""
        durable = bool(self.switches["outbox"])
        linger = self.switches["outbox_poll"] if durable else self.constant("outbox_linger_s")
        return Outbox(self, durable=durable, linger_s=linger)

    def admits(self) -> bool:
        """Sheds above so many at once, and above a rate."""
        shedding, rate = self.switches["shedding"], self.switches["max_rate"]
        if shedding is not None and self.in_flight >= shedding["concurrent"]:
            return False
        if rate is None:
            return True
        now = self.clock.now
        held = rate * BURST_S if self._tokens is None else self._tokens
        self._tokens = min(max(1.0, rate * BURST_S), held + (now - self._counted_at) * rate)
        self._counted_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def fresh(self, events: list[Event]) -> list[Event]:
        """The events not handled before, remembered as handled; all of them in a design without dedupe.

        To be called inside the statement that applies them.
        """
        if not self.switches["dedupe"]:
            return events
        seen: set[str] = self.tables.setdefault("consumed", set())
        new = [event for event in events if event.id not in seen]
        seen.update(event.id for event in new)
        return new

    # telemetry

    def wired(self) -> None:
        """A run with a collector has a link to it."""
        if COLLECTOR not in self.links:
            return
        self._untold: list[Told] = []
        self._sending = False
        self._turn = Future()  # of whoever may export next, where exporting blocks
        self._turn.resolve()
        self.dropped = 0
        self.over = self.switches["trace_context"]
        self.waiting["spans"] = lambda: len(self._untold)
        self.tells(self._keep_told, COLLECTOR)

    def _keep_told(self, told: Told) -> None:
        """Keep a span until it is sent: at once, or with others from a queue of limited length."""
        if len(self._untold) >= int(self.constant("spans_at_most")):
            self.dropped += 1
            return
        self._untold.append(told)
        if self.switches["trace_export"] == "bounded" and not self._sending:
            self._sending = True
            self.clock.call_after(self.constant("spans_linger_s"), lambda: self.spawn(self._export()))

    def _export(self) -> Work[None]:
        """Sends what waits until nothing does."""
        while self._untold:
            batch = list(self._untold)
            try:
                reply = yield from self.call(COLLECTOR, "export", {"spans": batch})
            except CallFailed:
                reply = None
            if reply is not None and reply.status == 200:
                del self._untold[: len(batch)]
            yield from self.pause_for(self.constant("spans_linger_s"))
        self._sending = False

    def closing(self) -> Work[None] | None:
        """Exporting that blocks: nobody in this process goes on before the collector has every span."""
        blocks = self.switches["trace_export"] == "blocking"
        return self._export_and_wait() if blocks else None

    def _export_and_wait(self) -> Work[None]:
        before, self._turn = self._turn, Future()
        mine = self._turn
        try:
            yield before
            batch, self._untold = self._untold, []
            if not batch:  # a turn of its own: hundreds who waited would else wake one inside the other
                yield from self.pause_for(0.0)
            for told in batch:
                limit = self.constant("blocking_limit_s")
                yield from self.call(COLLECTOR, "export", {"spans": [told]}, limit=limit)
        except CallFailed:
            self.dropped += 1
        finally:
            mine.resolve()

    def crash(self) -> None:
        """What waited is lost with the process."""
        super().crash()
        if COLLECTOR in self.links:
            self._untold.clear()
            self._sending = False
            self._turn = Future()
            self._turn.resolve()
