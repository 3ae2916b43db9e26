"""Objectives against measurements, phase by phase."""

from __future__ import annotations

from dataclasses import replace

import pytest

from experiment.findings import no_operations
from experiment.history import Row
from experiment.rows import Operation
from experiment.scenario import Expectation, Recovery, Scenario
from experiment.units import DURATION, SHARE, parse_bound, parse_latency_bound
from measurement.analysis import ExpectationResult, RecoveryResult
from measurement.expectations import describe, judge_expectations
from measurement.quality import grade
from measurement.resilience import quality_of, time_to_recover
from tests.measurement.histories import SYSTEM, fault_events, history, op, scenario, steady

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


def healed_at(t: float, failing_until: float) -> list[Row]:
    """Check-ins that fail from 11 s on, and a fault whose heal was ordered then."""
    events = [replace(e, t=t if e.event == "heal" else e.t) for e in fault_events() if e.event != "healed"]
    return [*failing(11, failing_until), *(e for e in events if e.event in ("inject", "heal"))]


def test_after_begins_with_a_whole_second() -> None:
    """Healed at 20.4 s and never recovered: from 21 s on, of which one second of 15 was bad."""
    asked = {"after": (Expectation("check_in", success=MOST),)}
    run = scenario(expect=asked)
    seen = history(*healed_at(20.4, 22.0), with_fault=False)
    graded = grade(seen, run, SYSTEM, no_operations())
    (after,) = judge_expectations(seen, run, graded, None, 20.4)
    assert after.measured == pytest.approx(14 / 15)
    never = RecoveryResult(None, True, 9.0, "")
    (same,) = judge_expectations(seen, run, graded, never, 20.4)
    assert same.measured == after.measured
    (later,) = judge_expectations(seen, run, graded, replace(never, seconds=1.6), 20.4)
    assert later.measured == 1.0


@pytest.mark.parametrize(
    ("recovery", "status"),
    [
        (RecoveryResult(9.0, False, 9.0, ""), "met"),
        (RecoveryResult(9.1, False, 9.0, ""), "not met"),
        (RecoveryResult(None, True, 9.0, ""), "not met"),
        (RecoveryResult(None, True, 9.0, "", under_load=False), "no data"),
        (None, "no data"),
    ],
)
def test_a_recovery_is_met_in_its_time(recovery: RecoveryResult | None, status: str) -> None:
    """Where nobody could see it there is no data."""
    run, seen = scenario(expect={"recovery": Recovery(within=9.0, hold=5.0)}), history(*steady())
    graded = grade(seen, run, SYSTEM, no_operations())
    (result,) = judge_expectations(seen, run, graded, recovery, 21.0)
    assert (result.status, result.bound) == (status, "<= 9 s")
    shown = {"met": "9 s", "not met": "9.1 s" if recovery and recovery.seconds else "not met"}
    assert describe(result) == f"time to recover: {shown.get(status, status)}, expected <= 9 s"


def test_a_baseline_is_judged_without_what_the_fault_met() -> None:
    """In the fault's own phase the same operation would count."""
    assert describe(ExpectationResult("after", "pay", "success", ">= 99%", 0.931, "not met")) == (
        "pay success after recovery: 93.10%, expected >= 99%"
    )
    told = ExpectationResult("fault", "pay", "p95", "<= 1s", 2.0, "not met", "under pressure")
    assert describe(told) == "pay p95 during the fault: 2 s, expected <= 1s; under pressure"
    assert describe(ExpectationResult("baseline", "pay", "p95", "<= 1s", None, "no data")) == (
        "pay p95 in the baseline: no data, expected <= 1s"
    )


def beside(text: str, *, before: float = 0.05, now: float = 0.05, rate: int = 40) -> ExpectationResult:
    """What a bound beside the baseline makes of check-ins that take so long, give or take 4%."""

    def took(row: Operation) -> float:
        typical = now if 11 <= row.intended < 21 else before
        return typical * (1 + 0.04 * (row.id % 25 - 12) / 12)

    rows: list[Row] = [
        replace(row, ended=row.intended + took(row))
        for row in steady(rate=rate)
        if isinstance(row, Operation)
    ]
    wanted = Expectation("check_in", p95=parse_latency_bound(text))
    (result,) = judged(rows, scenario(expect={"fault": (wanted,)}))
    return result


@pytest.mark.parametrize(
    ("text", "now", "status"),
    [
        ("<= baseline + 5%", 0.05, "met"),
        ("<= baseline + 5%", 0.02, "met"),
        ("<= baseline + 5%", 0.0525, "undecided"),
        ("<= baseline + 5%", 0.06, "not met"),
        ("<= baseline + 5% + 20ms", 0.06, "met"),
        ("<= baseline + 20ms", 0.09, "not met"),
        ("baseline +- 10%", 0.05, "met"),
        ("baseline +- 10%", 0.04, "not met"),
        ("baseline +- 10%", 0.06, "not met"),
        ("baseline +- 10%", 0.045, "undecided"),
    ],
)
def test_a_bound_beside_the_baseline_is_decided_by_what_both_samples_can_tell(
    text: str, now: float, status: str
) -> None:
    """On its edge nothing is decided; away from it a difference is, one way or the other."""
    assert beside(text, now=now).status == status


@pytest.mark.parametrize(("rate", "status"), [(1, "no data"), (3, "undecided"), (8, "met")])
def test_few_operations_decide_nothing_beside_the_baseline(rate: int, status: str) -> None:
    """Ten operations have no p95, of thirty it may be anything, of eighty it is known. All take the same."""
    result = beside("<= baseline + 10%", rate=rate)
    assert result.status == status
    assert f"{10 * rate} operations before, {10 * rate} now" in describe(result)


def test_a_journey_without_a_baseline_has_no_data_beside_it() -> None:
    """What began with the fault has nothing to be compared with, however well it did."""
    rows = steady(start=11, rate=40)
    wanted = Expectation("check_in", p95=parse_latency_bound("<= baseline + 5%"))
    (result,) = judged(rows, scenario(expect={"fault": (wanted,)}))
    assert result.status == "no data"
    assert result.measured == pytest.approx(0.05)
    assert "0 operations before, 400 now, expected 20 of each at least" in describe(result)


def test_the_words_of_a_bound_beside_the_baseline_show_both_samples() -> None:
    """A reader sees what was before, what is now, how sure both are, and of how many operations."""
    assert describe(beside("<= baseline + 5%", now=0.06)) == (
        "check_in p95 during the fault: 62.2 ms, expected <= baseline + 5% "
        "(before 51.83 ms, 51.83 ms to 52 ms; now 62.2 ms to 62.4 ms; 398 operations before, 400 now)"
    )
