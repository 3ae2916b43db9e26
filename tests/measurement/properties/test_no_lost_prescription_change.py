"""The reference system's binding on hand-written histories."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from experiment.rows import Operation, Record, Row
from experiment.verdict import Verdict
from measurement.properties.no_lost_write import NoLostWrite
from measurement.properties.register import Ended
from tests.measurement.histories import SYSTEM, history, judged_by, op, read, record, scenario

NAME = "no_lost_prescription_change"
REFERENCE = SYSTEM.properties[NAME]
assert isinstance(REFERENCE.binding, NoLostWrite)
# The reference system's users do not stop a prescription; a binding may say which journey ends a thing.
WITH_STOP = replace(
    REFERENCE.binding,
    operations=("prescribe", "change_dose", "stop"),
    ends=("stop",),
    ended=Ended(("stopped",), "stop"),
)
check = judged_by(NAME, replace(SYSTEM, properties={NAME: replace(REFERENCE, binding=WITH_STOP)}))


def wrote(number: int, version: int, **more: Any) -> Operation:
    journey = "prescribe" if version == 1 else "change_dose"
    return op(number, journey, "rx-1", float(number), version=version, **more)


def committed(version: int, **more: Any) -> Record:
    return record("prescriptions", "rx_version", "rx-1", version=version, t=float(version), **more)


def test_not_exercised_without_writes() -> None:
    """No write, no claim; an unread store makes none either."""
    other = record("billing", "invoice", "inv-1")
    assert check(history(other), scenario(), SYSTEM).verdict is Verdict.INCONCLUSIVE
    assert check(history(wrote(1, 1), *read(billing=0)), scenario(), SYSTEM).verdict is Verdict.INCONCLUSIVE


def test_what_only_the_history_knows_is_exposed_too() -> None:
    """Every client timed out: a chain holds, a gap is a violation."""
    lost = op(1, "prescribe", "rx-1", 1.0, outcome="indeterminate")
    chain = check(history(lost, committed(1), committed(2)), scenario(), SYSTEM)
    assert (chain.verdict, chain.exposed) == (Verdict.PASS, 1)
    gap = check(history(lost, committed(1), committed(3)), scenario(), SYSTEM)
    assert gap.verdict is Verdict.FAIL
    assert gap.measures["broken_chains"] == 1
    assert "1 prescription that nobody was told of" in gap.statement


@pytest.mark.parametrize(
    ("journey", "value", "stored", "verdict"),
    [
        ("prescribe", "5 mg", [], Verdict.FAIL),
        ("prescribe", None, [], Verdict.FAIL),
        ("prescribe", "5 mg", [committed(1, value="5.0 mg")], Verdict.PASS),
        ("change_dose", "5 mg", [committed(1, value="20 mg")], Verdict.FAIL),
        ("change_dose", None, [committed(1, value="20 mg")], Verdict.PASS),
        ("change_dose", "5 mg", [committed(1, value="20 mg"), committed(2, value="5 mg")], Verdict.PASS),
        ("stop", None, [committed(1, status="active")], Verdict.FAIL),
        ("stop", None, [committed(1, status="active"), committed(2, status="stopped")], Verdict.PASS),
    ],
)
def test_an_answer_without_a_version_is_a_promise_too(
    journey: str, value: str | None, stored: list[Record], verdict: Verdict
) -> None:
    """The body could not be read, the answer was a success: some version must be able to be it."""
    said = op(1, journey, "rx-1", 1.0, value=value, error="unreadable")
    result = check(history(said, *stored, *read(prescriptions=len(stored))), scenario(), SYSTEM)
    assert result.verdict is verdict
    assert result.exposed == 1
    if verdict is Verdict.FAIL:
        assert "no version that could be it" in result.violations[0].statement


def test_an_indeterminate_write_without_a_trace_is_not_lost() -> None:
    """It may never have happened."""
    lost = op(2, "change_dose", "rx-1", 2.0, outcome="indeterminate", value="5 mg")
    result = check(history(wrote(1, 1), lost, committed(1)), scenario(), SYSTEM)
    assert result.verdict is Verdict.PASS


def test_an_empty_history_that_was_read_has_lost_everything() -> None:
    """Nothing in the store, and the store was read."""
    result = check(history(wrote(1, 1), *read(prescriptions=0)), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL


def test_a_chain_that_holds_every_acknowledged_write_passes() -> None:
    """Two acknowledged writes and a third that only the records know (its client timed out)."""
    lost = op(3, "change_dose", "rx-1", 3.0, outcome="indeterminate", value="5 mg")
    rows: list[Row] = [wrote(1, 1, value="20 mg"), wrote(2, 2, value="10 mg", expected_version=1), lost]
    records = [
        committed(1, value="20.0 mg"),
        committed(2, value="10 mg once daily"),
        committed(3, value="5 mg"),
    ]
    result = check(history(*rows, *records), scenario(), SYSTEM)
    assert result.verdict is Verdict.PASS
    assert result.exposed == 2
    assert result.measures["acknowledged_changes"] == 1


def test_a_change_that_is_not_in_the_history_is_lost() -> None:
    """Version 2 was acknowledged and no row has it."""
    result = check(history(wrote(1, 1), wrote(2, 2), committed(1)), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    assert result.measures["lost_changes"] == 1
    assert "no such version" in result.violations[0].statement


def test_a_version_with_another_dose_lost_the_change() -> None:
    """The number is there, the dose of somebody else is in it."""
    rows: list[Row] = [wrote(1, 1), wrote(2, 2, value="10 mg"), committed(1), committed(2, value="40 mg")]
    result = check(history(*rows), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    assert "dose 40 mg there" in result.violations[0].statement


def test_two_writers_of_one_version_are_a_violation() -> None:
    """Both were told that they wrote version 2: one of them is wrong."""
    rows: list[Row] = [wrote(1, 1), wrote(2, 2), wrote(3, 2), committed(1), committed(2)]
    result = check(history(*rows), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    assert result.measures["versions_given_twice"] == 1


def test_a_change_that_overwrote_an_unseen_one_is_a_violation() -> None:
    """Both were made on version 1; the second became 3 and never saw 2."""
    rows: list[Row] = [wrote(1, 1), wrote(2, 2, expected_version=1), wrote(3, 3, expected_version=1)]
    result = check(history(*rows, *(committed(v) for v in (1, 2, 3))), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    assert result.measures["overwritten_unseen"] == 1


def test_a_gap_in_the_chain_is_a_violation() -> None:
    """Versions 1 and 3 without 2 are no chain."""
    result = check(history(wrote(1, 1), wrote(2, 3), committed(1), committed(3)), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    assert result.measures["broken_chains"] == 1


def test_what_the_api_shows_in_the_end_must_not_be_older() -> None:
    """The final read through the API shows version 1 although 2 was acknowledged."""
    rows: list[Row] = [
        wrote(1, 1),
        wrote(2, 2),
        committed(1),
        committed(2),
        op(9, "final_read", "rx-1", 40.0, version=1),
    ]
    result = check(history(*rows), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    assert result.measures["shown_too_old"] == 1
