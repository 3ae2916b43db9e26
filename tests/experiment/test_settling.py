"""Settling ends when nothing is left to be done, live and on the twin alike."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from experiment.settling import DRAIN_POLL_S, settling


def waited(backlog: Callable[[float], float], over: Callable[[float], bool], sure: bool = True) -> float:
    """The seconds that settling takes, of 10 at most."""
    clock = [0.0]
    for until in settling(10.0, lambda: clock[0], lambda: backlog(clock[0]), lambda: over(clock[0]), sure):
        assert until > clock[0]
        clock[0] = until
    return clock[0]


def test_empty_backlogs_settle_after_three_looks() -> None:
    """One empty look is chance: what is between two services is in neither backlog."""
    assert waited(lambda _: 0, lambda _: True) == pytest.approx(2 * DRAIN_POLL_S)


def test_work_that_appears_again_starts_the_count_again() -> None:
    """Two looks were empty, then something arrived."""
    assert waited(lambda t: 1 if 0.29 < t < 0.31 else 0, lambda _: True) == pytest.approx(5 * DRAIN_POLL_S)


def test_nothing_is_settled_while_the_load_goes_on() -> None:
    """However empty the backlogs are."""
    assert waited(lambda _: 0, lambda t: t > 4.0) == pytest.approx(4.05 + 2 * DRAIN_POLL_S, abs=0.01)


@pytest.mark.parametrize("sure", [True, False])
def test_what_never_empties_or_cannot_be_read_takes_the_whole_phase(sure: bool) -> None:
    """Also where a backlog is not known: an empty one is no proof then."""
    assert waited(lambda _: 1.0 if sure else 0.0, lambda _: True, sure) == 10.0
