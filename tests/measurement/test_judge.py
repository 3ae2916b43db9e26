"""What a run may claim: validity, veto, waivers and verdict on synthetic histories. The cases in which other
tools report success wrongly are here, each by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest

from experiment.errors import HistoryError
from experiment.history import History, build
from experiment.rows import (
    GENERAL_MODELS,
    LEFT_OUT,
    End,
    FaultEvent,
    LoadReport,
    Note,
    Operation,
    PhaseEvent,
    Row,
    Sample,
)
from experiment.scenario import Expectation, Recovery, Repeat, Waiver
from experiment.topology import Step
from experiment.units import DURATION, SHARE, parse_bound
from experiment.verdict import Verdict, exit_code
from measurement.analysis import Analysis
from measurement.judge import analyse, analysis_from_json, analysis_to_json, only_predicted
from tests.measurement.histories import (
    ANSWERS,
    FAULT,
    SYSTEM,
    fault_events,
    frame,
    history,
    op,
    record,
    sample,
    scenario,
    steady,
    stored,
)

PAY = {"invariants": ("no_duplicate_charge",), "recovery": Recovery(within=5.0, hold=5.0)}
CLEAN = End(41.0, "completed", True)
PREDICTABLE = ("bounded_waiting", "no_duplicate_charge")  # the first is a matter of times alone
PREDICTED_KINDS = {"bounded_waiting", "no_retry_amplification", "recovers"}
AT_LEAST_99 = parse_bound(">= 99%", SHARE)


def payments(outcome: Literal["acknowledged", "rejected"] = "acknowledged", took: float = 0.05) -> list[Row]:
    """Payments at 10/s, each charged once; those begun under the fault (11 s to 21 s) end as told."""
    rows: list[Row] = []
    for i in range(360):
        faulty = 11 <= i / 10 < 21
        how = outcome if faulty else "acknowledged"
        rows.append(op(i, "pay", f"inv-{i}", i / 10, took if faulty else 0.05, how))
        if how == "acknowledged":
            charged: dict[str, Any] = {"id": f"ch-{i}", "t": i / 10, "amount": 5.0}
            rows.append(record("payments", "charge", f"inv-{i}", status="captured", **charged))
            rows.append(record("billing", "invoice", f"inv-{i}", status="paid", amount=5.0))
    rows += [sample(t, "billing", "backlog", 0.0, "outbox") for t in (5.0, 21.2, 22.2, 36.1, 37.1)]
    return rows


def judged(rows: list[Row], **changes: Any) -> Analysis:
    changes.setdefault("expect", PAY)
    return analyse(history(*rows), scenario(**changes), SYSTEM)


def without(rows: list[Row], unwanted: Any) -> History:
    return build([row for row in [*frame(), *rows] if not unwanted(row)])


def broken(analysis: Analysis) -> set[str]:
    return {check.name for check in analysis.validity if not check.ok}


def test_a_run_that_holds_passes_with_full_score() -> None:
    """Everything observed, nothing lost, quality never fell: 100, and the first reason says so."""
    analysis = judged(payments())
    assert analysis.verdict is Verdict.PASS
    assert analysis.reasons == ("every judged property (2) held, every objective (1) was met",)
    assert analysis.score.value == pytest.approx(100, abs=0.5)
    assert exit_code(analysis.verdict, analysis.vetoed, CLEAN) == 0


def test_the_steady_state_broken_before_the_method_is_invalid() -> None:
    """Elsewhere exit 0: here a baseline outside its own expectation makes the run invalid, without a
    score."""
    rows = [
        replace(row, outcome="rejected", **ANSWERS["rejected"])
        if isinstance(row, Operation) and 1 <= row.intended < 6
        else row
        for row in payments()
    ]
    expect = {"baseline": (Expectation("pay", success=AT_LEAST_99),)}
    analysis = judged(rows, expect=expect)
    assert analysis.verdict is Verdict.INVALID
    assert broken(analysis) == {"baseline_met"}
    assert "pay success in the baseline: 50.00%, expected >= 99%" in analysis.reasons[0]
    assert analysis.score.value is None
    assert exit_code(analysis.verdict, analysis.vetoed, CLEAN) == 3


def test_a_baseline_that_is_mostly_bad_is_invalid_without_being_asked() -> None:
    """A scenario without a baseline expectation cannot hide that there was nothing to be degraded from."""
    rows = [
        replace(row, outcome="rejected", **ANSWERS["rejected"])
        if isinstance(row, Operation) and 1 <= row.intended < 8
        else row
        for row in payments()
    ]
    analysis = judged(rows)
    assert broken(analysis) == {"baseline_met"}
    assert "only 30 of 100 operations were good" in analysis.reasons[0]


@pytest.mark.parametrize(("rejected", "of"), [(90, 100), (5, 5)], ids=["many", "few"])
def test_a_baseline_latency_objective_does_not_excuse_failures(rejected: int, of: int) -> None:
    """Nine of ten operations fail before any fault and the rest are quick: the p95 is met, the baseline is
    not. Of five operations none is good: evidently less than half."""
    rows = [
        op(
            9000 + i,
            "view_dose",
            "rx-1",
            1 + 9.9 * i / of,
            outcome="rejected" if i < rejected else "acknowledged",
        )
        for i in range(of)
    ]
    quick = Expectation("view_dose", p95=parse_bound("<= 1s", DURATION))
    analysis = judged([*payments(), *rows], expect={"baseline": (quick,)})
    assert "baseline_met" in broken(analysis)
    assert f"view_dose: only {of - rejected} of {of} operations were good" in analysis.reasons[0]


def test_checks_that_fail_all_through_the_fault_fail_the_run() -> None:
    """Elsewhere exit 0: here the expectation during the fault is not met, and the run fails."""
    expect = {**PAY, "fault": (Expectation("pay", success=AT_LEAST_99),)}
    analysis = judged(payments("rejected"), expect=expect)
    assert analysis.verdict is Verdict.FAIL
    assert "pay success during the fault: 0.00%, expected >= 99%" in analysis.reasons
    assert not analysis.vetoed


@pytest.mark.parametrize("event", ["failed", "no_effect"])
def test_a_fault_action_that_raised_or_did_nothing_is_invalid(event: Literal["failed", "no_effect"]) -> None:
    """Elsewhere exit 0: here a fault that was not seen to act proves nothing about the system."""
    extra = FaultEvent("f1", "latency", FAULT.target, event, 11.2, 11.0, "round trip 2 ms -> 2 ms")
    analysis = judged([*payments(), extra])
    assert analysis.verdict is Verdict.INVALID
    assert broken(analysis) == {"fault_observed"}


def test_a_fault_that_faded_before_its_heal_is_invalid() -> None:
    """Seen at its begin and not at its end: nobody knows for how long the system was under it."""
    extra = FaultEvent("f1", "latency", FAULT.target, "faded", 20.8, 21.0, "round trip 2 ms -> 2 ms")
    analysis = judged([*payments(), extra])
    assert broken(analysis) == {"fault_observed"}
    assert "was not seen to act until its end: round trip 2 ms -> 2 ms" in analysis.reasons[0]


def looked(**changes: Any) -> Analysis:
    """Of a run whose fault was looked at so."""
    rows = [row for row in frame() if not isinstance(row, FaultEvent)]
    return analyse(build([*rows, *fault_events(**changes), *payments()]), scenario(expect=PAY), SYSTEM)


def test_a_fault_that_no_caller_met_is_invalid() -> None:
    """The harness's own probe saw it, nobody else did: the system was not disturbed."""
    analysis = looked(met=0)
    assert analysis.verdict is Verdict.INVALID
    assert broken(analysis) == {"fault_observed"}
    said = "had no effect: billing -> payments carried nothing while the fault lasted"
    assert said in analysis.reasons[0]
    assert broken(looked(met=10)) == set()


def test_a_fault_on_a_link_that_carried_nothing_before_is_invalid() -> None:
    """There is nothing that it could be compared with; a callee that does not count says nothing."""
    analysis = looked(carried=0)
    assert broken(analysis) == {"fault_observed"}
    assert "billing -> payments carried nothing before the fault" in analysis.reasons[0]
    assert broken(looked(carried=None)) == set()


def test_a_fault_that_nobody_looked_at_is_invalid() -> None:
    """An older history, or one whose looks stand too far apart: nobody knows what was in between."""
    assert "was not looked at while it lasted" in without_looks().reasons[0]
    far = looked(looks=3)
    assert broken(far) == {"fault_observed"}
    assert "was not looked at for 3.3 s while it lasted, expected a look every 2 s at least" in far.reasons[0]
    assert broken(looked(looks=6)) == set()


def without_looks() -> Analysis:
    rows = [row for row in frame() if not (isinstance(row, FaultEvent) and row.event == "still_active")]
    return analyse(build([*rows, *payments()]), scenario(expect=PAY), SYSTEM)


def test_a_fault_that_was_never_measured_is_invalid() -> None:
    """Injecting is not acting: without an `active` event the run is invalid."""
    seen = without(payments(), lambda row: isinstance(row, FaultEvent) and row.event == "active")
    analysis = analyse(seen, scenario(expect=PAY), SYSTEM)
    assert broken(analysis) == {"fault_observed"}
    assert "its effect was never measured" in analysis.reasons[0]


def test_a_fault_that_was_never_injected_is_invalid() -> None:
    """The scenario has a fault, the history has none."""
    analysis = analyse(history(*payments(), with_fault=False), scenario(expect=PAY), SYSTEM)
    assert analysis.verdict is Verdict.INVALID
    assert "f1 (latency on billing -> payments) was never injected" in " ".join(analysis.reasons)


def test_a_flap_that_is_missing_is_invalid() -> None:
    """Two activations are planned, f1.1 from 11 s and f1.2 from 16 s, and only the first one came."""
    flapping = replace(FAULT, repeat=Repeat(up=4.0, down=1.0))
    first = [
        replace(row, fault="f1.1", t=min(row.t, 15.1), planned=min(row.planned, 15.0))
        if isinstance(row, FaultEvent) else row
        for row in frame()
    ]  # fmt: skip
    analysis = analyse(build([*first, *payments()]), scenario(expect=PAY, faults=(flapping,)), SYSTEM)
    assert broken(analysis) == {"fault_observed"}
    assert "f1.2 (latency on billing -> payments) was never injected" in analysis.reasons[0]


@pytest.mark.parametrize(
    ("event", "later", "said"),
    [
        ("inject", 3.0, "began at 14 s, expected 11 s within 1 s"),
        ("inject", 0.9, None),
        ("heal", 1.5, "was healed at 22.5 s, expected 21 s within 1 s"),
        ("heal", 0.9, None),
        ("healed", -3.0, "lasted 7.1 s, expected 80% of 10 s at least"),
        ("healed", -1.0, None),
    ],
)
def test_a_fault_out_of_its_time_is_another_experiment(event: str, later: float, said: str | None) -> None:
    """Planned from 11 s to 21 s, seen to heal at 21.1 s: much later or much shorter is invalid."""
    with_it = {"inject": ("inject", "active"), "heal": ("heal", "healed")}.get(event, (event,))
    moved = [
        replace(row, t=row.t + later) if isinstance(row, FaultEvent) and row.event in with_it else row
        for row in frame()
    ]
    analysis = analyse(build([*moved, *payments()]), scenario(expect=PAY), SYSTEM)
    # Seen to heal before the heal was begun, or looked at before it was injected.
    impossible = (
        {"rows_are_possible"}
        if (event, later) in (("healed", -3.0), ("healed", -1.0), ("inject", 3.0))
        else set()
    )
    assert broken(analysis) == impossible | ({"fault_observed"} if said else set())
    assert said is None or said in " ".join(analysis.reasons)


def test_a_fault_left_in_place_is_invalid() -> None:
    """Elsewhere the fault stays after an interrupt and nobody is told: not healed is invalid."""
    seen = without(payments(), lambda row: isinstance(row, FaultEvent) and row.event == "healed")
    analysis = analyse(seen, scenario(expect=PAY), SYSTEM)
    assert analysis.verdict is Verdict.INVALID
    assert broken(analysis) == {"clean_up_verified"}


def test_an_interrupted_run_is_never_a_pass() -> None:
    """Ctrl-C: the history says so, and so does the verdict."""
    rows = [*frame(end=End(41.0, "interrupted", True)), *payments()]
    analysis = analyse(build(rows), scenario(expect=PAY), SYSTEM)
    assert analysis.verdict is Verdict.INVALID
    assert broken(analysis) == {"complete"}


def test_a_killed_run_is_never_a_pass() -> None:
    """`kill -9`: no last line, so nothing is known of the clean-up."""
    seen = without(payments(), lambda row: isinstance(row, End))
    analysis = analyse(seen, scenario(expect=PAY), SYSTEM)
    assert analysis.verdict is Verdict.INVALID
    assert broken(analysis) == {"complete", "clean_up_verified"}


def test_an_unclean_end_is_invalid() -> None:
    """The run completed and left something behind."""
    rows = [*frame(end=End(41.0, "completed", False, "link billing -> payments")), *payments()]
    analysis = analyse(build(rows), scenario(expect=PAY), SYSTEM)
    assert broken(analysis) == {"clean_up_verified"}
    assert "link billing -> payments" in analysis.reasons[0]


def test_a_phase_that_never_ended_is_invalid() -> None:
    """The recovery was cut off, whatever the last line says."""
    cut = PhaseEvent("recovery", 21.0, None)
    kept = without([*payments(), cut], lambda row: isinstance(row, PhaseEvent) and row.end == 36.0)
    analysis = analyse(kept, scenario(expect=PAY), SYSTEM)
    assert "phases that never ended: recovery" in analysis.reasons[0]


def test_an_objection_of_the_harness_is_invalid() -> None:
    """A note of level invalid decides, its text is the reason."""
    analysis = judged([*payments(), Note(5.0, "invalid", "the clock jumped")])
    assert analysis.verdict is Verdict.INVALID
    assert "the clock jumped" in analysis.reasons[0]


def test_a_generator_that_fell_behind_is_invalid() -> None:
    """98 of 100 operations sent: the load was not the one that was asked for."""
    analysis = judged([*payments(), LoadReport(2.0, 0, 100, 98, 0.0, 0.0, 0.0)])
    assert analysis.verdict is Verdict.PASS  # 99% over the run is enough
    analysis = judged([*payments(), LoadReport(2.0, 0, 100, 90, 0.0, 0.0, 0.0)])
    assert broken(analysis) == {"generator_kept_up"}


def late(lag: float, took: float) -> list[Row]:
    """Payments; those under the fault were sent `lag` seconds late and answered `took` seconds later."""
    rows = [
        replace(row, sent=row.intended + lag, ended=row.intended + lag + took)
        if isinstance(row, Operation) and 11 <= row.intended < 21
        else row
        for row in payments()
    ]
    return [*rows, LoadReport(2.0, 0, 0, 0, lag, lag, lag), sample(40.5, "load", "lag_p99", lag)]


WITHIN_A_SECOND = Expectation("pay", p95=parse_bound("<= 1s", DURATION))
PROMPT = {"invariants": ("no_duplicate_charge",), "fault": (WITHIN_A_SECOND,)}


def test_a_late_generator_that_changes_no_verdict_is_a_remark() -> None:
    """By its own account 50 ms late, where 10 ms are 1% of the objective of 1 s; the answers took 0.1 s
    or 5 s: with and without the lag the objectives are met, or missed."""
    good, bad = (
        judged(late(0.05, 0.1), expect=PROMPT),
        judged(late(0.05, 5.0), expect=PROMPT),
    )
    assert (good.verdict, broken(good)) == (Verdict.PASS, set())
    assert (bad.verdict, broken(bad)) == (Verdict.FAIL, set())
    said = next(check.statement for check in good.validity if check.name == "generator_kept_up")
    assert "lag p99 50 ms, expected at most 10 ms" in said
    assert "the verdict is the same with each operation's own lag taken off" in said


def test_a_late_generator_that_decides_makes_the_run_invalid() -> None:
    """0.97 s after the sending and 1.02 s after the intended start: the lag alone misses the objective."""
    analysis = judged(late(0.05, 0.97), expect=PROMPT)
    assert broken(analysis) == {"generator_kept_up"}
    assert "the verdict depends on it: fail with the lag, pass without it" in analysis.reasons[0]
    assert (analysis.verdict, analysis.vetoed, analysis.score.value) == (Verdict.INVALID, False, None)
    assert (analysis.score.veto, analysis.score.failed) == ("", ())


def test_a_load_of_another_shape_is_invalid_whatever_the_verdict() -> None:
    """A second late at ten visits a second: that was not the load that was planned."""
    assert broken(judged(late(1.0, 0.01), expect=PROMPT)) == {"generator_kept_up"}


def test_operations_that_waited_for_a_slow_system_are_no_late_generator() -> None:
    """Every payment was sent 1.5 s after its intended start, since the claim before it took so long; the
    generator was never late."""
    rows = [
        replace(row, sent=row.intended + 1.5, ended=row.ended + 1.5) if isinstance(row, Operation) else row
        for row in payments()
    ]
    expect = {"invariants": ("no_duplicate_charge",), "baseline": (Expectation("pay", success=AT_LEAST_99),)}
    analysis = judged(rows, expect=expect)
    assert broken(analysis) == set()
    assert analysis.verdict is Verdict.PASS


def test_a_generator_that_said_nothing_is_invalid() -> None:
    """A live run without the generator's account of its lag; in virtual time there is nobody to be late."""
    silent = without(payments(), lambda row: isinstance(row, Sample) and row.source == "load")
    assert broken(analyse(silent, scenario(expect=PAY), SYSTEM)) == {"generator_kept_up"}
    simulated = replace(silent, header=replace(silent.header, source="simulation"))
    assert analyse(simulated, scenario(expect=PAY), SYSTEM).verdict is Verdict.PASS


def test_too_few_operations_under_the_fault_are_inconclusive() -> None:
    """Check-ins do not travel the faulted link: the payments alone are counted, and there are too few."""
    few = [row for row in payments() if not isinstance(row, Operation) or not 11 <= row.intended < 20]
    checkins = [replace(row, id=row.id + 1000) for row in steady() if isinstance(row, Operation)]
    analysis = judged([*few, *checkins, *stored(list(checkins))])
    assert analysis.verdict is Verdict.INCONCLUSIVE
    assert "12 operations overlapped" in analysis.reasons[0]


def test_no_data_for_a_named_invariant_is_inconclusive() -> None:
    """Elsewhere objectives without data are dropped, which raises the score: here nothing seen is no pass."""
    analysis = judged(payments(), expect={"invariants": ("no_superseded_dispense",)})
    assert analysis.verdict is Verdict.INCONCLUSIVE
    assert "no_superseded_dispense: not exercised" in analysis.reasons[0]


def test_no_data_for_an_objective_is_inconclusive() -> None:
    """p99 of 100 operations can be told, of 99 it cannot."""
    slow = parse_bound("<= 2s", DURATION)
    expect = {"fault": (Expectation("check_in", p99=slow),)}
    analysis = judged(payments(), expect=expect)
    assert analysis.verdict is Verdict.INCONCLUSIVE
    assert analysis.reasons == ("check_in p99 during the fault: no data, expected <= 2s",)


def double_charge() -> Row:
    return record("payments", "charge", "inv-150", id="again", t=15.5, amount=5.0, status="captured")


def test_one_violation_vetoes_whatever_the_rest() -> None:
    """Elsewhere a weighted mean of booleans: here one duplicate charge is score 0, and what it would have
    been."""
    analysis = judged([*payments(), double_charge()])
    assert analysis.verdict is Verdict.FAIL
    assert analysis.vetoed
    assert analysis.score.value == 0.0
    assert analysis.score.without_veto is not None
    assert analysis.score.without_veto > 90
    assert analysis.score.veto.startswith("1 duplicate charge on 1 invoice")
    assert exit_code(analysis.verdict, analysis.vetoed, CLEAN) == 4


def test_safety_is_judged_also_when_nobody_named_it() -> None:
    """The scenario asks for recovery only; a duplicate charge fails it all the same."""
    analysis = judged([*payments(), double_charge()], expect={"recovery": Recovery(within=5.0)})
    assert analysis.vetoed


def test_safety_that_the_journeys_exercise_and_that_has_no_data_is_inconclusive() -> None:
    """Dispenses were planned, and nothing is known of any: the run does not pass with one property less."""
    played = replace(SYSTEM, mixes={"visit": (Step("pay"), Step("dispense"))})
    analysis = analyse(history(*payments()), scenario(expect=PAY), played)
    assert analysis.verdict is Verdict.INCONCLUSIVE
    assert "no_superseded_dispense: not exercised" in analysis.reasons[0]
    assert analyse(history(*payments()), scenario(expect=PAY), SYSTEM).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("left_out", "verdict"), [(0, "pass"), (1, "pass"), (2, "inconclusive"), (9, "inconclusive")]
)
def test_final_reads_that_were_left_out_leave_a_run_inconclusive(left_out: int, verdict: str) -> None:
    """Nine were made. One less is no matter; where many are missing nobody knows how things ended."""
    reads = [op(9000 + n, "final_read", f"inv-{n}", 40.0) for n in range(9)]
    said = Sample(40.0, "load", LEFT_OUT, float(left_out))
    analysis = judged([*payments(), *reads, said])
    assert analysis.verdict == verdict, analysis.reasons
    if verdict != "pass":
        assert f"9 of {9 + left_out} final reads were made, expected 90% at least" in analysis.reasons[0]


def test_a_violation_of_an_invalid_run_is_not_hidden() -> None:
    """No verdict is claimed, but the reasons say what was seen."""
    analysis = judged([*payments(), double_charge(), Note(5.0, "invalid", "the clock jumped")])
    assert analysis.verdict is Verdict.INVALID
    assert not analysis.vetoed
    seen = next(reason for reason in analysis.reasons if "duplicate charge" in reason)
    assert seen.startswith("seen, not judged: no_duplicate_charge: 1 duplicate charge on 1 invoice")


def test_a_violation_of_the_first_attempt_counts_in_the_second() -> None:
    """The load of the first attempt was late, its duplicate charge was real: the second, in which nothing
    went wrong, is vetoed by it."""
    first = Note(0.0, "violation", "1 duplicate charge (first attempt, r-0)", "no_duplicate_charge")
    analysis = judged([*payments(), first])
    assert analysis.vetoed
    found = next(check for check in analysis.checks if check.checker == "no_duplicate_charge")
    assert found.violation_count == 1
    assert found.violations[0].statement == first.text
    assert "in this attempt: none of 360 charged invoices" in found.statement


def test_a_run_that_judges_nothing_is_inconclusive() -> None:
    """No invariant, no objective, and no record from which safety could be judged: nothing was shown."""
    control = scenario(faults=())
    analysis = analyse(history(*steady(), with_fault=False), control, SYSTEM)
    assert analysis.verdict is Verdict.INCONCLUSIVE
    assert analysis.reasons[0].startswith("nothing was judged")


def test_a_failed_promise_stands_beside_the_score() -> None:
    """The score weighs quality; what failed is named with it, once."""
    expect = {"fault": (Expectation("pay", success=AT_LEAST_99),), "invariants": ("recovers",)}
    rows = [
        replace(row, outcome="rejected", **ANSWERS["rejected"])
        if isinstance(row, Operation) and row.intended >= 11
        else row
        for row in payments()
    ]
    analysis = judged(rows, expect={**expect, "recovery": Recovery(within=5.0, hold=5.0)})
    assert analysis.score.failed == ("recovers", "pay success in fault")


@pytest.mark.parametrize(("until", "lifted"), [("2026-03-01", True), ("2026-02-28", False)])
def test_only_a_dated_waiver_lifts_a_veto(until: str, lifted: bool) -> None:
    """In force through the day it names, counted at the day of the run; it is shown either way."""
    named = ("no_duplicate_charge", "sagas_terminal")
    waivers = tuple(Waiver(name, "known, ticket 7", "Dana", until) for name in named)
    analysis = judged([*payments(), double_charge()], waivers=waivers)
    assert analysis.vetoed is not lifted
    assert (analysis.verdict is Verdict.PASS) is lifted
    used = analysis.waivers[0]
    assert (used.invariant, used.by, used.until) == ("no_duplicate_charge", "Dana", until)
    assert (used.in_force, used.lifts) == (lifted, lifted)
    excepted = f"held, except 2 waived: no_duplicate_charge (until {until}), sagas_terminal (until {until})"
    assert (excepted in analysis.reasons[0]) is lifted


def test_a_waiver_of_what_held_lifts_nothing() -> None:
    """It is in force, and there is nothing to lift: the reasons speak of no exception."""
    waiver = Waiver("no_duplicate_charge", "known, ticket 7", "Dana", "2026-03-01")
    analysis = judged(payments(), waivers=(waiver,))
    assert (analysis.waivers[0].in_force, analysis.waivers[0].lifts) == (True, False)
    assert "waived" not in " ".join(analysis.reasons)


def test_a_run_without_faults_is_judged_whole() -> None:
    """A control needs no fault checks; its quality is not normalised, so that a bad run cannot look like
    100."""
    rows = [
        replace(row, outcome="rejected", **ANSWERS["rejected"])
        if isinstance(row, Operation) and row.id % 4 == 0
        else row
        for row in steady()
    ]
    control = scenario(faults=(), expect={"invariants": ("no_lost_checkin",)})
    analysis = analyse(history(*rows, *stored(rows), with_fault=False), control, SYSTEM)
    conditions = {check.name for check in analysis.validity}
    assert conditions.isdisjoint({"fault_observed", "enough_operations"})
    assert analysis.verdict is Verdict.PASS
    absorb = analysis.score.parts["absorb"]
    assert absorb is not None and 0.6 < absorb < 0.75  # of two journeys, both of which lost a quarter
    assert analysis.score.area_under_q == pytest.approx(0.75, abs=0.01)
    assert analysis.score.parts["recover"] is None


def test_an_analysis_survives_its_file() -> None:
    """analysis.json read back is the same value, with evidence."""
    analysis = judged([*payments(), double_charge()])
    assert analysis_from_json(analysis_to_json(analysis)) == analysis


def test_a_file_that_is_no_analysis_says_what_to_do() -> None:
    """The message names the command that helps."""
    with pytest.raises(HistoryError, match="judge the run again with `check`"):
        analysis_from_json(b'{"verdict": "splendid"}')


def test_the_same_history_gives_the_same_analysis() -> None:
    """Judging is pure, the bootstrap included."""
    assert judged(payments("rejected")) == judged(payments("rejected"))


def test_a_violation_of_nothing_that_is_known_is_not_lost() -> None:
    """What a first attempt saw under a name that the system does not have makes the run invalid."""
    analysis = judged([*payments(), Note(0.0, "violation", "two charges", "no_such_property")])
    assert broken(analysis) == {"no_objection"}
    assert 'a violation of "no_such_property", which is not a property' in analysis.reasons[0]


def test_a_run_in_which_nothing_judged_the_faulted_phase_is_inconclusive() -> None:
    """Every payment of that time was refused: no charge could be wrong, and no objective asked."""
    analysis = judged(payments("rejected"), expect={"invariants": ("no_duplicate_charge",)})
    assert analysis.verdict is Verdict.INCONCLUSIVE
    assert broken(analysis) == {"faulted_phase_judged"}
    assert "no objective and no property judged the time in which the faults acted" in analysis.reasons[0]


def test_an_objective_judges_the_faulted_phase() -> None:
    """Also one that is missed: then the run fails."""
    objective = Expectation("pay", success=AT_LEAST_99)
    analysis = judged(payments("rejected"), expect={"fault": (objective,)})
    assert analysis.verdict is Verdict.FAIL
    assert "faulted_phase_judged" not in broken(analysis)


def test_the_recovery_does_not_judge_the_faulted_phase() -> None:
    """It looks at what comes after."""
    analysis = judged(payments("rejected"), expect={"recovery": Recovery(within=5.0, hold=5.0)})
    assert broken(analysis) == {"faulted_phase_judged"}


def test_a_twin_without_models_of_the_services_knows_no_safety() -> None:
    """Its calls and times are predicted; what nobody kept cannot be judged."""
    analysis = judged([*payments(), sample(41.0, "twin", GENERAL_MODELS, 1.0)], expect={})
    told = {check.checker: check for check in analysis.checks}
    charged = told["no_duplicate_charge"]
    assert (charged.verdict, charged.modelled) == (Verdict.INCONCLUSIVE, False)
    assert charged.statement == "not modelled: the system brings no twin models of its services"
    assert told["bounded_waiting"].modelled
    assert told["bounded_waiting"].verdict is Verdict.PASS


def check_ins(lost: range = range(0), rejected: range = range(0)) -> list[Row]:
    """Check-ins at 10/s with their Encounters; these are acknowledged without one, or refused."""
    rows = [
        replace(row, outcome="rejected", **ANSWERS["rejected"])
        if isinstance(row, Operation) and row.id in rejected
        else row
        for row in steady()
    ]
    kept = [row for row in rows if isinstance(row, Operation) and row.id not in {*lost, *rejected}]
    return [*rows, *stored(list(kept))]


@pytest.mark.parametrize(("lost", "good"), [(range(110, 210), 0.0), (range(10, 110), 1.0), (range(0), 1.0)])
def test_what_safety_finds_wrong_is_not_good_but_for_the_baseline(lost: range, good: float) -> None:
    """A check-in that was acknowledged and lost is no success of its phase, whatever its answer said; one of
    the baseline vetoes the run, and does not make its steady state another one."""
    expect = {"invariants": ("no_lost_checkin",), "fault": (Expectation("check_in", success=AT_LEAST_99),)}
    analysis = judged(check_ins(lost), expect=expect)
    found = {(one.phase, one.journey): one for one in analysis.journeys}
    fault, baseline = found["fault", "check_in"], found["baseline", "check_in"]
    assert fault.good == good * fault.offered
    assert baseline.good == baseline.offered
    assert analysis.vetoed is bool(lost)
    assert "baseline_met" not in broken(analysis)


@pytest.mark.parametrize(("refused", "contain"), [("check_in", 0.55**2), ("pay", 1.0), ("", 1.0)])
def test_harm_is_contained_that_stays_with_what_depends_on_the_fault(refused: str, contain: float) -> None:
    """The fault is between billing and payments: check-ins do not use that link, payments do. Alone and half
    as critical as payments, check-ins that are wholly down leave 0.55 squared."""
    faulty = range(110, 210) if refused == "check_in" else range(0)
    paid = payments("rejected" if refused == "pay" else "acknowledged")
    rows = [replace(row, id=row.id + 1000) if isinstance(row, Operation) else row for row in paid]
    analysis = judged([*check_ins(rejected=faulty), *rows])
    assert analysis.score.parts["contain"] == pytest.approx(contain, abs=0.02)


@pytest.mark.parametrize("asked", [False, True])
def test_a_property_of_a_store_that_was_left_out_is_not_exercised_unless_it_was_asked_for(
    asked: bool,
) -> None:
    """The run did without the store since no journey needed it. Where the scenario names the property, what
    was found counts."""
    apart = replace(SYSTEM, left_out=("payments",))
    played = scenario(expect={"invariants": ("no_duplicate_charge",) if asked else ("recovers",)})
    analysis = analyse(history(*payments(), double_charge()), played, apart)
    found = next(check for check in analysis.checks if check.checker == "no_duplicate_charge")
    assert found.verdict is (Verdict.FAIL if asked else Verdict.INCONCLUSIVE)
    left_out = "no journey of the scenario needs payments"
    assert (left_out in found.statement) is not asked
    assert analysis.vetoed is asked


def test_a_prediction_without_models_is_asked_for_what_it_can_tell() -> None:
    """Calls and times, of the scenario and of the system alike; what is waived goes with its property."""
    waivers = tuple(Waiver(name, "it is known", "Dana", "2027-01-01") for name in PREDICTABLE)
    whole = scenario(expect={"invariants": PREDICTABLE}, waivers=waivers)
    asked, system = only_predicted(whole, SYSTEM)
    assert asked.expect.invariants == ("bounded_waiting",)
    assert [waiver.invariant for waiver in asked.waivers] == ["bounded_waiting"]
    assert set(system.properties) == {
        name for name, one in SYSTEM.properties.items() if one.binding.kind in PREDICTED_KINDS
    }


@pytest.mark.parametrize(
    ("times", "told"), [(1, "the effect of 1 injection"), (2, "the effect of all 2 injections")]
)
def test_an_effect_that_was_seen_is_told_with_how_often(times: int, told: str) -> None:
    """One injection is not "all 1"."""
    second = [replace(event, fault="f2", t=event.t) for event in fault_events()]
    rows = [*payments(), *(second if times == 2 else [])]
    analysis = analyse(history(*rows), scenario(expect=PAY, faults=(FAULT,) * times), SYSTEM)
    found = next(check for check in analysis.validity if check.name == "fault_observed")
    assert found.ok and found.statement.startswith(f"{told} was seen (")
