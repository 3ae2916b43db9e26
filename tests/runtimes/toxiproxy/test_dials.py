"""Dials are given up in time by one timer, and leave some descriptors to the API."""

from __future__ import annotations

from collections.abc import Callable

from runtimes.toxiproxy.dials import MOST_KEPT_FREE, Dials


class Clock:
    """As much of an event loop as dials use; time passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        self.due.append((self.now + delay, callback))

    def advance(self, seconds: float) -> None:
        self.now += seconds
        ready = [callback for due, callback in self.due if due <= self.now]
        self.due = [(due, callback) for due, callback in self.due if due > self.now]
        for callback in ready:
            callback()


class Dialled:
    """A connection that notes when it is given up."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.given_up_at: list[float] = []

    def give_up(self) -> None:
        self.given_up_at.append(self.clock.now)


def test_each_dial_is_given_up_in_its_time() -> None:
    """However many there are, one timer runs; those that ended before are left alone."""
    clock = Clock()
    dials = Dials(clock, timeout_s=10.0, descriptors=1000)  # type: ignore[arg-type]
    waiting = []
    for _ in range(4):
        waiting.append(Dialled(clock))
        dials.begin(waiting[-1])  # type: ignore[arg-type]
        clock.advance(2)
    dials.end(waiting[2])  # type: ignore[arg-type]
    for _ in range(20):
        assert len(clock.due) <= 1
        clock.advance(1)
    assert [one.given_up_at for one in waiting] == [[10.0], [12.0], [], [16.0]]
    assert not clock.due
    dials.begin(waiting[2])  # type: ignore[arg-type]
    clock.advance(10)
    assert waiting[2].given_up_at == [38.0]


def test_dials_count_as_used_descriptors() -> None:
    """There is room below what is kept free, less by one for each dial that has no socket yet."""
    clock = Clock()
    dials = Dials(clock, timeout_s=10.0, descriptors=1000)  # type: ignore[arg-type]
    last = 1000 - MOST_KEPT_FREE - 1
    assert (dials.has_room(last), dials.has_room(last + 1)) == (True, False)
    one = Dialled(clock)
    dials.begin(one)  # type: ignore[arg-type]
    assert (dials.has_room(last - 1), dials.has_room(last)) == (True, False)
    dials.opens_socket(one)  # type: ignore[arg-type]
    assert dials.has_room(last)
    other = Dialled(clock)
    dials.begin(other)  # type: ignore[arg-type]
    dials.end(other)  # type: ignore[arg-type]
    assert dials.has_room(last)
