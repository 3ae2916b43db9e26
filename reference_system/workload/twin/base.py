"""What every service of the reference system has: its front door, its publisher, and events handled once."""

from __future__ import annotations

from simulation.modelling import Event, Node, Outbox

BURST_S = 0.5  # how long a burst above `max_rate` is let through, as live


class ReferenceNode(Node):
    """A service with the switches that all of them have."""

    SWITCHES: tuple[str, ...] = ("shedding", "max_rate", "outbox", "outbox_poll", "dedupe")
    outbox: Outbox
    _tokens: float | None = None  # of `max_rate`
    _counted_at = 0.0

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
