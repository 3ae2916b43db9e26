"""The reference system's binding on hand-written histories."""

from __future__ import annotations

from experiment.verdict import Verdict
from tests.measurement.histories import SYSTEM, history, judged_by, op, read, record, scenario

check = judged_by("one_tray")

TRAY = record("pharmacy", "tray", "rx-1", id="1", t=2.1)


def test_not_exercised_without_a_tray() -> None:
    """A prescription that the pharmacy never heard of has none, be its records read or not."""
    asked = op(1, "prescribe", "rx-1", 2.0, version=1, value="5 mg")
    for stores in ([], read(pharmacy=0)):
        assert check(history(asked, *stores), scenario(), SYSTEM).verdict is Verdict.INCONCLUSIVE


def test_one_tray_a_prescription_passes() -> None:
    """Each prescription has its own; one whose acknowledgement was lost may have one too."""
    lost = op(2, "prescribe", "rx-2", 3.0, outcome="indeterminate")
    other = record("pharmacy", "tray", "rx-2", id="2", t=3.1)
    result = check(history(TRAY, lost, other), scenario(), SYSTEM)
    assert (result.verdict, result.exposed) == (Verdict.PASS, 2)


def test_a_second_tray_of_a_prescription_is_a_violation() -> None:
    """Somebody may be given both."""
    again = record("pharmacy", "tray", "rx-1", id="2", t=4.0)
    result = check(history(TRAY, again), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    assert result.statement == "1 duplicate tray on 1 prescription of 1 prepared"
    assert [row["id"] for row in result.violations[0].evidence] == ["1", "2"]
