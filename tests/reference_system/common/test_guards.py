"""Breaker, bulkhead, retry budget, shedding and deadline, each by itself."""

from __future__ import annotations

import asyncio
import random

import pytest

from reference_system.common.config import (
    BreakerPattern,
    BulkheadPattern,
    RetryPattern,
)
from reference_system.common.metrics import LinkCounters
from reference_system.common.patterns import deadline
from reference_system.common.patterns.breaker import Breaker
from reference_system.common.patterns.bulkhead import Bulkhead
from reference_system.common.patterns.retry import Retries
from reference_system.common.patterns.shedding import Shedding
from reference_system.common.switches import Admission, Limit


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def breaker(failures: int = 3, open_for: float = 2.0) -> tuple[Breaker, LinkCounters, Clock]:
    counters, clock = LinkCounters(), Clock()
    return Breaker(BreakerPattern(failures, open_for), counters, clock), counters, clock


def test_a_breaker_opens_after_consecutive_failures_only() -> None:
    """A success in between starts the count anew; the third failure in a row opens."""
    guard, counters, _ = breaker()
    for outcome in (guard.failed, guard.failed, guard.succeeded, guard.failed, guard.failed):
        assert guard.allow()
        outcome()
    assert counters.breaker_state == "closed"
    guard.failed()
    assert counters.breaker_state == "open"
    assert not guard.allow()
    assert (counters.breaker_openings, counters.short_circuited) == (1, 1)


def test_a_half_open_breaker_lets_one_probe_through() -> None:
    """After the pause exactly one call goes out; its failure keeps the breaker open, its success closes
    it."""
    guard, counters, clock = breaker()
    for _ in range(3):
        guard.failed()
    clock.now += 2.0
    assert [guard.allow() for _ in range(3)] == [True, False, False]
    assert counters.breaker_state == "half_open"
    guard.failed()
    assert counters.breaker_state == "open"
    assert not guard.allow()
    clock.now += 2.0
    assert guard.allow()
    guard.succeeded()
    assert counters.breaker_state == "closed"
    assert guard.allow()
    assert counters.breaker_openings == 1


def test_an_abandoned_probe_makes_room_for_the_next() -> None:
    """A probe whose caller went away says nothing, and another may go out."""
    guard, _, clock = breaker(failures=1)
    guard.failed()
    clock.now += 2.0
    assert guard.allow()
    guard.abandoned()
    assert guard.allow()


def test_a_design_without_a_breaker_never_refuses() -> None:
    """No pattern, no state: a hundred failures change nothing."""
    guard = Breaker(None, LinkCounters())
    for _ in range(100):
        guard.failed()
    assert guard.allow()


def test_a_bulkhead_queues_then_refuses() -> None:
    """Two at work, one in the queue, the fourth refused at once; a leaver hands its place on."""

    async def scene() -> list[object]:
        bulkhead = Bulkhead(BulkheadPattern(concurrent=2, queue=1))
        first = [await bulkhead.enter(None), await bulkhead.enter(None)]
        waiting = asyncio.create_task(bulkhead.enter(None))
        await asyncio.sleep(0)
        refused = await bulkhead.enter(None)
        still_waiting = not waiting.done()
        bulkhead.leave()
        return [*first, refused, still_waiting, await waiting]

    assert asyncio.run(scene()) == [True, True, False, True, True]


def test_waiting_for_a_bulkhead_has_an_end() -> None:
    """Who waited too long is refused, and does not take the place that comes free later."""

    async def scene() -> tuple[bool, bool]:
        bulkhead = Bulkhead(BulkheadPattern(concurrent=1, queue=1))
        await bulkhead.enter(None)
        late = await bulkhead.enter(0.01)
        bulkhead.leave()
        return late, await bulkhead.enter(0.01)

    assert asyncio.run(scene()) == (False, True)


def test_the_budget_is_a_share_of_the_requests() -> None:
    """Of 100 requests that all fail, at most ten are retried under a 10% budget."""
    retries = Retries(RetryPattern(attempts=3, budget=0.1), random.Random(1))
    granted = 0
    for _ in range(100):
        retries.request()
        granted += retries.allowed(1, idempotent=True) and retries.spend()
    assert 9 <= granted <= 10


def test_without_a_budget_only_the_attempts_are_counted() -> None:
    """Three attempts in all, and none more."""
    retries = Retries(RetryPattern(attempts=3), random.Random(1))
    assert [retries.allowed(made, idempotent=False) and retries.spend() for made in (1, 2, 3)] == [
        True,
        True,
        False,
    ]


def test_what_is_not_idempotent_is_not_repeated() -> None:
    """Under only_idempotent a call without a key gets one attempt."""
    retries = Retries(RetryPattern(attempts=3, only_idempotent=True), random.Random(1))
    assert retries.allowed(1, idempotent=True)
    assert not retries.allowed(1, idempotent=False)


@pytest.mark.parametrize(
    ("jitter", "low", "high"), [("none", 0.4, 0.4), ("full", 0.0, 0.4), ("equal", 0.2, 0.4)]
)
def test_pauses_grow_within_their_jitter(jitter: str, low: float, high: float) -> None:
    """The third attempt waits four times the backoff, spread as the jitter says, never above the cap."""
    pattern = RetryPattern(attempts=9, backoff=0.1, cap=1.0, jitter=jitter)  # type: ignore[arg-type]
    retries = Retries(pattern, random.Random(1))
    pauses = [retries.pause(3, 0.0) for _ in range(200)]
    assert low <= min(pauses) <= max(pauses) <= high
    assert retries.pause(9, 0.0) <= 1.0


def test_shedding_bounds_what_is_in_flight_and_the_rate() -> None:
    """Over the bound nothing is admitted; over the rate only the burst is."""
    clock = Clock()
    bound = Shedding(Admission(Limit(2), None), clock)
    assert [bound.admits(n) for n in (0, 1, 2)] == [True, True, False]
    rate = Shedding(Admission(None, 10.0), clock)
    assert sum(rate.admits(0) for _ in range(20)) == 5
    clock.now += 0.35
    assert sum(rate.admits(0) for _ in range(20)) == 3


def test_a_deadline_shortens_what_follows() -> None:
    """`within` is the shorter of timeout and what remains; garbage in the header is no deadline."""

    async def scene() -> tuple[float | None, float | None]:
        deadline.current.set(deadline.from_header("500"))
        return deadline.within(10.0), deadline.within(0.1)

    long, short = asyncio.run(scene())
    assert long is not None
    assert 0.3 < long <= 0.5
    assert short == 0.1
    for garbage in ("soon", "nan", "inf", "-inf", "1e999"):
        assert deadline.from_header(garbage) is None
    assert deadline.within(1.0) == 1.0
