"""Counters that only grow, unless their service died; backlogs that drain."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from measurement.counters import backlog_drained, increase
from tests.measurement.histories import history, sample


def test_growth_between_two_readings() -> None:
    """The reading at the boundary is the base, also when it came a little late."""
    found = increase([(0.0, 10.0), (11.2, 30.0), (21.1, 45.0), (36.0, 99.0)], 11.0, 21.0)
    assert found is not None
    assert found.value == 15.0


def test_one_reading_says_nothing() -> None:
    """No base, no growth."""
    assert increase([(15.0, 10.0)], 11.0, 21.0) is None


@given(st.lists(st.lists(st.integers(0, 50), min_size=2, max_size=6), min_size=1, max_size=4))
def test_restarts_are_summed_over(lives: list[list[int]]) -> None:
    """Several lives of one counter, each from zero: what is counted is at most what happened, and exact
    where a fall is seen at every restart."""
    readings: list[tuple[float, float]] = []
    happened = 0.0
    visible = True
    for life in lives:
        total = 0.0
        for step in life:
            total += step
            readings.append((float(len(readings)), total))
        before = readings[-len(life) - 1][1] if len(readings) > len(life) else None
        first = readings[-len(life)][1]
        visible = visible and (before is None or first < before)
        happened += total - (readings[0][1] if before is None else 0.0)
    found = increase(readings, 0.0, 1000.0)
    assert found is not None
    assert found.value <= happened + 1e-9
    if visible:
        assert found.value == pytest.approx(happened)
        assert found.resets == len(lives) - 1


def test_a_backlog_drains_when_it_is_back_to_its_usual_level() -> None:
    """2 under load is usual, and with it up to 6 (three standard deviations); 9 and 7 after the heal are not;
    two usual readings running end it."""
    levels = [(5.0, 2.0), (21.2, 9.0), (22.2, 2.0), (23.2, 7.0), (24.2, 6.0), (25.2, 2.0), (36.5, 0.0)]
    seen = history(*(sample(t, "billing", "backlog", value, "outbox") for t, value in levels))
    seconds, left = backlog_drained(seen, 21.0, 36.0)
    assert seconds == pytest.approx(3.2)
    assert left == {}


def test_after_the_load_a_backlog_must_be_empty() -> None:
    """What is left at the end is named with its level, and nothing has converged."""
    levels = [(5.0, 2.0), (21.2, 2.0), (36.5, 2.0), (40.0, 2.0)]
    seen = history(*(sample(t, "billing", "backlog", value, "outbox") for t, value in levels))
    assert backlog_drained(seen, 21.0, 36.0) == (None, {"billing outbox": 2.0})


def test_without_readings_nothing_is_known() -> None:
    """Nobody looked: neither drained nor left."""
    assert backlog_drained(history(), 21.0, 36.0) == (None, {})


def test_a_backlog_that_grows_again_has_not_drained() -> None:
    """Calm twice after the heal, then 900 for half a minute: drained when that is gone."""
    levels = [
        (5.0, 2.0),
        (21.2, 2.0),
        (21.6, 2.0),
        *((22.0 + i, 900.0) for i in range(28)),
        (55.0, 0.0),
        (55.5, 0.0),
    ]
    seen = history(*(sample(t, "billing", "backlog", value, "outbox") for t, value in levels))
    seconds, left = backlog_drained(seen, 21.0, 36.0)
    assert seconds == pytest.approx(34.0)
    assert left == {}


def test_work_under_way_when_the_load_ends_is_no_new_backlog() -> None:
    """Drained at 21.2 s; the usual 2 at the end of the load are still being worked on at 36.1 s."""
    levels = [(5.0, 2.0), (21.2, 2.0), (22.2, 1.0), (36.1, 2.0), (36.2, 1.0), (36.3, 0.0)]
    seen = history(*(sample(t, "billing", "backlog", value, "outbox") for t, value in levels))
    seconds, left = backlog_drained(seen, 21.0, 36.0)
    assert seconds == pytest.approx(0.2)
    assert left == {}
