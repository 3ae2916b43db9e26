"""The reference system's bindings about critical results and sessions, on hand-written histories."""

from __future__ import annotations

from dataclasses import replace

import pytest

from experiment.history import History
from experiment.rows import RECORDS_READ, Record, Row, Sample
from experiment.verdict import CheckResult, Verdict
from tests.measurement.histories import SYSTEM, history, judged_by, op, read, record, scenario

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
READ = read(lab=0, notify=0, sms=0, pager=0)
KEY = "ntf-r-000001"
ASKED = op(1, "notify_critical", KEY, 2.0)


def judged(name: str, *rows: Row) -> CheckResult:
    return judged_by(name)(history(*rows), scenario(), SYSTEM)


def notice(key: str = KEY, status: str = "told", t: float = 2.0) -> Record:
    return record("notify", "notice", key, id=key, status=status, t=t)


def paged(after: float, key: str = KEY, store: str = "sms", kind: str = "page") -> Record:
    return record(store, kind, key, id=f"msg-{store}-{after}", status="delivered", t=2.0 + after)


def read_at(t: float, **records: int) -> list[Row]:
    return [Sample(t, store, RECORDS_READ, float(number)) for store, number in records.items()]


def in_time(*rows: Row, scale: float = 60.0, name: str = "told_in_time") -> CheckResult:
    """With the records read at 30 s, and the clock of business times so many times faster."""
    counts = {
        store: sum(isinstance(r, Record) and r.store == store for r in rows)
        for store in ("lab", "notify", "sms", "pager")
    }
    built: History = history(*rows, *read_at(30.0, **counts))
    changed = replace(built, header=replace(built.header, clock_scale=scale))
    return judged_by(name)(changed, scenario(), SYSTEM)


@pytest.mark.parametrize(
    "name",
    ["told_in_time", "critical_told_in_time", "unanswered_escalated", "no_duplicate_page",
     "no_duplicate_escalation",
     "no_lost_notice", "no_lost_session"],
)  # fmt: skip
def test_no_data_is_not_exercised(name: str) -> None:
    """Neither an empty history nor one whose stores were read and hold nothing passes."""
    assert judged(name).verdict is INCONCLUSIVE
    found = judged(name, *READ)
    assert (found.verdict, found.exposed) == (INCONCLUSIVE, 0)


@pytest.mark.parametrize(
    "page",
    [paged(0.1), paged(4.9), paged(4.9, store="pager"), paged(4.9, store="pager", kind="escalation")],
)
def test_a_result_of_which_anybody_was_told_in_time_passes(page: Record) -> None:
    """By either channel, and either person; five minutes are five seconds at sixty times the speed."""
    found = in_time(ASKED, notice(), page)
    assert (found.verdict, found.exposed) == (PASS, 1)
    assert "reached a person within 5 s" in found.statement


def test_a_result_that_came_late_or_never_fails() -> None:
    """What was told in time first is told in time, whatever came later."""
    late = in_time(ASKED, notice(), paged(7.0))
    assert late.statement == (
        "1 notice of 1 that were acknowledged or kept did not reach a person within 5 s: 1 later, 0 never"
    )
    assert late.violations[0].statement.startswith(f"the notice of {KEY} took 7 s to reach a person")
    assert (late.measures["late_notices"], late.measures["longest_wait_s"]) == (1, 7.0)
    never = in_time(ASKED, notice(status="queued"))
    assert never.verdict is FAIL
    assert never.measures["lost_notices"] == 1
    assert in_time(ASKED, notice(), paged(7.0), paged(0.5, store="pager")).verdict is PASS
    assert in_time(ASKED, notice(), paged(7.0), scale=1.0).verdict is PASS


def test_what_is_still_in_time_is_not_judged() -> None:
    """Made three seconds before the records were read, and not yet told: it may still be."""
    other = [notice("ntf-r-000002", t=28.0)]
    assert in_time(*other).verdict is INCONCLUSIVE
    assert in_time(ASKED, notice(), paged(1.0), *other).exposed == 1


def test_an_indeterminate_notice_may_be_either() -> None:
    """Timed out: told or not, nobody was promised anything, unless it is kept."""
    asked = op(1, "notify_critical", KEY, 2.0, outcome="indeterminate")
    assert in_time(asked).verdict is INCONCLUSIVE
    assert in_time(asked, notice()).verdict is FAIL
    assert in_time(asked, notice(), paged(1.0)).verdict is PASS


def test_an_answered_result_needs_no_second_person() -> None:
    """Only what nobody acknowledged must be escalated."""
    answered, open_ = notice(status="acknowledged"), notice("ntf-r-000002")
    assert judged("unanswered_escalated", answered, *read(sms=0, pager=0)).verdict is INCONCLUSIVE
    bad = judged("unanswered_escalated", answered, open_, *read_at(400.0, notify=2, sms=0, pager=0))
    assert (bad.verdict, bad.exposed) == (FAIL, 1)
    escalated = paged(200.0, "ntf-r-000002", "pager", "escalation")
    good = judged(
        "unanswered_escalated", answered, open_, escalated, *read_at(400.0, notify=2, sms=0, pager=1)
    )
    assert good.verdict is PASS


def test_a_second_page_is_a_duplicate_by_whatever_channel() -> None:
    """Twice by one, or once by each; an escalation to another person is not one."""
    once = judged("no_duplicate_page", ASKED, paged(0.1), paged(3.0, store="pager", kind="escalation"), *READ)
    assert (once.verdict, once.exposed) == (PASS, 1)
    for second in (paged(0.2), paged(0.2, store="pager")):
        twice = judged("no_duplicate_page", ASKED, paged(0.1), second, *READ)
        assert twice.statement == "1 duplicate page on 1 notice of 1 paged"
        assert [row["type"] for row in twice.violations[0].evidence] == ["record", "record", "operation"]
    asked = op(1, "notify_critical", KEY, 2.0, outcome="indeterminate")
    assert judged("no_duplicate_page", asked, paged(0.1), *READ).verdict is PASS
    unread = judged("no_duplicate_page", ASKED, paged(0.1), *read(sms=1))
    assert unread.statement == "not exercised: the records of pager were not read"


def test_a_second_escalation_is_a_duplicate() -> None:
    """By the pager and by text message."""
    first, second = (paged(3.0, store=store, kind="escalation") for store in ("pager", "sms"))
    assert judged("no_duplicate_escalation", first, *READ).verdict is PASS
    assert judged("no_duplicate_escalation", first, second, *READ).verdict is FAIL


@pytest.mark.parametrize(
    ("name", "journey", "kind", "key"),
    [
        ("no_lost_notice", "notify_critical", "notice", KEY),
        ("no_lost_session", "open_session", "session", "ses-1"),
    ],
)
def test_what_was_accepted_is_on_record(name: str, journey: str, kind: str, key: str) -> None:
    """Acknowledged and gone is lost; a timeout may be either."""
    kept = record("notify", kind, key, status="open", t=2.0)
    asked = op(1, journey, key, 2.0)
    assert judged(name, asked, kept).verdict is PASS
    assert judged(name, asked, *READ).verdict is FAIL
    unsure = op(1, journey, key, 2.0, outcome="indeterminate")
    assert judged(name, unsure, kept).verdict is PASS
    assert judged(name, unsure, *READ).verdict is INCONCLUSIVE


def test_the_time_of_a_critical_result_counts_from_the_laboratory() -> None:
    """Its notice may be late, or never come: what the laboratory keeps as critical was promised by it."""
    name = "critical_told_in_time"
    report = record("lab", "report", "lab-r-000001", t=2.0, status="critical")
    routine = record("lab", "report", "lab-r-000002", t=2.0, status="routine")
    late_notice = notice(t=6.0)
    good = in_time(report, routine, late_notice, paged(4.5), name=name)
    assert (good.verdict, good.exposed) == (PASS, 1)
    assert in_time(report, late_notice, paged(5.5), name=name).verdict is FAIL
    assert in_time(report, late_notice, paged(5.5)).verdict is PASS
    lost = in_time(report, name=name)
    assert lost.violations[0].statement == (
        "the critical result of lab-r-000001 never reached a person; at lab it is critical"
    )
    unsure = op(1, "report_critical", "lab-r-000003", 2.0, outcome="indeterminate")
    assert in_time(unsure, name=name).verdict is INCONCLUSIVE
