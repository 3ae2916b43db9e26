"""Channels: one caller's way to one server, with its delays, its faults and the caller's protection.

A call is one or more attempts, each scheduled for its arrival, its completion and its answer's arrival, in
turn. Where the server calls nobody, completion and answer are one event.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappush, heapreplace
from typing import Any

from simulation.engine.attempts import COMPLETES, LEAF_RESPONDS, RESPONDS, Attempt
from simulation.engine.callers import Caller
from simulation.engine.clock import Clock
from simulation.engine.failures import REFUSED, RESET, Failure
from simulation.engine.policies import Protection
from simulation.engine.randomness import Sampler
from simulation.engine.servers import Server
from simulation.engine.wire import Wire


class Channel(Caller):
    """`caller -> server`; `there` and `back` draw the delay of one direction."""

    __slots__ = ("back", "server", "stages")

    def __init__(
        self,
        clock: Clock,
        name: str,
        server: Server,
        there: Sampler,
        back: Sampler,
        uniform: Sampler,
        protection: Protection | None = None,
    ) -> None:
        super().__init__(clock, name, there, uniform, protection or Protection())
        self.server = server
        self.back = back
        self.stages: tuple[Callable[[Attempt], None], ...] = (
            self.arrive,
            self.complete,
            self.leaf_respond,
            self.respond,
        )
        self.wire = Wire(
            clock, there, back, uniform, fail=self.fail, in_flight=self.in_flight, changed=self.changed
        )
        self.watch()
        server.on_crash.append(lambda: self.wire.drop_connections(RESET))

    def arrive(self, attempt: Attempt) -> None:
        server = self.server
        if not server.plain:
            self._arrive_slowly(attempt)
            return
        now = self.clock._now
        free = server.free
        start = free[0]
        if start < now:
            start = now
        done = start + next(server.demand)
        heapreplace(free, done)
        server.waits.append(start - now)
        attempt.epoch = server.epoch
        if self.guarded or server.handler is not None:
            attempt.stage = COMPLETES
            heappush(self._heap, (done, 1, next(self.serial), attempt))
        else:
            attempt.done = done
            attempt.stage = LEAF_RESPONDS
            heappush(self._heap, (done + next(self.back), 1, next(self.serial), attempt))

    def _arrive_slowly(self, attempt: Attempt) -> None:
        server = self.server
        if not server.up:
            self.wire.reject(attempt)
        elif server.paused:
            server.park(attempt)
        else:
            done = server.admit(self.clock._now)
            if done < 0.0:
                self.reply(attempt, None, REFUSED)
                return
            attempt.epoch = server.epoch
            attempt.stage = COMPLETES
            heappush(self._heap, (done, 1, next(self.serial), attempt))

    def complete(self, attempt: Attempt) -> None:
        server = self.server
        if attempt.epoch != server.epoch and server.disturbed(attempt, self.clock._now):
            return
        handler = server.handler
        if handler is None:
            self.reply(attempt, None)
        else:
            handler.handle(attempt)

    def reply(self, attempt: Attempt, answer: Any, failure: Failure | None = None) -> None:
        """The server's answer sets out; from here on only its loss can be noticed."""
        attempt.answer = answer
        attempt.failure = failure
        attempt.stage = RESPONDS
        if self.impaired:
            self.wire.answer(attempt)
        else:
            heappush(self._heap, (self.clock._now + next(self.back), 1, next(self.serial), attempt))

    def leaf_respond(self, attempt: Attempt) -> None:
        """Completion and answer of a server that calls nobody: what changed in between is made up for."""
        server = self.server
        if attempt.epoch != server.epoch and server.disturbed(attempt, attempt.done):
            return
        if not attempt.live:
            return
        if attempt.sent <= self.changed_at <= attempt.done:
            self.reply(attempt, None)
            return
        attempt.live = False
        self.latencies.append(self.clock._now - attempt.sent)
        if self.guarded:
            self._succeeded()
        attempt.owner.resume(attempt, None)

    def respond(self, attempt: Attempt) -> None:
        if not attempt.live:
            return  # the caller has given up on it
        attempt.live = False
        self.latencies.append(self.clock._now - attempt.sent)
        failure = attempt.failure
        if self.guarded or failure is not None:
            if self.bulkhead is not None:
                self.bulkhead.release()
            if failure is not None:
                self._failed(attempt, failure)
                return
            self._succeeded()
        if self.observer is not None:
            self.observer.ended(attempt, None)
        attempt.owner.resume(attempt, None)

    def _succeeded(self) -> None:
        if self.breaker is not None and (self.breaker.failed or self.breaker.state != "closed"):
            self.breaker.succeeded()
            self.watch()
