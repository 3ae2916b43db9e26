"""A system that acknowledges everything and keeps nothing: a veto, whichever store is empty."""

from __future__ import annotations

from typing import Any

import pytest

from experiment.history import build
from experiment.rows import Row
from experiment.verdict import Verdict
from measurement.analysis import Analysis
from measurement.judge import analyse
from tests.measurement.histories import SYSTEM, frame, op, read, scenario, steady, stored

STORES = {"checkin": 0, "billing": 0, "payments": 0, "payer": 0, "prescriptions": 0, "pharmacy": 0}
LOSSES = {
    "check_in": "no_lost_checkin",
    "pay": "sagas_terminal",
    "claim": "no_lost_claim",
    "prescribe": "no_lost_prescription_change",
}


def judged(*rows: Row) -> Analysis:
    return analyse(build([*frame(with_fault=False), *rows]), scenario(faults=()), SYSTEM)


def written(journey: str) -> list[Row]:
    versions: dict[str, Any] = {"version": 1, "value": "5 mg"} if journey == "prescribe" else {}
    return [op(i, journey, f"key-{i}", i / 10, **versions) for i in range(360)]


@pytest.mark.parametrize("journey", LOSSES)
def test_stores_that_were_read_and_are_empty_veto_the_run(journey: str) -> None:
    """Every acknowledged operation is gone: fail with score 0, not an unfit baseline and not 'not read'."""
    analysis = judged(*written(journey), *read(**STORES))
    assert analysis.verdict is Verdict.FAIL
    assert analysis.vetoed
    assert analysis.score.value == 0.0
    (check,) = (check for check in analysis.checks if check.violation_count)
    assert (check.checker, check.violation_count) == (LOSSES[journey], 360)


@pytest.mark.parametrize("journey", LOSSES)
def test_stores_that_were_not_read_veto_nothing(journey: str) -> None:
    """Nothing is known of them."""
    analysis = judged(*written(journey))
    assert not analysis.vetoed
    assert not any(check.violation_count for check in analysis.checks)


def test_a_loss_of_the_baseline_alone_vetoes_too() -> None:
    """What was acknowledged before the fault and is gone in the end is as lost as the rest."""
    rows = steady()
    kept = [row for row in stored(rows) if row.t is not None and row.t >= 11.0]  # type: ignore[union-attr]
    analysis = judged(*rows, *kept, *read(checkin=len(kept)))
    assert analysis.vetoed
    assert [check.name for check in analysis.validity if not check.ok] == []
