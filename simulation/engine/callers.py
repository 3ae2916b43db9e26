"""The caller's own protection: time limit, retries with backoff and budget, breaker, bulkhead.

Attempts wait for their time limit in a deque, since the limit is the same for all; one sweep event serves
them all. While nothing is out of the ordinary (`guarded` is false) a call takes the short path; everything
else is decided on the longer one.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from heapq import heappush
from math import inf
from typing import Any

from simulation.engine.attempts import ARRIVES, WAITS, Attempt, Observer, Owner
from simulation.engine.clock import Clock, Occurrence
from simulation.engine.failures import (
    DEADLINE_PASSED,
    REJECTED_BULKHEAD,
    SHORT_CIRCUITED,
    TIMEOUT,
    Cause,
    Failure,
)
from simulation.engine.policies import CircuitBreaker, Protection, RetryBudget
from simulation.engine.randomness import Sampler
from simulation.engine.wire import Wire


class Caller:
    """The near end of a channel. `latencies` collects what each answered attempt took."""

    __slots__ = (
        "_heap",
        "_pending",
        "_plain_calls",
        "_slow_attempts",
        "_slow_calls",
        "_sweep",
        "_sweeping",
        "backoff",
        "breaker",
        "budget",
        "bulkhead",
        "changed_at",
        "clock",
        "errors",
        "generation",
        "guarded",
        "impaired",
        "latencies",
        "left",
        "max_attempts",
        "may_repeat",
        "name",
        "observer",
        "rejected_bulkhead",
        "retries",
        "sent_before",
        "serial",
        "short_circuited",
        "there",
        "timeout",
        "timeouts",
        "uniform",
        "wire",
    )

    wire: Wire

    def __init__(
        self, clock: Clock, name: str, there: Sampler, uniform: Sampler, protection: Protection
    ) -> None:
        self.clock, self.name, self.there, self.uniform = clock, name, there, uniform
        self.timeout = protection.timeout
        self.max_attempts = protection.attempts
        self.backoff = protection.backoff
        self.budget, self.breaker = protection.budget, protection.breaker
        self.bulkhead = protection.bulkhead
        self.may_repeat, self.left = protection.may_repeat, protection.left
        self.generation = 0  # of the calling process; what an earlier one began is not gone on with
        self.retries = self.timeouts = self.errors = self.short_circuited = self.rejected_bulkhead = 0
        self.latencies: list[float] = []
        self._plain_calls = self._slow_calls = self._slow_attempts = 0
        self.sent_before = 0  # requests of earlier processes
        self._heap = clock.heap
        self.serial = clock.serial
        self._pending: deque[Attempt] = deque()
        self._sweep = _Sweep(self)
        self._sweeping = False
        self.impaired = False
        self.changed_at = -1.0  # when the wire last changed; it has not
        self.guarded = True
        self.observer: Observer | None = None

    @property
    def logical(self) -> int:
        """Calls made, whatever became of them."""
        return self._plain_calls + self._slow_calls

    @property
    def attempts(self) -> int:
        """Requests that were sent."""
        return self._plain_calls + self._slow_attempts

    def changed(self, impaired: bool) -> None:
        """The wire is as it was not before."""
        self.impaired = impaired
        self.changed_at = self.clock._now
        self.watch()

    def watch(self) -> None:
        """Find out whether calls need the longer path, after anything they depend on has changed."""
        breaker = self.breaker
        self.guarded = (
            self.budget is not None
            or self.bulkhead is not None
            or self.left is not None
            or self.impaired
            or (breaker is not None and (breaker.failed > 0 or breaker.state != "closed"))
        )

    def call(self, owner: Owner, request: Any, context: Any = None) -> Attempt:
        """Send a request; `owner.resume(attempt, error)` hears of the end of the last attempt."""
        now = self.clock._now
        attempt = Attempt()  # without a constructor: the slots are filled here, once for every hop
        attempt.channel = self  # type: ignore[assignment]  # every Caller is a Channel
        attempt.owner = owner
        attempt.request = request
        attempt.context = context
        attempt.sent = now
        attempt.stage = ARRIVES
        attempt.live = True
        attempt.number = 1
        if self.guarded:
            self._slow_calls += 1
            if self.budget is not None:
                self.budget.request()
            self._send(attempt)
            return attempt
        self._plain_calls += 1
        if self.observer is not None:
            self.observer.sent(attempt)
        self._pending.append(attempt)
        if not self._sweeping:
            self._tend(now)
        heappush(self._heap, (now + next(self.there), 1, next(self.serial), attempt))
        return attempt

    def _tend(self, now: float) -> None:
        """Start the sweep of time limits; without a limit, only forget attempts that have ended."""
        if self.timeout is not None:
            self._sweeping = True
            self.clock.schedule_at(now + self.timeout, self._sweep)
            return
        pending = self._pending
        while not pending[0].live:
            pending.popleft()

    def _send(self, attempt: Attempt) -> None:
        """Let an attempt out: past the breaker and the bulkhead, under its time limit, onto the wire."""
        now = self.clock._now
        limit = self.left(attempt.request) if self.left is not None else None
        bulkhead = self.bulkhead
        if limit is not None and limit <= 0.0:
            self._refuse(attempt, DEADLINE_PASSED)
            return
        breaker = self.breaker
        if breaker is not None and breaker.state != "closed" and not breaker.allows(now):
            self.short_circuited += 1
            self._refuse(attempt, SHORT_CIRCUITED)
            return
        if bulkhead is not None and bulkhead.in_use >= bulkhead.concurrent:
            if len(bulkhead.waiting) >= bulkhead.queue:
                self.rejected_bulkhead += 1
                self._refuse(attempt, REJECTED_BULKHEAD)
                return
            attempt.stage = WAITS
            bulkhead.waiting.append(attempt)
            longest = min(inf if limit is None else limit, self.timeout or inf)
            if longest < inf:
                self.clock.call_at(now + longest, lambda: self._give_up(attempt))
            return
        if bulkhead is not None:
            bulkhead.in_use += 1
        if self.impaired or self.observer is not None:
            self._go(attempt, limit)
            return
        # The bodies of _go and launch, for nearly every call that there is.
        self._pending.append(attempt)
        if limit is not None and (self.timeout is None or limit < self.timeout):
            self.clock.call_at(now + limit, lambda: self.fail(attempt, TIMEOUT))
        if not self._sweeping:
            self._tend(now)
        self._slow_attempts += 1
        heappush(self._heap, (now + next(self.there), 1, next(self.serial), attempt))

    def _give_up(self, attempt: Attempt) -> None:
        """It waited for a slot as long as it may."""
        if attempt.live and attempt.stage == WAITS:
            attempt.live = False
            self.rejected_bulkhead += 1
            attempt.owner.resume(attempt, REJECTED_BULKHEAD)

    def enter(self, attempt: Attempt) -> None:
        """A slot of the bulkhead is the attempt's: its time begins now."""
        attempt.stage = ARRIVES
        attempt.sent = self.clock._now
        self._go(attempt, self.left(attempt.request) if self.left is not None else None)

    def _go(self, attempt: Attempt, limit: float | None) -> None:
        """Onto the wire, under its time limit."""
        now = self.clock._now
        self._pending.append(attempt)
        if limit is not None and (self.timeout is None or limit < self.timeout):
            self.clock.call_at(now + limit, lambda: self.fail(attempt, TIMEOUT))
        if not self._sweeping:
            self._tend(now)
        self.launch(attempt)

    def _refuse(self, attempt: Attempt, error: Failure) -> None:
        attempt.live = False
        self.clock.call_at(self.clock._now, lambda: attempt.owner.resume(attempt, error))

    def launch(self, attempt: Attempt) -> None:
        """Put an attempt on the wire."""
        self._slow_attempts += 1
        if self.observer is not None:
            self.observer.sent(attempt)
        if self.impaired:
            self.wire.send(attempt)
        else:
            heappush(self._heap, (self.clock._now + next(self.there), 1, next(self.serial), attempt))

    def in_flight(self) -> list[Attempt]:
        """Attempts that were sent and have not ended."""
        return [attempt for attempt in self._pending if attempt.live]

    def fail(self, attempt: Attempt, error: Failure) -> None:
        """The caller learns that a live attempt failed: by its time limit, or from the connection."""
        if not attempt.live:
            return
        attempt.live = False
        if self.bulkhead is not None:
            self.bulkhead.release()
        self._failed(attempt, error)

    def _failed(self, attempt: Attempt, error: Failure) -> None:
        if error.cause is Cause.TIMEOUT:
            self.timeouts += 1
        else:
            self.errors += 1
        if self.observer is not None:
            self.observer.ended(attempt, error)
        if self.breaker is not None:
            self.breaker.failed_at(self.clock._now)
            self.watch()
        if attempt.number < self.max_attempts and (
            self.may_repeat is None or self.may_repeat(attempt.request, error)
        ):
            if self.budget is not None and not self.budget.take():
                error = replace(error, budget_spent=True)
            elif self._retry(attempt):
                return
        attempt.owner.resume(attempt, error)

    def _retry(self, attempt: Attempt) -> bool:
        """Send it again after the backoff, unless its own deadline leaves no time for that."""
        previous = attempt.waited if attempt.number > 1 else 0.0
        wait = self.backoff.delay(attempt.number, previous, self.uniform)
        left = self.left(attempt.request) if self.left is not None else None
        if left is not None and left <= wait:
            return False
        self.retries += 1
        if wait == 0.0:
            self._again(attempt, 0.0, self.generation)
        else:
            generation = self.generation
            self.clock.call_after(wait, lambda: self._again(attempt, wait, generation))
        return True

    def forget(self) -> None:
        """The calling process died: its calls are nobody's, its counters and its policies start afresh."""
        self.generation += 1
        for attempt in self._pending:
            attempt.live = False
        self.retries = self.timeouts = self.errors = self.short_circuited = self.rejected_bulkhead = 0
        self.sent_before += self.attempts
        self._plain_calls = self._slow_calls = self._slow_attempts = 0
        if self.bulkhead is not None:
            for waiting in self.bulkhead.waiting:
                waiting.live = False
            self.bulkhead.waiting.clear()
            self.bulkhead.in_use = 0
        if self.breaker is not None:
            self.breaker = CircuitBreaker(self.breaker.failures, self.breaker.open_for)
        if self.budget is not None:
            self.budget = RetryBudget(self.budget.ratio, self.budget.size, 0.0)
        self.watch()

    def _again(self, earlier: Attempt, waited: float, generation: int) -> None:
        if generation != self.generation:
            return
        attempt = Attempt()
        attempt.channel, attempt.owner = earlier.channel, earlier.owner
        attempt.request, attempt.context = earlier.request, earlier.context
        if self.observer is not None:
            attempt.context = self.observer.again(earlier.context)
        attempt.sent = self.clock._now
        attempt.stage = ARRIVES
        attempt.live = True
        attempt.number = earlier.number + 1
        attempt.waited = waited
        self._send(attempt)

    def _sweep_due(self) -> None:
        """Fail every attempt whose time limit has passed; look again when the next one's does."""
        now = self.clock._now
        timeout = self.timeout or inf
        pending = self._pending
        while pending:
            attempt = pending[0]
            if attempt.live:
                if attempt.sent + timeout > now:
                    self.clock.schedule_at(attempt.sent + timeout, self._sweep)
                    return
                pending.popleft()
                self.fail(attempt, TIMEOUT)
            else:
                pending.popleft()
        self._sweeping = False


class _Sweep(Occurrence):
    __slots__ = ("caller",)

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.fire = _Sweep._due

    def _due(self) -> None:
        self.caller._sweep_due()
