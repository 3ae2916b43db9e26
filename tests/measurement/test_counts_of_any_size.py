"""Every statistic at one operation, a thousand and a million in one second: none overflows."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from experiment.scenario import Recovery
from experiment.verdict import Verdict
from faults.packet_measures import plausible
from measurement.judge import analyse
from measurement.statistics import evidently_below, more_often, proportion, share_estimate
from tests.measurement.histories import SYSTEM, history, op, scenario, steady

MANY = (1, 1_000, 1_000_000)
CRASHED_AT = 1_030  # from so many operations on an exact sum of coefficients is larger than a float


@pytest.mark.parametrize("n", [*MANY, CRASHED_AT])
def test_shares_of_one_second_are_judged_by_the_exact_binomial_law(n: int) -> None:
    """All good is not evidence against 95%, all bad is (from two on); a draw within chance never is."""
    assert not evidently_below(n, n, 0.95)
    assert evidently_below(0, n, 0.96)
    assert not evidently_below(round(0.95 * n), n, 0.95)
    assert evidently_below(round(0.9 * n), n, 0.95) is (n >= 1_000)
    for events in {0, 1, n // 2, n}:
        low, high = proportion(events, n)
        assert 0 <= low <= events / n <= high <= 1
        assert share_estimate(events, n).low == low
    assert more_often(n // 2, n // 2, n) > 0.5
    assert (more_often(0, n, n) < 0.001) is (n >= 1_000)


@pytest.mark.parametrize("n", [*MANY, CRASHED_AT])
def test_counts_of_packets_are_judged_by_the_exact_binomial_law(n: int) -> None:
    """What is expected is plausible at any number; none of many is not."""
    assert plausible(round(n / 2), n, 0.5)
    assert plausible(0, n, 0.5) is (n == 1)
    assert plausible(n, n, 0.5) is (n == 1)
    assert not plausible(n + 1, n, 0.5)


@pytest.mark.parametrize("n", [*MANY, CRASHED_AT])
@pytest.mark.parametrize("good", [True, False])
def test_a_run_with_one_full_second_is_judged(n: int, good: bool) -> None:
    """Steady check-ins, and `n` more within one second of the recovery: good ones change nothing, refused
    ones break the recovery when they are many."""
    steadily = steady()
    burst = op(len(steadily), "check_in", "more", 22.2, outcome="acknowledged" if good else "rejected")
    seen = history(*steadily, burst)
    number = pl.int_range(pl.len())
    more = seen.operations.filter(pl.col("key") == "more").select(pl.all().repeat_by(n).explode())
    more = more.with_columns(id=pl.col("id") + number, key=pl.format("more-{}", number))
    more = more.with_columns(pl.col("intended", "sent", "ended") + number / (2.5 * n)).select(
        seen.operations.columns
    )
    whole = pl.concat([seen.operations.filter(pl.col("key") != "more"), more])
    run = scenario(expect={"recovery": Recovery(within=5.0, hold=5.0)})
    analysis = analyse(replace(seen, lazy_operations=whole.lazy()), run, SYSTEM)
    row = next(one for one in analysis.journeys if (one.journey, one.phase) == ("check_in", "recovery"))
    assert row.offered == pytest.approx(n, abs=200)
    assert row.good == (row.offered if good else row.offered - n)
    assert analysis.recovery is not None
    assert (analysis.recovery.seconds == 0) is (good or n == 1)
    assert analysis.verdict in (Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE)
