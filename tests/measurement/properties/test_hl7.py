"""The reference system's bindings about HL7 messages and files, on hand-written histories."""

from __future__ import annotations

import pytest

from experiment.rows import Record, Row
from experiment.verdict import CheckResult, Verdict
from tests.measurement.histories import SYSTEM, history, judged_by, op, read, record, scenario

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
KEY = "hl7-r-000001"
NAMES = (
    "hl7_conserved",
    "no_lost_hl7",
    "no_lost_file",
    "file_applied_in_time",
    "no_duplicate_hl7",
    "no_partial_hl7",
    "hl7_delivered",
)


def judged(name: str, *rows: Row) -> CheckResult:
    stores = {
        store: sum(isinstance(row, Record) and row.store == store for row in rows)
        for store in ("hl7_gateway", "hl7_sender", "lab", "prescriptions")
    }
    return judged_by(name)(history(*rows, *read(**stores)), scenario(), SYSTEM)


def applied(key: str = KEY, id_: str = "1") -> Record:
    return record("hl7_gateway", "hl7_message", key, id=id_, status="applied", t=2.0)


def received(count: int, sender: str = "LIS/LAB") -> list[Record]:
    return [record("hl7_gateway", "hl7_received", sender, id=f"r{n}", t=2.0) for n in range(count)]


def outcome(status: str, id_: str, sender: str = "LIS/LAB") -> Record:
    return record("hl7_gateway", "hl7_outcome", sender, id=id_, status=status, t=2.0)


def content(store: str, print_: str, key: str = KEY) -> Record:
    return record(store, "hl7_content", f"{key}:{print_}", t=2.0)


@pytest.mark.parametrize("name", NAMES)
def test_no_data_is_not_exercised(name: str) -> None:
    """Neither an empty history nor one whose stores were read and hold nothing passes."""
    assert judged_by(name)(history(), scenario(), SYSTEM).verdict is INCONCLUSIVE
    assert judged(name).verdict is INCONCLUSIVE


def test_what_was_received_has_one_outcome_each() -> None:
    """Applied, duplicate, dead-lettered and rejected together are what was received, sender by sender."""
    rows: list[Row] = [
        *received(4),
        *(outcome(s, s) for s in ("applied", "duplicate", "dead-lettered", "rejected")),
    ]
    found = judged("hl7_conserved", *rows)
    assert (found.verdict, found.exposed) == (PASS, 1)
    assert judged("hl7_conserved", *rows, *received(1, "ADT1/WARD")).verdict is FAIL
    swapped = [*rows, *received(1, "ADT1/WARD"), outcome("applied", "x")]
    assert judged("hl7_conserved", *swapped).violation_count == 2


def test_an_acknowledged_message_is_applied_once() -> None:
    """Lost and applied twice are violations; one that timed out may have happened or not."""
    sent = op(1, "send_hl7", KEY, 2.0)
    assert judged("no_lost_hl7", sent, applied()).verdict is PASS
    assert judged("no_lost_hl7", sent).verdict is not PASS
    assert judged("no_lost_hl7", sent, applied("hl7-r-000002")).verdict is FAIL
    assert judged("no_lost_hl7", sent, applied(), applied(id_="2")).verdict is FAIL
    unsure = op(2, "send_hl7", "hl7-r-000002", 2.0, outcome="indeterminate")
    assert judged("no_lost_hl7", sent, applied(), unsure).verdict is PASS
    assert judged("no_lost_hl7", sent, applied(), unsure, applied("hl7-r-000002")).verdict is PASS


def test_no_message_is_applied_twice() -> None:
    """Whatever journey sent it, and whatever its sender was told."""
    assert judged("no_duplicate_hl7", applied(), applied("hl7-r-000002")).verdict is PASS
    found = judged("no_duplicate_hl7", applied(), applied(id_="2"))
    assert (found.verdict, found.violation_count) == (FAIL, 1)


def test_every_message_of_a_file_that_was_taken_is_applied() -> None:
    """What the sender's ledger calls due and the gateway never applied is lost."""
    due = record("hl7_sender", "hl7_due", f"{KEY}-0", t=2.0)
    assert judged("no_lost_file", due, applied(f"{KEY}-0")).verdict is PASS
    assert judged("no_lost_file", due, applied(f"{KEY}-1")).verdict is FAIL


def test_what_is_applied_is_what_somebody_sent() -> None:
    """A content that stands in no ledger of a sender is a part of a message."""
    sent = op(1, "send_hl7", KEY, 2.0)
    whole: list[Row] = [sent, content("hl7_sender", "aa"), content("hl7_gateway", "aa")]
    assert judged("no_partial_hl7", *whole).verdict is PASS
    found = judged("no_partial_hl7", *whole, content("hl7_gateway", "bb"))
    assert found.verdict is FAIL
    assert "applied with a content that nobody sent" in found.violations[0].statement


def asked(key: str = f"LIS-LAB-{KEY}", of: str = "lab") -> Record:
    return record("hl7_gateway", "hl7_asked", key, id="1", status=of, t=2.0)


def delivered(store: str, kind: str, key: str) -> Record:
    return record(store, kind, key, id=key, t=3.0)


def test_a_result_in_the_laboratory_and_an_order_among_the_prescriptions_are_delivered() -> None:
    """Each is called there after the system that gave its number."""
    order = "PHIS-PHARM-hl7-r-000002"
    rows: list[Row] = [
        op(1, "deliver_hl7", KEY, 1.0),
        asked(),
        delivered("lab", "report", f"LIS-LAB-{KEY}"),
        op(2, "deliver_hl7", "hl7-r-000002", 1.5),
        asked(order, "prescriptions"),
        delivered("prescriptions", "rx_version", order),
    ]
    found = judged("hl7_delivered", *rows)
    assert (found.verdict, found.exposed) == (PASS, 2)


def test_what_was_acknowledged_and_never_arrived_is_a_violation() -> None:
    """Also where the gateway itself has forgotten that it was asked for."""
    found = judged(
        "hl7_delivered", op(1, "deliver_hl7", KEY, 1.0), op(2, "deliver_hl7", "hl7-r-000002", 1.5), asked()
    )
    assert (found.verdict, found.violation_count) == (FAIL, 2)


def test_a_message_of_unknown_outcome_asks_for_nothing_unless_the_gateway_has_it() -> None:
    """A sender that got no acknowledgement sends again; what the gateway applied must arrive all the same."""
    unknown = op(1, "deliver_hl7", KEY, 1.0, outcome="indeterminate")
    assert judged("hl7_delivered", unknown).verdict is INCONCLUSIVE
    assert judged("hl7_delivered", unknown, asked()).verdict is FAIL
