"""Timers fire in order, not before their time, and not when they were cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from time import monotonic

import pytest

from runtimes.toxiproxy.timers import FEWEST_CANCELLED_TO_SWEEP, Timers


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop."""
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture
def timers(loop: asyncio.AbstractEventLoop) -> Iterator[Timers]:
    """Timers on the loop."""
    made = Timers(loop)
    yield made
    made.close()


def test_timers_fire_in_the_order_of_their_time(loop: asyncio.AbstractEventLoop, timers: Timers) -> None:
    """Whatever the order they were set in, and each not before it is due."""
    now = monotonic()
    fired: list[tuple[float, float]] = []
    for delay in (0.03, 0.01, -1.0, 0.02, 0.01):
        timers.call_at(now + delay, lambda due=now + delay: fired.append((due, monotonic())))  # type: ignore[misc]
    loop.run_until_complete(asyncio.sleep(0.1))
    assert [due for due, _ in fired] == sorted(due for due, _ in fired)
    assert len(fired) == 5
    assert all(at >= due for due, at in fired)


def test_a_cancelled_timer_does_not_fire(loop: asyncio.AbstractEventLoop, timers: Timers) -> None:
    """Cancelling is final and harmless when repeated."""
    fired: list[str] = []
    kept = timers.call_at(monotonic() + 0.01, lambda: fired.append("kept"))
    gone = timers.call_at(monotonic() + 0.005, lambda: fired.append("gone"))
    gone.cancel()
    gone.cancel()
    loop.run_until_complete(asyncio.sleep(0.05))
    kept.cancel()
    assert fired == ["kept"]


def test_a_timer_may_set_and_cancel_others(loop: asyncio.AbstractEventLoop, timers: Timers) -> None:
    """Callbacks change the timers while they fire."""
    fired: list[str] = []
    later = timers.call_at(monotonic() + 0.02, lambda: fired.append("never"))

    def first() -> None:
        later.cancel()
        timers.call_at(monotonic(), lambda: fired.append("at once"))
        timers.call_at(monotonic() + 0.01, lambda: fired.append("after"))

    timers.call_at(monotonic() + 0.005, first)
    loop.run_until_complete(asyncio.sleep(0.1))
    assert fired == ["at once", "after"]


def test_cancelled_timers_do_not_pile_up(loop: asyncio.AbstractEventLoop, timers: Timers) -> None:
    """A timer that is set and cancelled for each chunk does not take memory until it would be due."""
    fired: list[str] = []
    timers.call_at(monotonic() + 0.05, lambda: fired.append("fired"))
    for _ in range(20 * FEWEST_CANCELLED_TO_SWEEP):
        timers.call_at(monotonic() + 3600, lambda: fired.append("never")).cancel()
    assert timers.waiting < 3 * FEWEST_CANCELLED_TO_SWEEP
    loop.run_until_complete(asyncio.sleep(0.1))
    assert fired == ["fired"]
