"""The reference system's binding on hand-written histories."""

from __future__ import annotations

from typing import Any, Literal

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from experiment.rows import Operation, Record, Row
from experiment.verdict import Verdict
from measurement.linearizability import RegisterOperation, check_register
from tests.measurement.histories import SYSTEM, history, judged_by, op, read, record, scenario

check = judged_by("no_superseded_dispense")
Outcome = Literal["acknowledged", "rejected", "indeterminate"]


def wrote(number: int, version: int, at: float, took: float = 0.1) -> Operation:
    journey = "prescribe" if version == 1 else "change_dose"
    return op(number, journey, "rx-1", at, took, version=version)


def dispensed(
    number: int,
    version: int | None,
    at: float,
    took: float = 0.1,
    outcome: Outcome = "acknowledged",
    **more: Any,
) -> Operation:
    return op(number, "dispense", "rx-1", at, took, outcome, version=version, **more)


def handed(version: int, t: float, **more: Any) -> Record:
    fields = {"id": f"md-{t}", "status": "completed", **more}
    return record("pharmacy", "dispense", "rx-1", version=version, t=t, **fields)


def committed(version: int, t: float, status: str = "active") -> Record:
    return record("prescriptions", "rx_version", "rx-1", version=version, t=t, status=status)


def test_not_exercised_without_a_dispense() -> None:
    """Changes alone expose nobody."""
    assert check(history(wrote(1, 1, 1.0)), scenario(), SYSTEM).verdict is Verdict.INCONCLUSIVE


def test_the_current_version_may_be_dispensed() -> None:
    """Version 2 was acknowledged, then dispensed."""
    rows: list[Row] = [wrote(1, 1, 1.0), wrote(2, 2, 2.0), dispensed(3, 2, 3.0), handed(2, 3.05)]
    result = check(history(*rows), scenario(), SYSTEM)
    assert result.verdict is Verdict.PASS
    assert result.exposed == 1


def test_an_old_version_after_an_acknowledged_change_is_a_violation() -> None:
    """The change was acknowledged before the dispense began: it is shown with the record of the hand-over."""
    rows: list[Row] = [wrote(1, 1, 1.0), wrote(2, 2, 2.0), dispensed(3, 1, 3.0), handed(1, 3.05)]
    result = check(history(*rows), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    assert "version 1 was dispensed, a newer version had been acknowledged (version 2)" in (
        result.violations[0].statement
    )
    kinds = {row.get("kind", row.get("journey")) for row in result.violations[0].evidence}
    assert kinds == {"prescribe", "change_dose", "dispense"}


def test_a_dispense_that_overlaps_the_change_may_go_either_way() -> None:
    """The change was under way while the dispense was: old and new are both right."""
    for version in (1, 2):
        rows: list[Row] = [
            wrote(1, 1, 1.0),
            wrote(2, 2, 3.0, 0.5),
            dispensed(3, version, 3.1),
            handed(version, 3.15),
        ]
        result = check(history(*rows), scenario(), SYSTEM)
        assert result.verdict is Verdict.PASS
        assert result.measures["registers_searched"] == 1


def test_a_version_once_dispensed_stays_superseding() -> None:
    """While the change is under way one dispense showed version 2; a later one must not go back to 1."""
    rows: list[Row] = [
        wrote(1, 1, 1.0),
        wrote(2, 2, 3.0, 2.0),
        dispensed(3, 2, 3.1),
        handed(2, 3.15),
        dispensed(4, 1, 4.0),
        handed(1, 4.05),
    ]
    result = check(history(*rows), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    assert "a newer version had been dispensed" in result.violations[0].statement
    # No order of these explains it either: one wrong dispense is told once.
    assert (result.violation_count, result.measures["registers_not_linearizable"]) == (1, 1)


def test_an_indeterminate_change_supersedes_nothing_by_itself() -> None:
    """A change that timed out may not have happened yet: dispensing the old version is right."""
    lost = op(2, "change_dose", "rx-1", 2.0, outcome="indeterminate")
    rows: list[Row] = [wrote(1, 1, 1.0), lost, dispensed(3, 1, 3.0), handed(1, 3.05), committed(1, 1.05)]
    assert check(history(*rows), scenario(), SYSTEM).verdict is Verdict.PASS


def test_an_indeterminate_dispense_is_settled_by_the_record() -> None:
    """The client timed out, the record shows the old version handed over: a violation all the same."""
    rows: list[Row] = [
        wrote(1, 1, 1.0),
        wrote(2, 2, 2.0),
        dispensed(3, None, 3.0, outcome="indeterminate"),
        handed(1, 3.05),
    ]
    assert check(history(*rows), scenario(), SYSTEM).verdict is Verdict.FAIL


def test_an_answer_without_a_record_counts_too() -> None:
    """The client was told that version 1 was handed over; the pharmacy's row is missing, the harm is not."""
    rows: list[Row] = [wrote(1, 1, 1.0), wrote(2, 2, 2.0), dispensed(3, 1, 3.0)]
    assert check(history(*rows), scenario(), SYSTEM).verdict is Verdict.FAIL


def test_a_record_of_another_version_does_not_excuse_an_answer() -> None:
    """The client was handed version 1, the pharmacy wrote down 2: both are looked at."""
    rows: list[Row] = [wrote(1, 1, 1.0), wrote(2, 2, 2.0), dispensed(3, 1, 3.0), handed(2, 3.05)]
    result = check(history(*rows), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    assert result.exposed == 2


def test_a_record_of_an_earlier_dispense_does_not_excuse_an_answer() -> None:
    """Version 1 was rightly handed over before the change; the second hand-over is only in the client's
    log."""
    rows: list[Row] = [
        wrote(1, 1, 1.0),
        dispensed(2, 1, 1.5),
        handed(1, 1.55),
        wrote(3, 2, 2.0),
        dispensed(4, 1, 3.0),
    ]
    result = check(history(*rows), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    assert [violation.t for violation in result.violations] == [3.1]
    good = check(history(*rows[:4], dispensed(4, 2, 3.0)), scenario(), SYSTEM)
    assert good.verdict is Verdict.PASS


def test_a_hold_dispenses_nothing() -> None:
    """Unreachable means hold: a held dispense is no exposure and is counted."""
    held = dispensed(3, None, 3.0, label="held")
    rows: list[Row] = [wrote(1, 1, 1.0), wrote(2, 2, 2.0), held, handed(1, 3.05, status="held")]
    result = check(history(*rows), scenario(), SYSTEM)
    assert result.verdict is Verdict.INCONCLUSIVE


def test_a_held_dispense_that_is_completed_later_began_later() -> None:
    """Held at 3 s, changed at 4 s, handed over at 6 s on a repeat: the old version is superseded by then."""
    rows: list[Row] = [
        wrote(1, 1, 1.0),
        dispensed(2, None, 3.0, label="held"),
        wrote(3, 2, 4.0),
        dispensed(4, 1, 6.0),
        handed(1, 6.05),
    ]
    assert check(history(*rows), scenario(), SYSTEM).verdict is Verdict.FAIL


def test_a_stopped_version_must_not_be_dispensed() -> None:
    """The stop is the newest version, and dispensing it is still wrong."""
    rows: list[Row] = [
        wrote(1, 1, 1.0),
        wrote(2, 2, 2.0),
        committed(2, 2.05, "stopped"),
        dispensed(3, 2, 3.0),
        handed(2, 3.05),
    ]
    result = check(history(*rows), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    assert "this version is a stop" in result.violations[0].statement


def test_a_record_that_no_operation_explains_is_not_accused() -> None:
    """Without a client's operation nobody knows when a hand-over began: it is counted, not judged."""
    rows: list[Row] = [wrote(1, 1, 1.0), wrote(2, 2, 2.0), handed(1, 3.0)]
    result = check(history(*rows), scenario(), SYSTEM)
    assert result.verdict is Verdict.PASS
    assert result.measures["dispenses_without_operation"] == 1


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12)), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 12), st.integers(1, 4)), min_size=1, max_size=4),
)
def test_it_agrees_with_the_search_for_a_linear_order(
    gaps: list[tuple[int, int]], reads: list[tuple[int, int, int]]
) -> None:
    """Where writes do not overlap each other, versions and the general register search must say the same."""
    rows: list[Operation | Record] = []
    register: list[RegisterOperation] = []
    clock = 0.0
    for number, (gap, took) in enumerate(gaps, 1):
        start, clock = clock + gap / 10 + 0.01, clock + (gap + took) / 10 + 0.01
        rows.append(wrote(number, number, start, clock - start))
        register.append(RegisterOperation("w", "write", number, start, clock, "rx-1"))
    for number, (at, took, version) in enumerate(reads, 100):
        # Hundredths that no write uses: nothing ends and begins at the very same instant.
        start, end = at / 10 + 0.003, (at + took) / 10 + 0.003
        seen = min(version, len(gaps))
        rows += [dispensed(number, seen, start, end - start), handed(seen, end)]
        register.append(RegisterOperation(number, "read", seen, start, end, "rx-1"))
    first_read = min(o.completed or 0.0 for o in register if o.function == "read")
    for operation in register:
        if operation.function == "read":
            write = register[int(str(operation.value)) - 1]
            # A version read before it was written is a broken clock, not a superseded dispense.
            if operation.completed is not None and write.invoked > operation.completed:
                return
    assert first_read is not None
    expected = check_register(register).linearizable
    whole = history(*rows, *read(pharmacy=len(reads), prescriptions=0))
    assert (check(whole, scenario(), SYSTEM).verdict is Verdict.PASS) is expected


def test_a_use_that_was_acknowledged_and_left_no_record_is_a_violation() -> None:
    """The store was read, and nothing in it shows what became of the thing; one put off owes none yet."""
    wrote_it = wrote(1, 1, 1.0, 0.1)
    for label, verdict in ((None, Verdict.FAIL), ("cached", Verdict.FAIL), ("held", Verdict.INCONCLUSIVE)):
        told = dispensed(2, 1, 5.0, label=label)
        found = check(history(wrote_it, told, *read(pharmacy=0, prescriptions=0)), scenario(), SYSTEM)
        assert found.verdict is verdict
    unread = check(history(wrote_it, dispensed(2, 1, 5.0), *read(prescriptions=0)), scenario(), SYSTEM)
    assert unread.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("second", "verdict"), [(3.0, Verdict.PASS), (5.5, Verdict.FAIL)], ids=["before", "after"]
)
def test_the_same_version_may_be_used_twice_until_a_newer_one_is_there(
    second: float, verdict: Verdict
) -> None:
    """An earlier use of the same version shows nothing newer; the change at 5 s does."""
    rows = [wrote(1, 1, 1.0), wrote(2, 2, 5.0, 0.1), dispensed(3, 1, 2.0), dispensed(4, 1, second)]
    handed_over = [handed(1, 2.05), handed(1, second + 0.05)]
    assert check(history(*rows, *handed_over), scenario(), SYSTEM).verdict is verdict
