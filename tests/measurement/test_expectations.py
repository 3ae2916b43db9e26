"""Objectives against measurements, phase by phase."""

from __future__ import annotations

from dataclasses import replace

import pytest

from experiment.findings import no_operations
from experiment.history import Row
from experiment.rows import Operation
from experiment.scenario import Expectation, Recovery, Scenario
from experiment.units import DURATION, SHARE, parse_bound
from measurement.analysis import ExpectationResult
from measurement.expectations import describe, judge_expectations
from measurement.quality import grade
from measurement.resilience import quality_of, time_to_recover
from tests.measurement.histories import SYSTEM, history, op, scenario, steady

MOST = parse_bound(">= 95%", SHARE)


def judged(rows: list[Row], run: Scenario) -> tuple[ExpectationResult, ...]:
    seen = history(*rows)
    graded = grade(seen, run, SYSTEM, no_operations())
    quality = quality_of(seen, run, SYSTEM, graded)
    recovery = time_to_recover(quality, run.expect.recovery or Recovery())
    return judge_expectations(seen, run, graded, recovery, quality.heal_t)


def failing(start: float, end: float) -> list[Row]:
    return [
        replace(row, outcome="rejected")
        if isinstance(row, Operation) and start <= row.intended < end
        else row
        for row in steady()
    ]


def test_every_figure_that_is_named_is_judged() -> None:
    """Success and two percentiles of one journey are three results."""
    wanted = Expectation(
        "check_in", success=MOST, p50=parse_bound("<= 40ms", DURATION), p95=parse_bound("<= 60ms", DURATION)
    )
    results = judged(steady(), scenario(expect={"baseline": (wanted,)}))
    assert [(r.figure, r.status) for r in results] == [("success", "met"), ("p50", "not met"), ("p95", "met")]
    assert describe(results[1]) == "check_in p50 in the baseline: 50 ms, expected <= 40ms"


def test_phases_are_told_apart() -> None:
    """Failures of the fault are none of the baseline."""
    wanted = (Expectation("check_in", success=MOST),)
    results = judged(failing(11, 21), scenario(expect={"baseline": wanted, "fault": wanted}))
    assert [(r.phase, r.measured) for r in results] == [("baseline", 1.0), ("fault", 0.0)]


def test_after_counts_from_the_recovery() -> None:
    """Back after 4 s: what came before is the recovery's affair."""
    asked = {"after": (Expectation("check_in", success=MOST),), "recovery": Recovery(within=6.0, hold=5.0)}
    results = judged(failing(11, 25), scenario(expect=asked))
    assert [(r.phase, r.status, r.measured) for r in results] == [
        ("recovery", "met", 4.0),
        ("after", "met", 1.0),
    ]


def test_never_recovering_excuses_nothing_after() -> None:
    """Without a recovery the whole time after the heal is judged."""
    asked = {"after": (Expectation("check_in", success=MOST),), "recovery": Recovery(within=6.0, hold=5.0)}
    results = judged(failing(11, 36), scenario(expect=asked))
    assert [(r.phase, r.status, r.measured) for r in results] == [
        ("recovery", "not met", None),
        ("after", "not met", 0.0),
    ]


@pytest.mark.parametrize("journey", ["pay", "dispense"])
def test_a_journey_that_was_never_played_has_no_data(journey: str) -> None:
    """Not played is not met."""
    results = judged(steady(), scenario(expect={"fault": (Expectation(journey, success=MOST),)}))
    assert [(r.status, r.measured) for r in results] == [("no data", None)]


@pytest.mark.parametrize(("ended", "counts"), [(10.9, True), (12.0, False)])
def test_what_the_fault_cut_off_is_no_fault_of_the_baseline(ended: float, counts: bool) -> None:
    """An operation that was under way at the injection met the fault; one that failed before it did not."""
    cut = replace(op(9001, "check_in", "enc-cut", 10.8, outcome="indeterminate"), ended=ended)
    wanted = Expectation("check_in", success=MOST)
    (result,) = judged([*steady(), cut], scenario(expect={"baseline": (wanted,)}))
    assert result.measured is not None
    assert (result.measured < 1.0) is counts
