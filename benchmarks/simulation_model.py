"""The benchmark's system on the twin's servers and channels: ten services, two entries, six hops a visit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from experiment.controls import Delay
from simulation.engine.attempts import Attempt
from simulation.engine.channels import Channel
from simulation.engine.clock import Clock
from simulation.engine.failures import Failure
from simulation.engine.policies import Backoff, CircuitBreaker, Protection
from simulation.engine.randomness import Exponential, Uniform, sampler, stream, uniform_sampler
from simulation.engine.servers import Server
from simulation.engine.sources import Source

RATE = 200.0  # visits a second
SERVICE_S = 0.002
SLOTS = 4
DELAY_S = (0.0003, 0.0007)
TIMEOUT_S = 1.0
CALLS: dict[int, tuple[int, ...]] = {
    0: (1, 2),
    1: (3,),
    2: (4, 5),
    6: (7, 8),
    7: (9,),
    8: (4, 5),
}
ENTRIES = (0, 6)
SLOW_LINK = (2, 4)
SLOW_S = 0.3
SLOW = (0.2, 0.3)  # from and to, as shares of the length
CRASHED = 7
CRASH = (0.6, 0.61)
ATTEMPTS = 3
BACKOFF = Backoff(0.05, 1.0, "full")
BREAKER = (5, 1.0)


class CallsInTurn:
    """A service that calls its dependencies one after the other and fails with the first failure."""

    __slots__ = ("_channels", "_first", "_server")

    def __init__(self, server: Server, channels: Sequence[Channel]) -> None:
        self._server = server
        self._channels = tuple(channels)
        self._first = channels[0]
        server.handler = self

    def handle(self, attempt: Attempt) -> None:
        attempt.step = 0
        self._first.call(self, attempt.request, attempt)

    def resume(self, attempt: Attempt, error: Failure | None) -> None:
        parent: Attempt = attempt.context
        server = self._server
        if parent.epoch != server.epoch and server.disturbed(parent, server.clock._now):
            return
        if error is not None:
            parent.channel.reply(parent, None, error)
            return
        parent.step = step = parent.step + 1
        channels = self._channels
        if step < len(channels):
            channels[step].call(self, parent.request, parent)
        else:
            parent.channel.reply(parent, None)


def backoff_ceiling(retry: int) -> float:
    """The longest wait before a retry."""
    return min(BACKOFF.cap, BACKOFF.base * 2.0 ** (retry - 1))


@dataclass(slots=True)
class Visits:
    """Counts the ends of visits."""

    ok: int = 0
    failed: int = 0
    latencies: list[float] = field(default_factory=list)

    def resume(self, attempt: Attempt, error: Failure | None) -> None:
        if error is None:
            self.ok += 1
        else:
            self.failed += 1


@dataclass(slots=True)
class Model:
    clock: Clock
    visits: Visits
    channels: list[Channel]
    source: Source

    @property
    def hops(self) -> int:
        return sum(channel.attempts for channel in self.channels)


def build(seed: int, length_s: float) -> Model:
    """With two fault windows: latency on one link, a crash and restart of one service."""
    clock = Clock()
    servers = [
        Server(clock, f"s{i}", sampler(Exponential(SERVICE_S), stream(seed, "service", i)), SLOTS)
        for i in range(10)
    ]

    def channel(caller: str, callee: int) -> Channel:
        rng = stream(seed, "delay", caller, callee)
        return Channel(
            clock,
            f"{caller} -> s{callee}",
            servers[callee],
            sampler(Uniform(*DELAY_S), rng),
            sampler(Uniform(*DELAY_S), rng),
            uniform_sampler(stream(seed, "policy", caller, callee)),
            Protection(TIMEOUT_S, ATTEMPTS, BACKOFF, breaker=CircuitBreaker(*BREAKER)),
        )

    channels: dict[tuple[int, int], Channel] = {}
    for caller, callees in CALLS.items():
        for callee in callees:
            channels[caller, callee] = channel(f"s{caller}", callee)
        CallsInTurn(servers[caller], [channels[caller, callee] for callee in callees])
    entries = [channel("client", entry) for entry in ENTRIES]
    visits = Visits()
    gaps = sampler(Exponential(1 / RATE), stream(seed, "arrivals"))
    source = Source(clock, gaps, lambda n: entries[n % 2].call(visits, n), end=length_s)
    slow = channels[SLOW_LINK].wire
    clock.call_at(length_s * SLOW[0], lambda: slow.impair("f1", Delay(SLOW_S, direction="to_callee")))
    clock.call_at(length_s * SLOW[1], lambda: slow.restore("f1"))
    clock.call_at(length_s * CRASH[0], servers[CRASHED].crash)
    clock.call_at(length_s * CRASH[1], servers[CRASHED].restart)
    return Model(clock, visits, [*channels.values(), *entries], source)
