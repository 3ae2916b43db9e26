"""The four numbers of a suite."""

from __future__ import annotations

import pytest

from execution.campaigns.suite_numbers import (
    coverable,
    entry_met,
    four_numbers,
    repeated_entries,
    weighted_mean,
)
from experiment.suite import Entry, Suite
from experiment.verdict import Verdict
from measurement.run_records import RunRecord
from tests.execution.builders import SYSTEM, record

SUITE = Suite("two", (Entry("a", "d", impact=3.0), Entry("b", "d")))


def test_weights_count() -> None:
    """A scenario of weight three pulls the mean three times as hard."""
    records = [record(0, score=100.0), record(1, score=60.0)]
    assert weighted_mean(SUITE, {0, 1}, records) == pytest.approx(90.0)


def test_an_unknown_score_leaves_the_mean_unknown() -> None:
    """An invalid run is not left out of the mean, it makes it unknown."""
    assert weighted_mean(SUITE, {0, 1}, [record(0, score=100.0), record(1, score=None)]) is None


def test_a_run_that_is_missing_leaves_the_mean_unknown() -> None:
    """A scenario that was not run is not left out either."""
    assert weighted_mean(SUITE, {0, 1}, [record(0, score=100.0)]) is None


def test_coverage_counts_places_and_classes_once() -> None:
    """Blackhole and refusal on one link are the same class."""
    link = "front -> back"
    records = [
        record(0, score=90.0, exercised=((link, "blackhole"),)),
        record(1, score=50.0, exercised=((link, "refusal"), ("back", "crash"))),
    ]
    (numbers,) = four_numbers(SUITE, records, SYSTEM, [1])
    assert numbers.covered == 2
    assert numbers.coverable == len(coverable(SYSTEM))
    assert (numbers.worst, numbers.worst_scenario) == (50.0, "s1")


def test_repeats_give_an_interval() -> None:
    """Three seeds give the mean an interval; one does not."""
    records = [record(entry, seed, score=80.0 + seed) for seed in (1, 2, 3) for entry in (0, 1)]
    (numbers,) = four_numbers(SUITE, records, SYSTEM, [1, 2, 3])
    assert numbers.interval is not None and numbers.mean is not None
    assert numbers.interval[0] < numbers.mean < numbers.interval[1]
    (single,) = four_numbers(SUITE, records[:2], SYSTEM, [1])
    assert single.interval is None


@pytest.mark.parametrize(("second", "unscored"), [([], 1), ([record(1, score=None)], 1), ([record(1)], 0)])
def test_the_worst_says_how_many_runs_have_no_score(second: list[RunRecord], unscored: int) -> None:
    """Not run, or invalid: the worst of the others is not the worst of all."""
    (numbers,) = four_numbers(SUITE, [record(0, score=60.0), *second], SYSTEM, [1])
    assert (numbers.worst, numbers.unscored) == (60.0, unscored)


def test_a_seed_that_was_not_begun_leaves_the_mean_unknown() -> None:
    """A suite cut off between two seeds has no mean of the first alone, and its runs count as missing."""
    records = [record(0, score=80.0), record(1, score=80.0)]
    (numbers,) = four_numbers(SUITE, records, SYSTEM, [1, 2])
    assert (numbers.mean, numbers.interval, numbers.unscored) == (None, None, 2)


def test_vetoes_are_counted() -> None:
    """Vetoed runs stand in a number of their own."""
    records = [record(0, score=0.0, vetoed=True), record(1, score=90.0)]
    (numbers,) = four_numbers(SUITE, records, SYSTEM, [1])
    assert numbers.vetoes == 1


def test_every_figure_of_repeats_has_an_interval() -> None:
    """Five seeds of one entry: score, time to recover and merged latencies, and what was as expected."""
    records = [
        record(0, seed, score=80.0 + seed, recovery_s=float(seed), baseline_latency=((400 + seed, 50),))
        for seed in range(1, 6)
    ]
    row = repeated_entries(SUITE, records)[0]
    assert (row.runs, row.met, row.invalid) == (5, 5, 0)
    assert row.score is not None and row.score.low is not None
    assert row.recovery is not None and row.recovery.median == 3.0
    assert row.baseline_p95 is not None and row.baseline_p95.low is not None
    assert row.load_p95 is None


def test_one_run_each_has_no_table_of_repeats() -> None:
    """Nothing is repeated, so nothing is told about repeats."""
    assert repeated_entries(SUITE, [record(0), record(1)]) == ()


def test_a_failure_counts_only_for_its_reasons() -> None:
    """The invariants that must break and the objectives that must be missed, both."""
    entry = Entry("a", "d", expect="fail", violates=("x",), misses=("pay p95 in fault",))
    missed = ("pay p95 in fault", "recovers")
    assert entry_met(entry, record(0, verdict=Verdict.FAIL, violated=("x", "y"), missed=missed))
    assert not entry_met(entry, record(0, verdict=Verdict.FAIL, violated=("x",), missed=("recovers",)))
    assert not entry_met(entry, record(0, verdict=Verdict.FAIL, violated=(), missed=missed))
    assert not entry_met(entry, record(0, verdict=Verdict.PASS, violated=("x",), missed=missed))
