"""The generator's account of itself: seconds, and their sums."""

from __future__ import annotations

from dataclasses import asdict

import msgspec
import pytest

from experiment.rows import Operation, Outcome
from load.account import Account, SecondReport, Totals, progress, quantile, report_from


def ended(outcome: Outcome, error: str | None = None, latency: float = 0.1, sent: bool = True) -> Operation:
    return Operation(1, "pay", "inv-1", 1.0, 1.0 if sent else None, 1.0 + latency, outcome, error=error)


def test_a_second_counts_what_was_due_in_it() -> None:
    """An operation belongs to the second of its intended start; later calls count on from there."""
    account = Account(0, [0.1, 0.9, 1.0, 2.5])
    assert [account.close_second(t).offered for t in (1.0, 2.0, 3.0, 4.0)] == [2, 1, 1, 0]


def test_what_was_started_has_a_lag_unless_it_had_to_wait() -> None:
    """A step that waits for another is achieved, but its wait is not the generator's lag."""
    account = Account(3, [0.1, 0.2, 0.3])
    account.started(0.002)
    account.started(None)
    account.started(0.004)
    row = account.close_second(1.0).to_row()
    assert (row.worker, row.offered, row.achieved) == (3, 3, 3)
    assert (row.lag_p50, row.lag_p99, row.lag_max) == (0.002, 0.004, 0.004)


def test_a_second_without_operations_has_no_lag() -> None:
    """Zeroes, not errors."""
    row = Account(0, []).close_second(1.0).to_row()
    assert (row.offered, row.achieved, row.lag_p50, row.lag_p99, row.lag_max) == (0, 0, 0.0, 0.0, 0.0)


def test_a_second_starts_from_nothing() -> None:
    """Counts are of one second, not of all."""
    account = Account(0, [])
    account.started(0.001)
    account.ended(ended("rejected", "timeout"))
    account.close_second(1.0)
    again = account.close_second(2.0)
    assert (again.achieved, again.lags, again.latencies, again.errors, again.sent) == (0, (), {}, {}, 0)


def test_progress_is_over_all_workers() -> None:
    """Rates and errors add up, p95 is of all latencies together, from the intended start."""
    one, two = Account(0, [0.5]), Account(1, [0.5, 0.6])
    one.ended(ended("acknowledged", latency=0.1))
    two.ended(ended("rejected", "timeout", latency=2.0))
    two.ended(ended("rejected", "refused", latency=0.1, sent=False))
    one.in_flight, two.in_flight = 2, 3
    seen = progress([one.close_second(1.0), two.close_second(1.0)])
    assert (seen.t, seen.offered, seen.rate, seen.p95, seen.in_flight) == (1.0, 3, 3, 2.0, 5)
    assert seen.errors == {"timeout": 1, "refused": 1}


def test_the_summary_is_over_all_seconds() -> None:
    """Outcomes, what was sent, and the p99 of all lags, not of the seconds' p99."""
    account = Account(0, [0.5] * 100 + [1.5] * 100)
    reports = []
    for second in (1.0, 2.0):
        for number in range(100):
            account.started(number / 1000 * second)
        account.ended(ended("acknowledged"))
        account.ended(ended("indeterminate", "timeout"))
        account.ended(ended("rejected", "prerequisite", sent=False))
        reports.append(account.close_second(second))
    totals = Totals()
    for report in reports:
        totals.add(report)
    total = totals.summary()
    assert (total.offered, total.achieved, total.sent) == (200, 200, 4)
    assert (total.acknowledged, total.rejected, total.indeterminate) == (2, 2, 2)
    assert total.lag_p99 == pytest.approx(0.194)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1.0), (0.5, 5.0), (0.95, 10.0), (0.99, 10.0), (1.0, 10.0), (0.1, 1.0)]
)
def test_quantiles_are_values_that_were_seen(share: float, expected: float) -> None:
    """Nearest rank: no interpolation between samples."""
    assert quantile([float(n) for n in range(1, 11)], share) == expected


def test_a_report_survives_its_way_over_the_wire() -> None:
    """Plain, encoded, decoded and built again it is equal."""
    account = Account(1, [0.5])
    account.started(0.001)
    account.ended(ended("rejected", "timeout"))
    report = account.close_second(1.0)
    assert report_from(msgspec.msgpack.decode(msgspec.msgpack.encode(asdict(report)))) == report


def test_what_is_kept_of_a_load_does_not_grow_with_its_length() -> None:
    """Lags are counted in steps of 10 microseconds: an hour holds no more of them than a minute."""
    totals = Totals()
    for second in range(200):
        totals.add(SecondReport(second, 0, 50, 50, tuple(n / 1e5 for n in range(50)), {}, {}, {}, 50, 0))
    assert len(totals.lags) == 50
    assert totals.summary().lag_p99 == pytest.approx(49e-5, abs=1e-9)
    assert Totals().summary().lag_p99 == 0.0
