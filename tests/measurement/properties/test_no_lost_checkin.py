"""The reference system's binding on hand-written histories."""

from __future__ import annotations

from experiment.verdict import Verdict
from tests.measurement.histories import SYSTEM, history, judged_by, op, read, record, scenario

check = judged_by("no_lost_checkin")


def test_not_exercised_without_check_ins() -> None:
    """A history without check-ins proves nothing about them."""
    result = check(history(record("billing", "invoice", "inv-1")), scenario(), SYSTEM)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.exposed == 0
    assert "not exercised" in result.statement


def test_an_unread_database_is_no_loss() -> None:
    """Acknowledged check-ins in a history without any final record are not known to be lost."""
    result = check(history(op(1, "check_in", "enc-1", 2.0)), scenario(), SYSTEM)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "not read" in result.statement


def test_an_empty_database_that_was_read_has_lost_everything() -> None:
    """No record of any kind is in the history; that checkin was read is."""
    result = check(history(op(1, "check_in", "enc-1", 2.0), *read(checkin=0)), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    assert result.measures["lost"] == 1


def test_what_the_history_lost_the_database_has_not() -> None:
    """Two records were read and one is here: the file was damaged, and nothing is known to be lost."""
    rows = [op(i, "check_in", f"enc-{i}", 2.0) for i in range(2)]
    here = record("checkin", "encounter", "enc-0")
    result = check(history(*rows, here, *read(checkin=2)), scenario(), SYSTEM)
    assert result.verdict is Verdict.INCONCLUSIVE


def test_passes_with_the_bound_of_what_was_seen() -> None:
    """Every acknowledged check-in is stored: pass, and the statement says how little that bounds."""
    rows = [op(i, "check_in", f"enc-{i}", i / 10) for i in range(30)]
    records = [record("checkin", "encounter", row.key, t=row.ended) for row in rows]
    result = check(history(*rows, *records), scenario(), SYSTEM)
    assert result.verdict is Verdict.PASS
    assert result.exposed == 30
    assert "3/30 = 0.1" in result.statement


def test_a_lost_check_in_is_shown_with_its_operation() -> None:
    """An acknowledged check-in without an Encounter is a violation; the client's operation is the
    evidence."""
    rows = [op(1, "check_in", "enc-1", 2.0), op(2, "check_in", "enc-2", 3.0)]
    result = check(history(*rows, record("checkin", "encounter", "enc-2")), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    assert [(v.key, v.t) for v in result.violations] == [("enc-1", 2.05)]
    assert result.violations[0].evidence[0]["id"] == 1
    assert "not in the database" in result.violations[0].statement


def test_two_encounters_for_one_key_are_a_violation() -> None:
    """Two rows under one key are shown with both of their ids, even when the client only saw a timeout."""
    rows = [op(1, "check_in", "enc-1", 2.0, outcome="indeterminate")]
    stored = [record("checkin", "encounter", "enc-1", id=name, t=2.0) for name in ("a", "b")]
    result = check(history(*rows, *stored), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    ids = [row["id"] for row in result.violations[0].evidence if row["type"] == "record"]
    assert ids == ["a", "b"]


def test_an_indeterminate_check_in_may_be_either() -> None:
    """A timed-out check-in is right with its Encounter and right without; the records say which it was."""
    rows = [op(i, "check_in", f"enc-{i}", i, outcome="indeterminate") for i in range(2)]
    result = check(history(*rows, record("checkin", "encounter", "enc-0")), scenario(), SYSTEM)
    assert result.verdict is Verdict.PASS
    assert result.measures["indeterminate"] == 2
    assert result.measures["indeterminate_that_happened"] == 1


def test_the_front_door_must_show_what_it_acknowledged() -> None:
    """A check-in that the API itself cannot find in the end is lost, whatever the table says."""
    rows = [op(1, "check_in", "enc-1", 2.0), op(2, "final_read", "enc-1", 40.0, value="absent")]
    result = check(history(*rows, record("checkin", "encounter", "enc-1")), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    assert result.measures["lost"] == 1
