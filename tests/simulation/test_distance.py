"""The distance between live and simulated runs: close, apart, or not known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from experiment.history import Sample
from measurement.judge import analyse
from measurement.statistics import Estimate, mean_estimate
from simulation.closeness import Tolerance, judged
from simulation.distance import Pair, distance
from simulation.distance_pages import closing, distance_lines, figures, markdown_page
from simulation.model.run import simulate
from tests.simulation.reference import plan, scenario, system, usual_sizes

TENTH = Tolerance("within 10%", 0.1)


def estimate(value: float, low: float | None, high: float | None) -> Estimate:
    return Estimate(value, low, high, 50, "as given")


@pytest.mark.parametrize(
    ("live", "simulated", "close"),
    [
        (estimate(1.0, 0.5, 3.0), estimate(1.09, 0.6, 3.0), True),
        (estimate(1.0, 0.98, 1.02), estimate(1.2, 1.18, 1.22), False),
        (estimate(1.0, 0.98, 1.02), estimate(0.8, 0.78, 0.82), False),
        (estimate(0.0174, 0.016, 0.316), estimate(0.0319, 0.031, 0.033), None),
        (estimate(0.0319, 0.031, 0.033), estimate(0.0174, 0.016, 0.316), None),
        (estimate(1.0, 0.3, 1.02), estimate(1.2, 1.18, 5.0), False),
        (estimate(1.0, 0.98, 1.4), estimate(1.2, 1.18, 1.22), None),
        (estimate(1.0, 0.98, 1.02), estimate(1.2, 1.05, 1.22), None),
        (estimate(0.0, 0.0, 0.0), estimate(1.0, 0.9, 1.1), False),
        (estimate(1.0, None, None), estimate(2.0, None, None), None),
    ],
)
def test_apart_is_what_no_end_of_an_interval_brings_within_the_tolerance(
    live: Estimate, simulated: Estimate, close: bool | None
) -> None:
    """Only the ends that face each other count, those of both sides; points alone make close, never apart."""
    assert judged("a figure", live, simulated, TENTH, 1).close is close


def test_what_is_not_known_says_how_many_runs_would_tell() -> None:
    """An interval four times as wide as what is over the tolerance needs 16 times the runs."""
    wide = judged("a figure", estimate(1.0, 1.0, 1.0), estimate(2.0, 0.0, 3.0), Tolerance("half", 0.5), 2)
    assert wide.note == "the intervals are too wide to say; about 32 runs would tell"
    hopeless = judged("a figure", estimate(1.0, 1.0, 1.0), estimate(1.101, 0.5, 2.0), TENTH, 1)
    assert "more than 1000 runs" in hopeless.note
    alone = judged("a figure", estimate(1.0, None, None), estimate(2.0, None, None), TENTH, 1)
    assert alone.note == "one run has no interval: several would tell"
    assert figures(wide) == f"live 1 (1 to 1), simulated 2 (0 to 3); {wide.note}"


def test_inside_the_interval_is_close_where_the_rule_says_so() -> None:
    """A share inside the binomial interval of the live one is no difference that was seen."""
    live, simulated = estimate(0.1, 0.01, 0.3), estimate(0.25, 0.1, 0.4)
    assert judged("a share", live, simulated, Tolerance("", inside=True), 1).close is True
    assert judged("a share", live, simulated, Tolerance(""), 1).close is None


def test_a_median_between_two_humps_is_not_known() -> None:
    """Where half of the operations wait and half do not, the median lies anywhere: no run puts it apart."""
    pair = a_pair("control", 1, usual_sizes(), usual_sizes())
    rng = np.random.default_rng(5)

    def two_humps(history: Any, waiting: float) -> Any:
        operations = history.operations
        took = np.where(rng.random(len(operations)) < waiting, 0.3, 0.016) + rng.normal(
            0, 1e-4, len(operations)
        )
        return replace(
            history, lazy_operations=operations.lazy().with_columns(ended=pl.col("intended") + took)
        )

    pair = replace(pair, live=two_humps(pair.live, 0.49), twin=two_humps(pair.twin, 0.51))
    medians = [gap for gap in distance([pair]).gaps if " p50 " in gap.quantity and gap.live is not None]
    assert medians
    assert not [gap for gap in medians if gap.close is False]
    shifted = replace(pair, live=two_humps(pair.live, 0.1), twin=two_humps(pair.twin, 0.9))
    assert [gap for gap in distance([shifted]).gaps if " p50 " in gap.quantity and gap.close is False]


def test_recovery_is_a_time_and_a_share_of_the_runs() -> None:
    """A run of two that never recovered is not enough to say that the twin is wrong."""
    pairs = [a_pair("charge_response_lost", seed, usual_sizes(), usual_sizes()) for seed in (1, 2)]
    recovery = pairs[0].twin_analysis.recovery
    assert recovery is not None and recovery.seconds is not None
    never = replace(pairs[0].twin_analysis, recovery=replace(recovery, seconds=None))
    pairs[0] = replace(pairs[0], twin_analysis=never)
    gaps = {gap.quantity: gap for gap in distance(pairs).gaps}
    share = gaps["recovered, share of runs"]
    assert (share.live, share.simulated, share.counts) == (1.0, 0.5, (2, 2))
    assert share.close is not False


def a_pair(name: str, seed: int, live: Any, twin: Any) -> Pair:
    wanted, one = plan(name, "fragile", seed), scenario(name)
    ours, theirs = simulate(wanted, live), simulate(wanted, twin)
    return Pair(ours, analyse(ours, one, system()), theirs, analyse(theirs, one, system()))


def test_a_tail_that_one_run_cannot_show_is_said_and_shown_by_several() -> None:
    """A percentile with too few operations is a row with its counts; pooled over seeds it is judged."""
    sizes = usual_sizes()
    pairs = [a_pair("control", seed, sizes, sizes) for seed in (1, 2, 3)]
    alone = {gap.quantity: gap for gap in distance(pairs[:1]).gaps}["all journeys p99 baseline, s"]
    assert alone.close is None and alone.live is None
    assert alone.counts is not None
    counted = f"{alone.counts[0]} live and {alone.counts[1]} simulated"
    assert alone.note == f"too few: {counted}, 400 needed; about 2 runs would do"
    found = distance(pairs)
    pooled = {gap.quantity: gap for gap in found.gaps}["all journeys p99 baseline, s"]
    assert pooled.close is True and pooled.counts is not None and min(pooled.counts) >= 400
    assert found.seeds == (1, 2, 3) and found.outcome == "close"
    assert not found.apart


def test_every_safety_property_has_its_share() -> None:
    """Violations of what was exposed, of every property that either side exercised; nothing else is shown."""
    pair = a_pair("charge_response_lost", 1, usual_sizes(), usual_sizes())
    gaps = {gap.quantity: gap for gap in distance([pair]).gaps}
    check = next(c for c in pair.live_analysis.checks if c.checker == "no_duplicate_charge")
    gap = gaps["no_duplicate_charge, violations of what was exposed"]
    assert gap.live == gap.simulated == check.violation_count / check.exposed > 0 and gap.close
    exposed = {c.checker for c in pair.live_analysis.checks if c.safety and c.exposed}
    assert {q.split(",")[0] for q in gaps if q.endswith("violations of what was exposed")} == exposed


def test_a_counter_that_the_live_services_do_not_have_is_not_known() -> None:
    """A service without metrics has not counted zero retries."""
    pair = a_pair("control", 1, usual_sizes(), usual_sizes())
    silent = replace(pair.live, samples=tuple(s for s in pair.live.samples if s.name != "retries"))
    gaps = {gap.quantity: gap for gap in distance([replace(pair, live=silent)]).gaps}
    assert (gaps["retries"].close, gaps["retries"].note) == (None, "the services do not count them")
    assert gaps["breaker openings"].close is True


def test_a_counter_that_only_one_side_has_counts() -> None:
    """Retries on a link that the live run never used are as far apart as any."""
    pair = a_pair("control", 1, usual_sizes(), usual_sizes())
    retries = [Sample(9.0, "billing", "retries", 50.0, "nowhere")]
    twin = replace(pair.twin, samples=(*pair.twin.samples, *retries))
    gaps = {gap.quantity: gap for gap in distance([replace(pair, twin=twin)]).gaps}
    assert gaps["retries"].simulated == 50.0
    assert gaps["retries"].close is False


def test_figures_that_are_alike_are_taken_at_their_word() -> None:
    """Neither side spreads: what lies beyond the tolerance is apart, not unknown for want of an interval."""
    live, twin = mean_estimate([2.0] * 3), mean_estimate([5.0] * 3)
    assert judged("time to recover, s", live, twin, TENTH, 3).close is False
    assert judged("time to recover, s", live, live, TENTH, 3).close is True


def test_what_a_comparison_says_follows_from_its_verdicts_and_figures() -> None:
    """An invalid run says nothing, however far apart; a different verdict is apart, however close."""
    found = distance([a_pair("charge_response_lost", seed, usual_sizes(), usual_sizes()) for seed in (1, 2)])
    assert found.outcome == "close"
    recovered = {gap.quantity: gap for gap in found.gaps}["time to recover, s"]
    assert (recovered.live, recovered.low, recovered.counts) == (0.0, None, (2, 2))  # both at once: all alike
    assert replace(found, verdicts=(("fail", "pass"),)).outcome == "apart"
    assert replace(found, verdicts=(("invalid", "pass"),)).outcome == "not known"
    assert replace(found, gaps=()).outcome == "not known"
    assert any("recovered, share of runs" in line for line in distance_lines(found, "x"))
    page = markdown_page([(found, "x")])
    assert "| charge_response_lost | fragile | 2 |" in page
    assert "the same verdict in 1 of 1 comparison;" in closing([found])
