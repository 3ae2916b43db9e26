"""Histories with rows missing: judging never breaks, and what is missing is never held for good."""

from __future__ import annotations

import random
from dataclasses import replace

import hypothesis.strategies as st
from hypothesis import given, settings

from experiment.history import build
from experiment.rows import End, Header, Operation, Record, Row
from experiment.scenario import Recovery
from experiment.verdict import Verdict
from measurement.judge import analyse, analysis_from_json, analysis_to_json
from tests.measurement.histories import SYSTEM, frame, op, record, sample, scenario

INVARIANTS = (
    "no_lost_checkin",
    "no_duplicate_charge",
    "no_superseded_dispense",
    "no_lost_prescription_change",
    "sagas_terminal",
    "bounded_staleness",
)
RUN = scenario(expect={"invariants": INVARIANTS, "recovery": Recovery(within=5.0, hold=5.0)})


def visit(number: int, at: float) -> list[Row]:
    """A whole visit, right in every respect."""
    enc, inv, rx = f"enc-{number}", f"inv-{number}", f"rx-{number}"
    first = number * 10
    return [
        op(first, "check_in", enc, at),
        record("checkin", "encounter", enc, t=at),
        op(first + 1, "pay", inv, at + 0.2),
        record("payments", "charge", inv, id=f"ch-{number}", t=at, amount=9.0, status="captured"),
        record("billing", "invoice", inv, status="paid", amount=9.0, t=at),
        record("billing", "saga", inv, status="completed", t=at),
        op(first + 2, "prescribe", rx, at + 0.1, version=1),
        op(first + 3, "change_dose", rx, at + 0.3, version=2, expected_version=1),
        record("prescriptions", "rx_version", rx, version=1, t=at + 0.1),
        record("prescriptions", "rx_version", rx, version=2, t=at + 0.3),
        op(first + 4, "view_dose", rx, at + 0.5, version=2),
        op(first + 5, "dispense", rx, at + 0.6, version=2),
        record("pharmacy", "dispense", rx, version=2, t=at + 0.62, status="completed"),
    ]


WHOLE: list[Row] = [
    *frame(),
    *(row for number in range(140) for row in visit(number, number / 4)),
    *(sample(t, "billing", "backlog", 0.0, "outbox") for t in (2.0, 21.5, 22.5, 37.0)),
]


def test_the_whole_history_passes() -> None:
    """Nothing is missing: pass, so that the cases below start from a good one."""
    assert analyse(build(WHOLE), RUN, SYSTEM).verdict is Verdict.PASS


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 1))
def test_judging_survives_any_missing_rows(seed: int, kept: float) -> None:
    """Whatever a crash or a full disk left out but the header: an analysis comes out and can be stored, and
    without the last line it is never a pass."""
    draw = random.Random(seed)
    rows = [row for row in WHOLE if isinstance(row, Header) or draw.random() < kept]
    analysis = analyse(build(rows), RUN, SYSTEM)
    assert analysis_from_json(analysis_to_json(analysis)) == analysis
    if not any(isinstance(row, End) for row in rows):
        assert analysis.verdict is Verdict.INVALID


OPTIONAL = {
    Record: ("id", "t", "version", "status", "amount", "value"),
    Operation: ("sent", "status", "error", "version", "expected_version", "value", "label"),
}


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 1))
def test_judging_survives_any_missing_fields(seed: int, kept: float) -> None:
    """A store that tells no amount, time or version is judged by the rest."""
    draw = random.Random(seed)
    rows: list[Row] = []
    for row in [*WHOLE, *(row for row in WHOLE if isinstance(row, Record))]:  # every record twice
        names = OPTIONAL.get(type(row), ())
        missing = {name: None for name in names if draw.random() > kept}
        rows.append(replace(row, **missing) if missing else row)  # type: ignore[arg-type]
    analysis = analyse(build(rows), RUN, SYSTEM)
    assert analysis_from_json(analysis_to_json(analysis)) == analysis
    assert analysis.verdict is not Verdict.PASS


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_a_record_that_is_missing_or_doubled_is_seen(seed: int) -> None:
    """One row of a system of record less, or one twice: for the kinds that an invariant guards, a
    violation."""
    draw = random.Random(seed)
    guarded = [
        index
        for index, row in enumerate(WHOLE)
        if isinstance(row, Record) and row.kind in ("encounter", "charge", "rx_version")
    ]
    index = draw.choice(guarded)
    found = WHOLE[index]
    assert isinstance(found, Record)
    less, more = WHOLE[:index] + WHOLE[index + 1 :], [*WHOLE, replace(found, id=f"{found.id}-2")]
    for rows in (less, more):
        analysis = analyse(build(rows), RUN, SYSTEM)
        assert analysis.vetoed
        assert analysis.score.value == 0.0
    same_twice = analyse(build([*WHOLE, found]), RUN, SYSTEM)  # no second act, but a reading that went wrong
    assert same_twice.vetoed or (found.id is not None and same_twice.verdict is Verdict.INVALID)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_the_order_of_the_file_does_not_matter(seed: int) -> None:
    """Lines come from several processes in any order."""
    rows = list(WHOLE)
    random.Random(seed).shuffle(rows)
    shuffled = analyse(build(rows), RUN, SYSTEM)
    assert shuffled == analyse(build(WHOLE), RUN, SYSTEM)


def test_an_operation_that_timed_out_is_never_a_violation_by_itself() -> None:
    """Every operation of the fault made indeterminate: quality falls, safety holds."""
    rows = [
        Operation(
            row.id,
            row.journey,
            row.key,
            row.intended,
            row.sent,
            row.ended,
            "rejected" if row.journey == "view_dose" else "indeterminate",
            error="timeout",
        )
        if isinstance(row, Operation) and 11 <= row.intended < 21
        else row
        for row in WHOLE
    ]
    analysis = analyse(build(rows), RUN, SYSTEM)
    assert not analysis.vetoed
    assert analysis.score.value is not None
    assert analysis.score.value < 60
