"""Replicas: a call hedged over several of them, and a store that writes and reads by quorum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from simulation.engine.attempts import Attempt
from simulation.engine.channels import Channel
from simulation.engine.clock import Clock, Timer
from simulation.engine.failures import Failure


class HedgedCall:
    """One request, sent to a second replica when the first has not answered `after` its start.

    The first answer wins (Dean and Barroso, "The Tail at Scale", 2013). `ended(error)` is called once.
    """

    __slots__ = ("_ended", "_failures", "_timer", "done", "sent")

    def __init__(
        self,
        clock: Clock,
        replicas: Sequence[Channel],
        request: Any,
        after: float | None,
        ended: Callable[[Failure | None], None],
    ) -> None:
        self._ended = ended
        self._failures = 0
        self.done = False
        self.sent = 1
        self._timer: Timer | None = None
        replicas[0].call(self, request)
        if after is not None:
            self._timer = clock.call_after(after, lambda: self._hedge(replicas[1], request))

    def _hedge(self, replica: Channel, request: Any) -> None:
        self.sent += 1
        replica.call(self, request)

    def resume(self, attempt: Attempt, error: Failure | None) -> None:
        if self.done:
            return
        self._failures += error is not None
        if error is None or self._failures == self.sent:
            self.done = True
            if self._timer is not None:
                self._timer.cancel()
            self._ended(error)


class ReplicaState:
    """What one replica holds: for every key its version and when that arrived."""

    __slots__ = ("arrived", "clock", "versions")

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.versions: dict[Any, int] = {}
        self.arrived: dict[Any, float] = {}

    def handle(self, attempt: Attempt) -> None:
        key, version = attempt.request
        now = self.clock._now
        if version is not None:
            if version > self.versions.get(key, 0):
                self.versions[key] = version
                self.arrived[key] = now
            attempt.channel.reply(attempt, now)
        else:
            attempt.channel.reply(attempt, (self.versions.get(key, 0), now))


class Quorum:
    """A request to every replica; `reached(answers)` once `needed` of them have answered."""

    __slots__ = ("_answers", "_needed", "_reached")

    def __init__(
        self, channels: Sequence[Channel], request: Any, needed: int, reached: Callable[[list[Attempt]], None]
    ) -> None:
        self._answers: list[Attempt] = []
        self._needed = needed
        self._reached = reached
        for channel in channels:
            channel.call(self, request)

    def resume(self, attempt: Attempt, error: Failure | None) -> None:
        if error is None:
            self._answers.append(attempt)
            if len(self._answers) == self._needed:
                self._reached(self._answers)
