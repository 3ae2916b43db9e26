"""What was offered, good and slow: by phase, by second, and in Q."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from experiment.findings import no_operations
from experiment.history import History, Row
from experiment.rows import Operation
from experiment.scenario import Expectation, Recovery, Scenario
from experiment.units import DURATION, SHARE, parse_bound
from experiment.verdict import Verdict
from measurement.degradation import by_phase, timelines
from measurement.histogram import quantile
from measurement.properties.recovers import of_recovery
from measurement.quality import _phase, grade
from measurement.resilience import Quality, quality_of, time_to_recover
from measurement.statistics import evidently_below, proportion
from measurement.windows import phase_spans
from tests.measurement.histories import SYSTEM, fault_events, history, op, scenario, steady


def quality(seen: History, run: Scenario | None = None) -> Quality:
    run = run or scenario()
    return quality_of(seen, run, SYSTEM, grade(seen, run, SYSTEM, no_operations()))


def failing(rows: list[Row], start: float, end: float, share: int = 1) -> list[Row]:
    """Every `share`-th operation intended in [start, end) fails."""
    return [
        replace(row, outcome="rejected")
        if isinstance(row, Operation) and start <= row.intended < end and row.id % share == 0
        else row
        for row in rows
    ]


def test_phases_count_by_intended_start() -> None:
    """An operation begun in the baseline and ended under the fault belongs to the baseline."""
    seen = history(op(1, "pay", "inv-1", 10.9, 0.5), op(2, "pay", "inv-2", 11.0, 0.5))
    graded = grade(seen, scenario(), SYSTEM, no_operations())
    rows = by_phase(graded, phase_spans(seen, scenario()))
    assert [(row.phase, row.offered, row.good) for row in rows] == [("baseline", 1, 1), ("fault", 1, 1)]


def test_errors_are_counted_by_kind_and_refusals_do_not_flatter_percentiles() -> None:
    """Quick refusals are errors, no latencies: p50 is that of the answers and the timeouts."""
    rows = [op(i, "pay", f"inv-{i}", 2 + i / 100, 0.001, "rejected", status=503) for i in range(50)]
    rows += [
        op(100 + i, "pay", f"inv-{i}", 3 + i / 100, 2.0, "indeterminate", error="timeout") for i in range(3)
    ]
    rows += [op(200, "pay", "inv-9", 4.0, 0.1)]
    graded = grade(history(*rows), scenario(), SYSTEM, no_operations())
    row = by_phase(graded, phase_spans(history(*rows), scenario()))[0]
    assert row.errors == {"status 503": 50, "timeout": 3}
    assert row.p50 == pytest.approx(2.0)
    assert (row.rejected, row.indeterminate, row.acknowledged) == (50, 3, 1)
    assert row.p95 is None


def test_a_read_that_timed_out_is_in_the_percentiles() -> None:
    """A read has no effect to be unsure of, so that its timeout is a rejection; its user waited all the same.
    Half of the reads time out after 5 s: so is the p95, in the phase, its histogram and its seconds."""
    rows = [
        op(i, "view_dose", f"rx-{i}", 2 + i / 20, 5.0, "rejected", error="timeout")
        if i % 2
        else op(i, "view_dose", f"rx-{i}", 2 + i / 20, 0.01)
        for i in range(100)
    ]
    seen = history(*rows)
    graded = grade(seen, scenario(), SYSTEM, no_operations())
    row = by_phase(graded, phase_spans(seen, scenario()))[0]
    assert row.p95 == pytest.approx(5.0)
    assert quantile(row.histogram, 0.95) == pytest.approx(5.0, rel=0.02)
    assert quality(seen).table.filter(pl.col("journey") == "view_dose")["p95"][0] == pytest.approx(5.0)


def test_a_failure_is_waited_for_from_the_tightest_bound_on() -> None:
    """Refused after 600 ms: quick for the journey's 1 s, not for a scenario that asks for 500 ms."""
    rows = [op(i, "pay", f"inv-{i}", 2 + i / 20, 0.6, "rejected", status=503) for i in range(50)]
    asked = scenario(expect={"baseline": (Expectation("pay", p95=parse_bound("<= 500ms", DURATION)),)})
    found = [
        by_phase(grade(history(*rows), run, SYSTEM, no_operations()), phase_spans(history(*rows), run))[0].p95
        for run in (scenario(), asked)
    ]
    assert found == [None, pytest.approx(0.6)]


def test_what_was_never_sent_is_not_offered() -> None:
    """The claim failed, so the payment was not sent: the loss is counted once, at the claim."""
    rows = [
        op(1, "claim", "inv-1", 2.0, outcome="rejected"),
        op(2, "pay", "inv-1", 2.4, outcome="rejected", sent=None, error="prerequisite"),
    ]
    graded = grade(history(*rows), scenario(), SYSTEM, no_operations())
    pay = next(r for r in by_phase(graded, phase_spans(history(*rows), scenario())) if r.journey == "pay")
    assert (pay.offered, pay.not_sent, pay.errors, pay.success_ratio) == (0, 1, {}, None)


def test_good_is_in_time_unlabelled_and_right() -> None:
    """Slow, labelled or semantically wrong answers are acknowledged and not good."""
    rows = [
        op(1, "pay", "inv-1", 2.0, 0.9),
        op(2, "pay", "inv-2", 2.0, 1.1),
        op(3, "pay", "inv-3", 2.0, label="pending"),
        op(4, "pay", "inv-4", 2.0),
    ]
    graded = grade(history(*rows), scenario(), SYSTEM, pl.Series("id", [4]))
    row = by_phase(graded, phase_spans(history(*rows), scenario()))[0]
    assert (row.acknowledged, row.good) == (4, 1)
    assert row.success_ratio == 0.5  # in time or not: 1 and 2; labelled and wrong are no success


def test_the_degraded_profile_counts_only_where_it_is_allowed() -> None:
    """Pending is good under the fault when the scenario says so, and not in the baseline."""
    rows = [
        op(1, "check_in", "enc-1", 5.0, label="pending"),
        op(2, "check_in", "enc-2", 15.0, label="pending"),
    ]
    run = scenario(
        expect={"fault": (Expectation("check_in", success=parse_bound(">= 99%", SHARE), degraded=True),)}
    )
    graded = grade(history(*rows), run, SYSTEM, no_operations())
    assert [row.good for row in by_phase(graded, phase_spans(history(*rows), run))] == [0, 1]


def test_a_degraded_profile_may_name_the_labels_that_count() -> None:
    """Each label of an answer must be among them; what has none is good as ever."""
    labels = ["cached", "pending", "cached, pending", "cached, stale", "stale", None]
    rows = [op(n, "check_in", f"enc-{n}", 15.0 + n / 10, label=label) for n, label in enumerate(labels)]
    bound = parse_bound(">= 50%", SHARE)
    for allowed, good in ((("cached",), 2), (("cached", "pending"), 4), (("stale",), 2)):
        run = scenario(expect={"fault": (Expectation("check_in", success=bound, degraded=allowed),)})
        graded = grade(history(*rows), run, SYSTEM, no_operations())
        (phase,) = by_phase(graded, phase_spans(history(*rows), run))
        assert phase.good == good, allowed


def test_a_refusal_is_good_where_the_scenario_asks_for_it() -> None:
    """With one of the named statuses, in that phase, in time; told as a label. A success is good as ever."""
    busy = {"status": 503, "error": "shed"}
    rows = [
        op(1, "check_in", "enc-1", 5.0, 0.1, "rejected", **busy),
        op(2, "check_in", "enc-2", 15.0, 0.1, "rejected", **busy),
        op(3, "check_in", "enc-3", 15.1, 0.1, "rejected", status=404, error="not_found"),
        op(4, "check_in", "enc-4", 15.2, 1.9, "rejected", **busy),
        op(5, "check_in", "enc-5", 15.3, 0.1, "indeterminate", **busy),
        op(6, "check_in", "enc-6", 15.4, 0.1),
        op(7, "pay", "inv-7", 15.5, 0.1, "rejected", **busy),
    ]
    asked = Expectation("check_in", success=parse_bound(">= 99%", SHARE), refused=(503,))
    run = scenario(expect={"fault": (asked,)})
    graded = grade(history(*rows), run, SYSTEM, no_operations())
    before, during, other = by_phase(graded, phase_spans(history(*rows), run))
    assert (before.good, before.errors, other.good) == (0, {"shed": 1}, 0)
    assert (during.good, during.success_ratio) == (
        2,
        0.6,
    )  # 2 and 6; 4 comes too late, which is no matter of success
    assert (during.errors, during.labels) == ({"not_found": 1, "shed": 1}, {"refused 503": 2})
    assert graded.filter(pl.col("label").is_not_null())["waited"].all()


def test_a_late_answer_is_good_where_the_scenario_allows_the_time() -> None:
    """In that phase and of that journey only, and not later than it says."""
    rows = [
        op(1, "pay", "inv-1", 5.0, 1.5),
        op(2, "pay", "inv-2", 15.0, 1.5),
        op(3, "pay", "inv-3", 15.1, 2.1),
        op(4, "pay", "inv-4", 15.2, 1.5, label="pending"),
    ]
    asked = Expectation("pay", success=parse_bound(">= 99%", SHARE), good_within=2.0)
    run = scenario(expect={"fault": (asked,)})
    graded = grade(history(*rows), run, SYSTEM, no_operations())
    assert [row.good for row in by_phase(graded, phase_spans(history(*rows), run))] == [0, 1]


def test_timelines_have_an_entry_for_every_second() -> None:
    """Empty seconds are empty, not zero quality."""
    began = op(3, "pay", "inv-3", 0.5)
    seen = history(began, op(1, "pay", "inv-1", 2.2, 0.3), op(2, "pay", "inv-2", 34.0, 0.1, "rejected"))
    q, graded = quality(seen), grade(seen, scenario(), SYSTEM, no_operations())
    lines = timelines(graded, q.table, {**q.journeys, "all": q.combined}, q.seconds)
    assert [line.journey for line in lines] == ["all", "pay"]
    pay = lines[1]
    assert len(pay.offered) == len(pay.q) == q.seconds == 35
    assert (pay.offered[0], pay.offered[2], pay.good[2], pay.errors[34]) == (1, 1, 1, 1)
    assert pay.q[3] is None
    assert pay.q[34] == 0.0
    assert pay.max[2] == pytest.approx(0.3)


def test_a_percentile_of_few_operations_is_that_of_the_seconds_around_it() -> None:
    """10 operations a second: p95 is that of 2 s, p99 that of the phase. No block reaches over a phase."""
    seen = history(*steady())
    q, graded = quality(seen), grade(seen, scenario(), SYSTEM, no_operations())
    (whole, _) = timelines(graded, q.table, {**q.journeys, "all": q.combined}, q.seconds)
    table = graded.filter((pl.col("phase") == "baseline") & pl.col("waited"))
    seconds = table["bucket"].to_list()
    begins, ends = min(seconds), max(seconds)
    assert None not in whole.p50 and None not in whole.p95[begins : ends + 1]
    expected = table["latency"].quantile(0.99, "higher") if table.height >= 100 else None
    assert set(whole.p99[begins : ends + 1]) == {expected}


def test_q_is_normalised_by_the_runs_own_baseline() -> None:
    """Half good before the fault and half good under it is no degradation."""
    q = quality(history(*failing(steady(), 0, 36, share=2)))
    assert q.baseline == {"check_in": 0.5}
    assert np.nanmin(q.combined) == pytest.approx(1.0)


def test_q_weighs_journeys_by_criticality() -> None:
    """Payments (weight 2) fail under the fault, check-ins (weight 1) go on: Q is one third."""
    pays = [replace(row, id=row.id + 1000) for row in steady("pay") if isinstance(row, Operation)]
    q = quality(history(*steady(), *failing(list(pays), 11, 21)))
    assert q.combined[15] == pytest.approx(1 / 3)
    assert q.combined[25] == pytest.approx(1.0)
    assert q.fault == (11, 21)


@pytest.mark.parametrize(("back", "expected"), [(21.0, 0.0), (24.0, 3.0), (29.0, 8.0)])
def test_time_to_recover_counts_from_the_heal(back: float, expected: float) -> None:
    """Healed at 21 s, back at a known second."""
    q = quality(history(*failing(steady(), 11, back)))
    result = time_to_recover(q, Recovery(within=9.0, hold=5.0))
    assert result is not None
    assert result.seconds == pytest.approx(expected)


def test_a_relapse_within_the_hold_is_no_recovery() -> None:
    """Back at 22 s, gone again from 24 s to 28 s: recovered at 28 s."""
    rows = failing(failing(steady(), 11, 22), 24, 28)
    result = time_to_recover(quality(history(*rows)), Recovery(within=9.0, hold=5.0))
    assert result is not None
    assert result.seconds == pytest.approx(7.0)


def test_a_single_weak_second_does_not_undo_a_recovery() -> None:
    """One failure of ten in one second: the mean over the hold is still above the share."""
    rows = failing(failing(steady(), 11, 21), 24, 25, share=10)
    result = time_to_recover(quality(history(*rows)), Recovery(within=9.0, hold=5.0))
    assert result is not None
    assert result.seconds == 0.0


def test_an_evidently_bad_second_is_no_part_of_a_hold() -> None:
    """22 s to 23 s: 6 of 10 good. The mean over 10 s is 96% all the same; 95% would hardly show 6."""
    rows = failing(failing(steady(), 11, 21), 22.55, 23)
    result = time_to_recover(quality(history(*rows)), Recovery(within=5.0, hold=10.0))
    assert result is not None
    assert result.seconds == pytest.approx(2.0)
    assert "and stayed there for 10 s" in result.statement


@pytest.mark.parametrize(
    ("good", "of", "below"),
    [(9, 10, False), (4, 5, False), (3, 5, True), (1, 2, False), (8, 10, False), (7, 10, True)],
)
def test_a_small_second_needs_more_than_one_failure_to_be_evidently_bad(
    good: int, of: int, below: bool
) -> None:
    """One failure is within chance at any rate: a second of 5 at 95% has one with 20%, two with 2%."""
    assert evidently_below(good, of, 0.95) is below


@pytest.mark.parametrize("n", [1, 1_000, 1_000_000])
def test_a_second_of_any_size_can_be_judged(n: int) -> None:
    """All good is never below, none good always is where one failure can say so; sums of powers
    overflowed above 1,029 operations in a second."""
    assert evidently_below(n, n, 0.95) is False
    assert evidently_below(0, n, 0.99) is True
    low, high = proportion(n, n)
    assert 0.0 <= low <= high == 1.0


def test_the_border_of_evidence_is_exact_at_a_thousand_operations() -> None:
    """P(X <= 937 of 1,000 at 95%) = 0.0384 and P(X <= 938) = 0.0511, by exact rational arithmetic."""
    assert evidently_below(937, 1000, 0.95) is True
    assert evidently_below(938, 1000, 0.95) is False


def test_silence_after_the_heal_is_no_recovery() -> None:
    """Operations in the first second after the heal and in the last one: no hold was under load, so that
    nothing is known, and nothing is met."""
    rows = [*steady(stop=22), op(9000, "check_in", "late", 35.5)]
    seen = history(*rows)
    result = time_to_recover(quality(seen), Recovery(within=5.0, hold=10.0))
    assert result is not None
    assert (result.seconds, result.under_load) == (None, False)
    assert of_recovery(result).verdict is Verdict.INCONCLUSIVE


def test_a_hold_must_end_under_load() -> None:
    """Healed at 21 s, load until 30 s: no 10 s have operations in 8 of 10 seconds and in the last one."""
    result = time_to_recover(quality(history(*steady(stop=30), op(1, "pay", "x", 35.9))), Recovery(5.0, 10.0))
    assert result is not None
    assert not result.under_load


def test_a_journey_without_a_usable_baseline_does_not_vanish() -> None:
    """Payments begin under the fault and all fail: they are not normalised, and they are not left out."""
    pays = [op(1000 + i, "pay", f"inv-{i}", 11 + i / 10, outcome="rejected") for i in range(100)]
    q = quality(history(*steady(), *pays))
    assert q.combined[15] == pytest.approx(1 / 3)


def test_what_never_came_back_is_censored() -> None:
    """It is known only that it took longer than the 15 s that were observed."""
    result = time_to_recover(quality(history(*failing(steady(), 11, 36))), Recovery(within=9.0, hold=5.0))
    assert result is not None
    assert result.censored
    assert result.seconds is None
    assert "15.0 s of load observed" in result.statement


def recovering(
    curve: list[float], heal: float = 10.0, counts: int = 100, empty: tuple[int, ...] = ()
) -> Quality:
    """Q of a fault from 5 s to `heal`, then this curve, of so many operations in each second but the empty
    ones, which count from the heal."""
    levels = np.array([1.0] * 5 + [0.5] * 5 + curve)
    support = np.full(len(levels), float(counts))
    for second in empty:
        levels[10 + second], support[10 + second] = np.nan, 0.0
    ranges = ((0, 5), (5, 10), (10, len(levels)))
    return Quality(
        pl.DataFrame(), {}, {}, levels, support, {}, {}, len(levels), ranges[0], ranges[1], ranges[2], heal
    )


def recovered_in(
    curve: list[float], within: float, hold: float, share: float = 0.95, **how: Any
) -> float | None:
    result = time_to_recover(recovering(curve, **how), Recovery(within, hold, share))
    assert result is not None
    assert result.censored is (result.seconds is None)
    return result.seconds


def test_there_is_no_time_to_recover_without_a_fault() -> None:
    """Nothing was healed."""
    assert time_to_recover(quality(history(*steady(), with_fault=False)), Recovery(5.0, 5.0)) is None


def test_a_hold_must_lie_within_the_load() -> None:
    """Of 15 s after the heal the last 10 are a hold of 10 s, the last 9 are none."""
    assert recovered_in([0.5] * 5 + [1.0] * 10, 5.0, 10.0) == 5.0
    assert recovered_in([0.5] * 6 + [1.0] * 9, 5.0, 10.0) is None


@pytest.mark.parametrize(
    ("within", "hold", "held"),
    [(5.0, 10.0, 10), (10.0, 10.0, 5), (14.0, 10.0, 3), (14.99, 10.0, 3), (15.0, 10.0, 8), (60.0, 10.0, 8)],
)
def test_a_hold_is_shortened_to_what_the_load_leaves(within: float, hold: float, held: int) -> None:
    """Of 15 s: what is left after `within`, 3 s at least, half of the load where nothing is left."""
    assert recovered_in([0.5] * (15 - held) + [1.0] * held, within, hold) == 15 - held
    assert recovered_in([0.5] * (16 - held) + [1.0] * (held - 1), within, hold) is None


def test_the_share_itself_is_enough() -> None:
    """Q at one half of one half: in the first second, in the mean, and by the count of every second."""
    assert recovered_in([0.5] * 15, 5.0, 10.0, share=0.5) == 0.0
    assert recovered_in([0.4] + [0.5] * 14, 5.0, 10.0, share=0.5) == 1.0


def test_a_hold_begins_with_a_good_second() -> None:
    """94% in the first second is chance at 100 operations, and not yet a recovery."""
    assert recovered_in([0.94] + [1.0] * 14, 5.0, 10.0) == 1.0
    assert recovered_in([1.0, 0.94] + [1.0] * 13, 5.0, 10.0) == 0.0


def test_the_mean_of_a_hold_counts_too() -> None:
    """94% is below 95% by chance in each second, and not in all of ten."""
    assert recovered_in([0.96] + [0.94] * 14, 5.0, 10.0) is None


@pytest.mark.parametrize(
    ("empty", "seconds"), [((1, 2), 0.0), ((1, 2, 3), 4.0), ((0,), 1.0), ((9,), 1.0), ((1, 2, 9), 3.0)]
)
def test_a_hold_is_under_load(empty: tuple[int, ...], seconds: float) -> None:
    """8 seconds of 10 have operations, the first and the last one among them."""
    assert recovered_in([1.0] * 15, 5.0, 10.0, empty=empty) == seconds


def test_a_heal_within_a_second_is_counted_from_its_own_time() -> None:
    """Healed at 10.4 s: back at once is 0 s, back from 13 s on is 2.6 s; 14.6 s were observed."""
    assert recovered_in([1.0] * 15, 5.0, 9.0, heal=10.4) == 0.0
    assert recovered_in([0.5] * 3 + [1.0] * 12, 5.0, 9.0, heal=10.4) == pytest.approx(2.6)
    lost = time_to_recover(recovering([0.5] * 15, heal=10.4), Recovery(5.0, 9.0))
    assert lost is not None
    assert lost.statement == (
        "good answers did not stay at 95% of the baseline for 9 s within the 14.6 s of load observed after "
        "the heal"
    )
    back = time_to_recover(recovering([0.5] * 3 + [1.0] * 12), Recovery(5.0, 9.0))
    assert back is not None
    assert back.statement == (
        "good answers were back at 95% of the baseline 3 s after the heal, and stayed there for 9 s"
    )
    assert (back.budget, back.under_load) == (5.0, True)


def test_a_run_without_faults_is_not_divided_by_itself() -> None:
    """Half good all along is Q of one half, and there is neither fault nor recovery."""
    q = quality(history(*failing(steady(), 0, 36, share=2), with_fault=False))
    assert np.nanmax(q.combined) == pytest.approx(0.5)
    assert (q.fault, q.recovery, q.heal_t) == (None, None, None)


def test_seconds_belong_to_baseline_fault_and_recovery() -> None:
    """As phases and injection were; the last whole second of the load is the last of Q."""
    q = quality(history(*steady()))
    assert (q.baseline_span, q.fault, q.recovery, q.heal_t) == ((1, 11), (11, 21), (21, 36), 21.0)
    assert q.seconds == len(q.combined) == len(q.support) == 36
    assert quality(history(*steady(stop=30))).recovery == (21, 30)
    assert quality(history()).seconds == 0


def test_the_shortest_fault_has_one_second() -> None:
    """Injected at 11.2 s and healed at 11.4 s: the second before the heal is judged."""
    events = [
        replace(event, t=11.2 if event.event == "inject" else 11.4)
        for event in fault_events()
        if event.event in ("inject", "heal")
    ]
    q = quality(history(*steady(), *events, with_fault=False))
    assert (q.fault, q.recovery) == ((10, 11), (11, 36))


def test_a_second_supports_as_much_as_its_rarest_critical_journey() -> None:
    """10 check-ins (weight 1) and 5 payments (weight 2): 3^2 / (1/10 + 4/5) = 10 operations."""
    pays = [replace(row, id=row.id + 1000) for row in steady("pay", rate=5) if isinstance(row, Operation)]
    q = quality(history(*steady(stop=20), *pays))
    assert q.support[15] == pytest.approx(10.0)
    assert q.support[25] == pytest.approx(5.0)
    assert quality(history(*steady(stop=3), op(900, "pay", "late", 35.5))).support[10] == 0.0


def test_q_of_some_journeys_is_theirs_alone() -> None:
    """Payments fail under the fault; without them Q stays whole."""
    pays = [replace(row, id=row.id + 1000) for row in steady("pay") if isinstance(row, Operation)]
    q = quality(history(*steady(), *failing(list(pays), 11, 21)))
    assert q.combine(["check_in"])[15] == 1.0
    assert q.combine(["pay"])[15] == 0.0
    assert np.isnan(q.combine([])[15])


def test_errors_stand_in_the_order_of_their_number() -> None:
    """Of as many the first by name."""
    rows = [op(i, "pay", f"inv-{i}", 12.0 + i / 10, outcome="indeterminate") for i in range(3)]
    rows += [op(10 + i, "pay", f"x-{i}", 13.0, outcome="rejected", error="busy") for i in range(2)]
    rows += [op(20 + i, "pay", f"y-{i}", 13.0, outcome="rejected", error="away") for i in range(2)]
    seen = history(*rows)
    graded = grade(seen, scenario(), SYSTEM, no_operations())
    (phase,) = by_phase(graded, phase_spans(seen, scenario()))
    assert list(phase.errors.items()) == [("timeout", 3), ("away", 2), ("busy", 2)]
    assert (phase.offered_rate, phase.good_rate, phase.success_ratio) == (0.7, 0.0, 0.0)


@pytest.mark.parametrize(("start", "phase"), [(0.0, "warm_up"), (0.05, "warm_up"), (0.06, None)])
def test_the_first_phase_has_what_came_a_moment_before_it(start: float, phase: str | None) -> None:
    """Clocks of the load and of the phases differ by microseconds at the run's zero, never by more than a
    twentieth of a second."""
    rows = pl.DataFrame({"intended": [0.001, 2.0]})
    spans = {"warm_up": (start, 1.0), "baseline": (1.0, 11.0)}
    named = rows.select(phase=_phase(spans))["phase"]
    assert named.to_list() == [phase, "baseline"]
