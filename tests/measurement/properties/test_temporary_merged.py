"""The reference system's binding on hand-written histories."""

from __future__ import annotations

from experiment.verdict import Verdict
from tests.measurement.histories import SYSTEM, history, judged_by, op, read, record, scenario

check = judged_by("temporary_merged")

NUMBER = record("checkin", "temporary_number", "enc-1", id="temporary-1", t=2.0)
MERGED = record("checkin", "merge", "enc-1", id="temporary-1", value="pat-1", t=9.0)


def test_not_exercised_where_nobody_got_a_temporary_number() -> None:
    """Whatever became of the check-ins, also of one whose answer was lost."""
    lost = op(1, "check_in", "enc-1", 2.0, outcome="indeterminate")
    for stores in ([], read(checkin=0)):
        assert check(history(lost, *stores), scenario(), SYSTEM).verdict is Verdict.INCONCLUSIVE


def test_a_number_that_was_merged_passes() -> None:
    """However late; another check-in that never had one does not matter."""
    other = op(2, "check_in", "enc-2", 3.0)
    result = check(history(NUMBER, MERGED, other), scenario(), SYSTEM)
    assert (result.verdict, result.exposed) == (Verdict.PASS, 1)


def test_a_number_that_stays_is_a_violation() -> None:
    """Of an operation that ended either way: the patient has two records."""
    second = record("checkin", "temporary_number", "enc-2", id="temporary-2", t=3.0)
    for outcome in ("acknowledged", "indeterminate"):
        asked = op(2, "check_in", "enc-2", 3.0, outcome=outcome)
        result = check(history(NUMBER, MERGED, second, asked), scenario(), SYSTEM)
        assert (result.verdict, result.violation_count) == (Verdict.FAIL, 1)
