"""Counters of one process since the last reset, as served by GET /metrics."""

from __future__ import annotations

import resource
import time
from dataclasses import asdict, dataclass, field
from typing import Any


def cpu_seconds() -> float:
    """User and system CPU of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


@dataclass(slots=True)
class LinkCounters:
    """One outgoing link. `logical` counts what the code asked for, `attempts` what went on the wire."""

    logical: int = 0
    attempts: int = 0
    retries: int = 0
    timeouts: int = 0
    errors: int = 0
    short_circuited: int = 0
    rejected_bulkhead: int = 0
    budget_denied: int = 0
    breaker_state: str = "closed"
    breaker_openings: int = 0


@dataclass(slots=True)
class Metrics:
    """All counters of one service. `received` counts HTTP requests by the caller's name; of those of services
    `tls` and `plain` count how they came, and `plain_refused` those that were refused for it."""

    requests: int = 0
    in_flight: int = 0
    shed: int = 0
    received: dict[str, int] = field(default_factory=dict)
    tls: dict[str, int] = field(default_factory=dict)
    plain: dict[str, int] = field(default_factory=dict)
    plain_refused: dict[str, int] = field(default_factory=dict)
    dropped_replies: dict[str, int] = field(default_factory=dict)
    events: dict[str, int] = field(default_factory=dict)
    links: dict[str, LinkCounters] = field(default_factory=dict)
    cpu_base: float = field(default_factory=cpu_seconds)

    def link(self, callee: str) -> LinkCounters:
        return self.links.setdefault(callee, LinkCounters())

    def count(self, event: str, n: int = 1) -> None:
        self.events[event] = self.events.get(event, 0) + n

    def came(self, caller: str, secure: bool) -> None:
        """A service asks, and is answered."""
        counts = self.tls if secure else self.plain
        counts[caller] = counts.get(caller, 0) + 1

    def refused_plain(self, caller: str) -> None:
        """A service asks in plain text, which is not answered here."""
        self.plain_refused[caller] = self.plain_refused.get(caller, 0) + 1

    def transports(self, service: str) -> list[dict[str, Any]]:
        """How services were spoken with since the reset, one row for each of them and each way."""
        return [
            {"key": f"{caller} -> {service}", "status": status, "amount": float(count)}
            for status, counts in (("tls", self.tls), ("plain", self.plain))
            for caller, count in counts.items()
        ]

    def reset(self) -> None:
        """Zero everything but what is in flight; link counters keep their identity, others hold on to
        them."""
        self.requests = self.shed = 0
        for counts in (self.received, self.tls, self.plain, self.plain_refused):
            counts.clear()
        self.dropped_replies.clear()
        self.events.clear()
        for counters in self.links.values():
            state = counters.breaker_state
            counters.__init__()  # type: ignore[misc]
            counters.breaker_state = state
        self.cpu_base = cpu_seconds()

    def snapshot(self) -> dict[str, Any]:
        return {
            "unix_time": time.time(),
            "cpu_s": round(cpu_seconds() - self.cpu_base, 6),
            "requests": self.requests,
            "in_flight": self.in_flight,
            "shed": self.shed,
            "links": {name: asdict(counters) for name, counters in self.links.items()},
            "received": dict(self.received),
            "tls": dict(self.tls),
            "plain": dict(self.plain),
            "plain_refused": dict(self.plain_refused),
            "dropped_replies": dict(self.dropped_replies),
            "events": dict(self.events),
        }
