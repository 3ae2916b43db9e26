"""A bound on the calls of one or more channels that are under way at once."""

from __future__ import annotations

from collections import deque

from simulation.engine.attempts import ARRIVES, Attempt


class Bulkhead:
    """At most `concurrent` attempts at once and `queue` waiting; more are refused."""

    __slots__ = ("concurrent", "in_use", "queue", "waiting")

    def __init__(self, concurrent: int, queue: int) -> None:
        self.concurrent, self.queue = concurrent, queue
        self.in_use = 0
        self.waiting: deque[Attempt] = deque()

    def release(self) -> None:
        """A slot is free: the first one still waiting takes it."""
        while self.waiting:
            attempt = self.waiting.popleft()
            if attempt.live:
                attempt.stage = ARRIVES
                attempt.channel.launch(attempt)
                return
        self.in_use -= 1
