"""The rules that all properties share: what is shown of violations, and what must have been read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from experiment.findings import (
    SHOWN,
    Finding,
    conclude,
    counted_records,
    evidence,
    not_exercised,
    only_if_read,
    rule_of_three,
    unread,
)
from experiment.history import History, build
from experiment.rows import End, Row
from experiment.verdict import CheckResult, Verdict, Violation, exit_code, worst
from tests.measurement.histories import HEADER, history, op, read, record

CHARGE = record("payments", "charge", "inv-1", t=3.0)


def test_a_result_is_a_part_of_the_verdict_unless_it_says_otherwise() -> None:
    """It is modelled too, and nothing was violated."""
    result = CheckResult("found", "All is found.", True, Verdict.PASS, "all was found", 3)
    assert (result.judged, result.modelled, result.violation_count) == (True, True, 0)


@pytest.mark.parametrize(
    ("exposed", "said"),
    [
        (3, "(3 exposed: too few to bound the true share)"),
        (4, "(95% bound on the true share: 3/4 = 0.75)"),
        (300, "(95% bound on the true share: 3/300 = 0.01)"),
    ],
)
def test_no_violation_bounds_the_true_share(exposed: int, said: str) -> None:
    """From four exposed things on."""
    assert rule_of_three(exposed) == said


def test_the_first_violations_are_shown_and_all_are_counted() -> None:
    """By time, then by key; what has no time comes last."""
    many = [Violation("late", f"k-{i:02}", 100.0 - i) for i in range(SHOWN)]
    found = conclude(
        50,
        [Violation("unknown", "a", None), Violation("b", "b", 1.0), Violation("a", "a", 1.0), *many],
        23,
        "good",
        "bad",
        {"n": 1},
    )
    assert (found.verdict, found.statement, found.exposed) == (Verdict.FAIL, "bad", 50)
    assert (len(found.violations), found.violation_count) == (SHOWN, 23)
    assert [v.key for v in found.violations[:3]] == ["a", "b", "k-19"]
    assert "unknown" not in {v.statement for v in found.violations}
    good = conclude(50, [], 0, "good", "bad", {})
    assert (good.verdict, good.statement, good.violation_count) == (Verdict.PASS, "good", 0)
    nothing = not_exercised("no order", {"seen": 0})
    assert (nothing.verdict, nothing.statement, nothing.exposed, nothing.measures) == (
        Verdict.INCONCLUSIVE,
        "not exercised: no order",
        0,
        {"seen": 0},
    )


def test_evidence_is_of_the_key_in_the_order_of_time() -> None:
    """Records first, then operations; of the kinds and journeys that are asked for, without empty fields."""
    rows: list[Row] = [
        op(1, "pay", "inv-1", 2.0),
        op(2, "claim", "inv-1", 2.0),
        op(3, "pay", "inv-2", 2.0),
        record("payments", "charge", "inv-1", id="late", t=9.0),
        record("payments", "charge", "inv-1", id="early", t=3.0),
        record("payments", "refund", "inv-1", id="other", t=1.0),
    ]
    found = evidence(history(*rows), ["inv-1", "inv-9"], ["charge"], ["pay"])
    assert [row["id"] for row in found["inv-1"]] == ["early", "late", 1]
    assert found["inv-9"] == ()
    assert set(found["inv-1"][0]) == {"type", "store", "kind", "key", "id", "t"}


def seen(*rows: Row, source: str = "processes", reason: str = "completed") -> History:
    end = End(41.0, reason, True)  # type: ignore[arg-type]  # the two reasons that there are
    return build([replace(HEADER, source=source), *rows, end])


def test_a_store_was_read_when_all_that_it_gave_is_there() -> None:
    """By its count; fewer records than it gave were lost, more cannot make it unread."""
    assert unread(seen(CHARGE, *read(payments=1)), "payments") == ""
    assert unread(seen(CHARGE, *read(payments=2)), "payments") == "the records of payments were not read"
    assert unread(seen(CHARGE, *read(payments=0)), "payments") == ""
    assert unread(seen(*read(payments=0)), "payments") == ""
    assert unread(seen(CHARGE, *read(payments=1)), "payments", "billing") == (
        "the records of billing were not read"
    )
    twin = seen(CHARGE, *read(payments=1), source="simulation")
    assert unread(twin, "billing") == "the records of billing are not modelled"
    lost = seen(CHARGE, *read(payments=2), source="simulation")
    assert unread(lost, "payments") == "the records of payments were not read"
    assert counted_records(seen(*read(payments=2, billing=0))) == {"payments": 2, "billing": 0}


def test_without_counts_a_completed_run_with_any_record_has_read_all() -> None:
    """A run that was cut off has read the stores that it has records of."""
    assert unread(seen(CHARGE), "billing") == ""
    assert unread(seen(), "billing") == "the records of billing were not read"
    cut = seen(CHARGE, reason="interrupted")
    assert unread(cut, "payments") == ""
    assert unread(cut, "billing") == "the records of billing were not read"
    assert unread(build([HEADER, CHARGE]), "billing") == "the records of billing were not read"


def test_only_a_pass_needs_every_store() -> None:
    """A violation stands whatever else was not seen."""
    good, bad = Finding(Verdict.PASS, "all good", 5), Finding(Verdict.FAIL, "one bad", 5)
    part = seen(CHARGE, *read(payments=1))
    assert only_if_read(good, part, "payments") == good
    held = only_if_read(good, part, "payments", "billing")
    assert (held.verdict, held.exposed) == (Verdict.INCONCLUSIVE, 5)
    assert held.statement == (
        "not exercised in full: the records of billing were not read; of what was seen, all good"
    )
    assert only_if_read(bad, part, "billing") == bad


def test_the_worst_part_wins() -> None:
    """Of none nothing is known."""
    order = [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL, Verdict.INVALID]
    for number, verdict in enumerate(order):
        assert worst(order[: number + 1]) is verdict
    assert worst([]) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("verdict", "vetoed", "end", "code"),
    [
        (Verdict.PASS, False, End(41.0, "completed", True), 0),
        (Verdict.FAIL, False, End(41.0, "completed", True), 1),
        (Verdict.INCONCLUSIVE, False, End(41.0, "completed", True), 2),
        (Verdict.INVALID, False, End(41.0, "completed", True), 3),
        (Verdict.INVALID, True, End(41.0, "completed", True), 3),
        (Verdict.FAIL, True, End(41.0, "completed", True), 4),
        (Verdict.PASS, False, End(41.0, "completed", False), 5),
        (Verdict.FAIL, True, End(9.0, "interrupted", False), 5),
        (Verdict.INVALID, False, End(9.0, "interrupted", True, signal="SIGINT"), 130),
        (Verdict.INVALID, False, End(9.0, "interrupted", True, signal="SIGTERM"), 143),
        (Verdict.PASS, False, End(9.0, "interrupted", True), 130),
        (Verdict.INVALID, False, None, 3),
    ],
)
def test_a_run_ends_with_the_code_of_its_worst_news(
    verdict: Verdict, vetoed: bool, end: End | None, code: int
) -> None:
    """What was left behind first, then how it was interrupted, then what it showed."""
    assert exit_code(verdict, vetoed, end) == code
