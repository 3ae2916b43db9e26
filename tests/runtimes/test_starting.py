"""Starts at the same time: the first that fails ends the waiting of all others."""

from __future__ import annotations

import time

import pytest

from experiment.errors import StartError
from experiment.stop import Interrupted, Stop
from runtimes.starting import Starts, all_or_none, at_once

LONG_S = 60.0


def fails() -> None:
    raise StartError("the store ended")


def both(pool: Starts) -> None:
    """One start that waits for long, and one that fails."""
    waiting = pool.submit(pool.stop.sleep, LONG_S)
    all_or_none((waiting, pool.submit(fails)))


def test_a_start_that_fails_ends_the_waiting_of_the_others() -> None:
    """What they wait for will never come: nobody waits for their own deadline."""
    begun = time.monotonic()
    with pytest.raises(StartError, match="the store ended"), at_once(2) as pool:
        both(pool)
    assert time.monotonic() - begun < LONG_S / 2


def test_a_signal_ends_every_start_and_is_named() -> None:
    """The wish to end reaches those who look at the starts' own one."""
    stop = Stop()

    def interrupted(pool: Starts) -> None:
        stop.signal = "SIGTERM"
        all_or_none([pool.submit(pool.stop.sleep, LONG_S)])

    with pytest.raises(Interrupted, match="SIGTERM"), at_once(2, stop) as pool:
        interrupted(pool)


def test_a_start_that_failed_is_no_wish_to_end() -> None:
    """The whole is told by what the start raises; its own stop stays as it was."""
    stop = Stop()
    with pytest.raises(StartError), at_once(2, stop) as pool:
        both(pool)
    assert not stop.is_set()


def test_starts_that_succeed_are_all_waited_for() -> None:
    """In any order."""
    done: list[int] = []
    with at_once(2) as pool:
        all_or_none(pool.submit(done.append, number) for number in range(5))
    assert sorted(done) == [0, 1, 2, 3, 4]
