"""I5 on hand-written histories."""

from __future__ import annotations

from typing import Any

from experiment.rows import Operation, Record, Row
from experiment.verdict import Verdict
from measurement.checkers import CHECKERS
from tests.measurement.histories import SYSTEM, history, op, record, scenario

check = CHECKERS["no_lost_prescription_change"].check


def wrote(number: int, version: int, **more: Any) -> Operation:
    journey = "prescribe" if version == 1 else "change_dose"
    return op(number, journey, "rx-1", float(number), version=version, **more)


def committed(version: int, **more: Any) -> Record:
    return record("prescriptions", "rx_version", "rx-1", version=version, t=float(version), **more)


def test_saw_nothing_without_writes() -> None:
    """No write, no claim."""
    assert check(history(committed(1)), scenario(), SYSTEM).verdict is Verdict.INCONCLUSIVE


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
