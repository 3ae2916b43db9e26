"""The reference system's binding on synthetic loads."""

from __future__ import annotations

from experiment.rows import Row
from experiment.scenario import Recovery
from experiment.verdict import Verdict
from tests.measurement.histories import SYSTEM, history, judged_by, op, scenario

check = judged_by("recovers")


def pays(back_at: float) -> list[Row]:
    """Payments at 10/s that fail from 11 s until `back_at`; nobody tells how they ended in any record."""
    return [
        op(
            i,
            "pay",
            f"inv-{i}",
            i / 10,
            0.05,
            "rejected" if 11 <= i / 10 < back_at else "acknowledged",
            label=None,
        )
        for i in range(360)
    ]


def test_not_exercised_without_a_fault() -> None:
    """Nothing was broken, so nothing recovered."""
    result = check(history(*pays(0.0), with_fault=False), scenario(faults=()), SYSTEM)
    assert result.verdict is Verdict.INCONCLUSIVE


def test_back_in_time_passes() -> None:
    """The heal is at 21 s, payments are back at 24 s, 5 s are allowed."""
    asked = scenario(expect={"recovery": Recovery(within=5.0, hold=5.0)})
    result = check(history(*pays(24.0)), asked, SYSTEM)
    assert result.verdict is Verdict.PASS
    assert result.measures["seconds"] == 3.0


def test_back_too_late_fails() -> None:
    """Back after 8 s with 5 s allowed."""
    asked = scenario(expect={"recovery": Recovery(within=5.0, hold=5.0)})
    assert check(history(*pays(29.0)), asked, SYSTEM).verdict is Verdict.FAIL


def test_never_back_is_censored_and_fails() -> None:
    """Not back while load was on: known only to have taken longer."""
    result = check(history(*pays(99.0)), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    assert result.measures["seconds"] is None
