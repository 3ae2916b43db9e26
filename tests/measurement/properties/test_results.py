"""The reference system's bindings for results, on hand-written histories: what the laboratory keeps and what
the dashboard shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from experiment.history import History
from experiment.rows import Record, Row
from experiment.scenario import Staleness
from experiment.verdict import CheckResult, Verdict
from tests.measurement.histories import REFERENCE, history, judged_by, op, read, record, scenario

shown, kept, fresh = (
    judged_by(name, REFERENCE) for name in ("results_shown", "no_lost_result", "dashboard_staleness")
)
REPORTED = op(1, "report_result", "lab-1", 2.0, version=1, value="4.1")
CORRECTED = op(2, "correct_result", "lab-1", 3.0, version=2, value="5.5")
LOST_TRACK = op(3, "report_result", "lab-2", 2.0, outcome="indeterminate", value="4.2")


def told(*rows: Row) -> History:
    """A history whose systems of record were both read to the end."""
    counts = {
        store: sum(isinstance(row, Record) and row.store == store for row in rows)
        for store in ("lab", "dashboard")
    }
    return history(*rows, *read(**counts))


def entry(key: str = "lab-1", version: int = 1, value: str = "4.1") -> Record:
    return record("dashboard", "shown_result", key, id=key, version=version, value=value, t=40.0)


def version(number: int, value: str, key: str = "lab-1") -> Record:
    return record("lab", "report_version", key, id=f"{key}/{number}", version=number, value=value, t=2.0)


@pytest.mark.parametrize("check", [shown, kept, fresh])
def test_not_exercised_without_a_result(check: Callable[..., CheckResult]) -> None:
    """Nothing was reported and nothing is shown: nothing has been shown to hold."""
    result = check(told(), scenario(), REFERENCE)
    assert result.verdict is Verdict.INCONCLUSIVE


def test_a_dashboard_that_was_not_read_is_no_loss() -> None:
    """What it shows is not known."""
    result = shown(history(REPORTED, *read(lab=1)), scenario(), REFERENCE)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "not read" in result.statement


def test_an_acknowledged_result_is_on_the_dashboard() -> None:
    """Once; one of unknown outcome may be there or not."""
    for rows in ((entry(),), (entry(), entry("lab-2"))):
        result = shown(told(REPORTED, LOST_TRACK, *rows), scenario(), REFERENCE)
        assert result.verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ((), "result lab-1 was acknowledged and is not in the dashboard"),
        ((entry(), entry()), "result lab-1 is in the dashboard 2 times"),
    ],
)
def test_a_result_that_is_missing_or_shown_twice_is_a_violation(rows: tuple[Row, ...], said: str) -> None:
    """Whatever the laboratory has of it."""
    result = shown(told(REPORTED, version(1, "4.1"), *rows), scenario(), REFERENCE)
    assert result.verdict is Verdict.FAIL
    assert result.violations[0].statement == said


def test_every_version_of_a_result_is_kept() -> None:
    """A correction makes the next one."""
    rows = (REPORTED, CORRECTED, version(1, "4.1"), version(2, "5.5"))
    assert kept(told(*rows), scenario(), REFERENCE).verdict is Verdict.PASS


@pytest.mark.parametrize(
    "rows",
    [
        (version(1, "4.1"),),
        (version(1, "4.1"), version(2, "4.1")),
        (version(1, "4.1"), version(3, "5.5")),
    ],
)
def test_a_lost_correction_is_a_violation(rows: tuple[Record, ...]) -> None:
    """Missing, with another value, or out of the chain."""
    result = kept(told(REPORTED, CORRECTED, *rows), scenario(), REFERENCE)
    assert result.verdict is Verdict.FAIL


def test_a_write_of_unknown_outcome_may_have_happened() -> None:
    """Kept or not, both are right."""
    for rows in ((), (version(1, "4.2", "lab-2"),)):
        whole = told(REPORTED, LOST_TRACK, version(1, "4.1"), *rows)
        assert kept(whole, scenario(), REFERENCE).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("number", "more", "verdict"),
    [
        (2, {}, Verdict.PASS),
        (1, {}, Verdict.FAIL),
        (0, {}, Verdict.FAIL),
        (1, {"label": "incomplete", "age": 5.0}, Verdict.PASS),
        (1, {"label": "incomplete", "age": 0.5}, Verdict.FAIL),
    ],
)
def test_a_dashboard_shows_the_last_correction_or_says_that_it_does_not(
    number: int, more: dict[str, Any], verdict: Verdict
) -> None:
    """Version 1 or nothing at 8 s, five seconds after the correction; a label must not understate it."""
    look = op(9, "view_dashboard", "lab-1", 8.0, version=number, **more)
    rows = (REPORTED, CORRECTED, look, version(1, "4.1"), version(2, "5.5"), entry(version=2, value="5.5"))
    bound = scenario(staleness=Staleness(age=2.0))
    assert fresh(told(*rows), bound, REFERENCE).verdict is verdict


def test_a_copy_that_stays_behind_was_lost() -> None:
    """After settling nothing is late any more."""
    rows = (REPORTED, CORRECTED, version(1, "4.1"), version(2, "5.5"), entry())
    result = fresh(told(*rows), scenario(), REFERENCE)
    assert result.verdict is Verdict.FAIL
    assert "copies behind after settling: 1 of 1" in result.statement
