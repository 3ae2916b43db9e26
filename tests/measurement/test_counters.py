"""Counters that only grow, unless their service died; backlogs that drain."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from measurement.counters import backlog_drained, group, increase
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


@pytest.mark.parametrize(
    ("readings", "value", "resets"),
    [
        ([(11.5, 10.0), (21.5, 30.0)], 20.0, 0),
        ([(11.6, 10.0), (21.6, 30.0)], None, 0),
        ([(11.6, 10.0), (21.5, 30.0)], 20.0, 0),
        ([(5.0, 10.0), (21.5, 30.0)], 20.0, 0),
        ([(5.0, 1.0), (6.0, 10.0), (15.0, 30.0)], 20.0, 0),
        ([(5.0, 10.0), (15.0, 10.0)], 0.0, 0),
        ([(5.0, 10.0), (15.0, 4.0), (16.0, 6.0), (17.0, 1.0)], 7.0, 2),
        ([(22.0, 10.0), (23.0, 30.0)], None, 0),
    ],
)
def test_what_was_counted_within_a_time(
    readings: list[tuple[float, float]], value: float | None, resets: int
) -> None:
    """From 11 s to 21 s, where a reading at either end may come half a second late; the last one before is
    the base."""
    found = increase(readings, 11.0, 21.0)
    if value is None:
        assert found is None
    else:
        assert found is not None and (found.value, found.resets) == (value, resets)


def test_readings_are_grouped_by_what_they_are_about() -> None:
    """Other names are left out."""
    rows = [sample(1.0, "a", "x", 1.0, "b"), sample(2.0, "a", "x", 2.0, "c"), sample(3.0, "a", "y", 3.0, "b")]
    rows.append(sample(4.0, "a", "x", 4.0, "b"))
    assert group(rows, frozenset({"x"})) == {
        ("a", "x", "b"): [(1.0, 1.0), (4.0, 4.0)],
        ("a", "x", "c"): [(2.0, 2.0)],
    }


@pytest.mark.parametrize(
    ("levels", "seconds"),
    [
        ([(21.0, 9.0), (22.0, 3.9), (23.0, 3.9), (37.0, 0.0)], 1.0),
        ([(21.0, 9.0), (22.0, 4.1), (23.0, 3.9), (24.0, 0.0), (37.0, 0.0)], 2.0),
        ([(21.0, 0.0), (37.0, 0.0)], 0.0),
        ([(21.0, 9.0), (30.0, 9.0), (37.0, 0.0)], 16.0),
        ([(21.0, 9.0), (30.0, 9.0), (37.0, 0.5)], None),
        ([(21.0, 1.0), (22.0, 1.0), (37.0, 0.5)], None),
        ([(22.0, 1.0), (35.9, 3.9)], 1.0),
        ([(22.0, 1.0), (35.9, 4.1)], None),
    ],
)
def test_a_backlog_of_one_at_a_time_may_be_four(
    levels: list[tuple[float, float]], seconds: float | None
) -> None:
    """One before the fault, and three standard deviations of a count of one; none once the load has ended."""
    seen = history(
        sample(5.0, "billing", "backlog", 1.0), *(sample(t, "billing", "backlog", v) for t, v in levels)
    )
    found, left = backlog_drained(seen, 21.0, 36.0)
    assert found == seconds
    assert bool(left) is (seconds is None)


def test_the_last_of_several_backlogs_counts() -> None:
    """One that is left takes the time of all; one that was not sampled after the heal says nothing."""
    calm = [sample(t, "a", "backlog", 0.0) for t in (5.0, 22.0, 23.0, 37.0)]
    later = [
        sample(t, "b", "backlog", v, "outbox") for t, v in ((5.0, 0.0), (22.0, 9.0), (25.0, 0.0), (26.0, 0.0))
    ]
    assert backlog_drained(history(*calm, *later), 21.0, 36.0) == (4.0, {})
    left = [sample(t, "c", "backlog", value) for t, value in ((22.0, 9.0), (30.0, 8.0), (37.0, 7.0))]
    assert backlog_drained(history(*calm, *later, *left), 21.0, 36.0) == (None, {"c": 7.0})
    unseen = [sample(5.0, "c", "backlog", 9.0)]
    assert backlog_drained(history(*calm, *unseen), 21.0, 36.0) == (1.0, {})


@pytest.mark.parametrize(
    ("at", "value", "drained"), [(36.0, 2.0, False), (35.9, 2.0, True), (36.0, 0.0, True)]
)
def test_the_last_reading_is_held_to_what_its_time_allows(at: float, value: float, drained: bool) -> None:
    """While load is on its usual level is enough; once it has ended, and at that moment, nothing may be
    left."""
    levels = [(5.0, 2.0), (21.2, 2.0), (22.2, 2.0), (at, value)]
    seen = history(*(sample(t, "billing", "backlog", level, "outbox") for t, level in levels))
    seconds, left = backlog_drained(seen, 21.0, 36.0)
    assert (seconds is not None, left == {}) == (drained, drained)
