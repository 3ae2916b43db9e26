"""The reference system's binding on synthetic loads."""

from __future__ import annotations

import pytest

from experiment.rows import Row
from experiment.scenario import Recovery
from experiment.verdict import Verdict
from measurement.analysis import RecoveryResult
from measurement.properties.recovers import of_recovery
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


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [(0.0, Verdict.PASS), (10.0, Verdict.PASS), (10.1, Verdict.FAIL), (None, Verdict.FAIL)],
)
def test_a_recovery_may_take_as_long_as_its_budget(seconds: float | None, verdict: Verdict) -> None:
    """The whole of it; later, or never, is one violation."""
    found = of_recovery(RecoveryResult(seconds, seconds is None, 10.0, "Q back"))
    assert (found.verdict, found.exposed) == (verdict, 1)
    assert found.violation_count == (verdict is Verdict.FAIL)
    assert found.statement == ("Q back" if seconds is None else "Q back; allowed 10 s")
    assert found.measures == {"seconds": seconds, "budget_s": 10.0}


def test_a_recovery_that_nobody_could_see_says_nothing() -> None:
    """No load after the heal, or no fault at all."""
    unseen = of_recovery(RecoveryResult(None, True, 10.0, "no load", under_load=False))
    assert (unseen.verdict, unseen.statement) == (Verdict.INCONCLUSIVE, "not exercised: no load")
    assert of_recovery(None).verdict is Verdict.INCONCLUSIVE
