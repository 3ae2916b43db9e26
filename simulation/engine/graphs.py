"""Open-loop sources, and services that call others in turn: what checks and benchmarks are built from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from simulation.engine.attempts import Attempt
from simulation.engine.channels import Channel
from simulation.engine.clock import Clock, Occurrence
from simulation.engine.failures import Failure
from simulation.engine.randomness import Sampler
from simulation.engine.servers import Server


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


class Source(Occurrence):
    """Calls `action(n)` for n = 0, 1, ... at intervals drawn from `gaps`, `count` times or until `end`."""

    __slots__ = ("_action", "_clock", "_gaps", "count", "end", "started")

    def __init__(
        self,
        clock: Clock,
        gaps: Sampler,
        action: Callable[[int], Any],
        count: int | None = None,
        end: float | None = None,
    ) -> None:
        self._clock = clock
        self._gaps = gaps
        self._action = action
        self.count = count
        self.end = end
        self.started = 0
        self.fire = Source._next
        clock.schedule_at(clock._now + next(gaps), self)

    def _next(self) -> None:
        number = self.started
        self.started = number + 1
        self._action(number)
        if self.count is not None and self.started >= self.count:
            return
        following = self._clock._now + next(self._gaps)
        if self.end is None or following <= self.end:
            self._clock.schedule_at(following, self)
