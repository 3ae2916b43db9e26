"""The reference system's binding on hand-written histories."""

from __future__ import annotations

from experiment.verdict import Verdict
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
