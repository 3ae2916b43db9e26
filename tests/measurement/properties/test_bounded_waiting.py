"""The reference system's binding on hand-written histories."""

from __future__ import annotations

from dataclasses import replace

import pytest

from experiment.verdict import Verdict
from measurement.properties.bounded_waiting import BoundedWaiting
from tests.measurement.histories import SYSTEM, history, judged_by, op, scenario

check = judged_by("bounded_waiting")


def test_not_exercised_when_nothing_was_sent() -> None:
    """An operation whose need had failed was never sent."""
    unsent = op(1, "check_in", "enc-1", 2.0, outcome="rejected", sent=None)
    assert check(history(unsent), scenario(), SYSTEM).verdict is Verdict.INCONCLUSIVE


def test_the_deadline_has_half_a_second_of_grace() -> None:
    """check_in promises 1.5 s: 1.99 s is within the grace, 2.01 s is not, whatever the outcome."""
    within = check(history(op(1, "check_in", "enc-1", 2.0, 1.99)), scenario(), SYSTEM)
    beyond = check(history(op(1, "check_in", "enc-1", 2.0, 2.01, "indeterminate")), scenario(), SYSTEM)
    assert within.verdict is Verdict.PASS
    assert beyond.verdict is Verdict.FAIL
    assert "waited 2.01 s, 510 ms beyond its deadline" in beyond.violations[0].statement


def test_waiting_counts_from_the_sending() -> None:
    """A late generator is the generator's fault, judged elsewhere: the request itself was short."""
    late = op(1, "check_in", "enc-1", 2.0, 5.0, sent=6.9)
    assert check(history(late), scenario(), SYSTEM).verdict is Verdict.PASS


def test_refusing_everything_is_no_bounded_waiting() -> None:
    """During the fault nothing was answered: quick refusals do not pass."""
    rows = [op(i, "check_in", f"enc-{i}", 12.0 + i / 10, 0.001, "rejected") for i in range(20)]
    result = check(history(*rows), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    assert "only 0.0% of 20 requests during the fault" in result.statement


def test_the_grace_itself_is_allowed() -> None:
    """A wait as long as deadline and grace, in figures that a computer keeps exactly."""
    binding = BoundedWaiting(grace=0.5)
    system = replace(SYSTEM, journeys={"check_in": replace(SYSTEM.journeys["check_in"], deadline=1.5)})
    for took, verdict in ((2.0, Verdict.PASS), (2.25, Verdict.FAIL)):
        seen = history(op(1, "check_in", "enc-1", 2.0, took))
        assert binding.find(seen, scenario(), system).verdict is verdict
    assert binding.sentence == (
        "No request outlives its deadline by more than 500 ms, and some are always answered."
    )


def test_a_tenth_of_the_fault_must_be_answered_in_time() -> None:
    """2 of 20 are enough, 1 is not; what came before and after the fault does not count."""
    around = [op(100 + i, "check_in", f"a-{i}", at) for i, at in enumerate((5.0, 10.9, 21.1, 30.0))]
    for answered, verdict in ((2, Verdict.PASS), (1, Verdict.FAIL)):
        rows = [
            op(
                i,
                "check_in",
                f"enc-{i}",
                11.0 + i / 2.0,
                0.01,
                "acknowledged" if i < answered else "rejected",
            )
            for i in range(20)
        ]
        result = check(history(*rows, *around), scenario(), SYSTEM)
        assert result.verdict is verdict
        assert result.measures["answered_in_time_during_fault"] == pytest.approx(answered / 20)
        assert result.exposed == 24
    assert result.statement.endswith(
        "only 5.0% of 20 requests during the fault were answered in time, below the floor of 10%"
    )
    assert result.violation_count == 1
    late = [op(i, "check_in", f"enc-{i}", 11.0 + i / 2.0, 3.0) for i in range(20)]
    slow = check(history(*late), scenario(), SYSTEM)
    assert (slow.measures["answered_in_time_during_fault"], slow.violation_count) == (0.0, 20)
    assert slow.measures["beyond_deadline"] == 20
    calm = check(history(*around, with_fault=False), scenario(), SYSTEM)
    assert calm.measures["answered_in_time_during_fault"] is None


def test_the_first_that_waited_too_long_are_shown_with_their_own_times() -> None:
    """In the order in which they were sent, 20 at most, each with its operation."""
    rows = [op(i, "check_in", f"enc-{i}", 30.0 - i, 3.0, value="x") for i in range(25)]
    result = check(history(*rows), scenario(), SYSTEM)
    assert result.statement.startswith(
        "25 requests of 25 outlived the deadline by more than 500 ms (longest 3 s)"
    )
    assert result.violation_count == 25
    assert [v.key for v in result.violations] == [f"enc-{i}" for i in range(24, 4, -1)]
    assert result.violations[0].t == 6.0
    assert result.violations[0].evidence[0]["id"] == 24


def test_only_the_journeys_that_are_named_are_judged() -> None:
    """Where a binding names some; a journey without a deadline is none."""
    seen = history(
        op(1, "check_in", "enc-1", 2.0, 9.0), op(2, "pay", "inv-1", 2.0), op(3, "unknown", "x", 2.0, 99.0)
    )
    result = BoundedWaiting(operations=("pay",)).find(seen, scenario(), SYSTEM)
    assert (result.verdict, result.exposed) == (Verdict.PASS, 1)
    assert BoundedWaiting(operations=("claim",)).find(seen, scenario(), SYSTEM).statement == (
        "not exercised: no operation was sent"
    )
    assert check(seen, scenario(), SYSTEM).exposed == 2
