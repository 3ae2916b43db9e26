"""The reference system's binding on hand-written histories."""

from __future__ import annotations

from experiment.rows import Record, Row
from experiment.verdict import Verdict
from tests.measurement.histories import SYSTEM, history, judged_by, op, record, scenario

check = judged_by("no_duplicate_charge")


def charge(invoice: str, number: str, t: float, amount: float = 30.0) -> Record:
    return record("payments", "charge", invoice, id=number, t=t, amount=amount, status="captured")


def test_not_exercised_without_a_charge() -> None:
    """Payments that never reached the ledger cannot have been charged twice, and prove nothing."""
    result = check(history(op(1, "pay", "inv-1", 2.0, outcome="rejected")), scenario(), SYSTEM)
    assert result.verdict is Verdict.INCONCLUSIVE


def test_passes_when_each_invoice_is_charged_once() -> None:
    """Two invoices, two charges."""
    result = check(history(charge("inv-1", "a", 2.0), charge("inv-2", "b", 3.0)), scenario(), SYSTEM)
    assert result.verdict is Verdict.PASS
    assert result.exposed == 2


def test_two_charges_of_one_invoice_are_shown_with_ids_times_and_the_operation() -> None:
    """The evidence of a duplicate is both ledger rows and what the patient's client did."""
    rows: list[Row] = [op(1, "pay", "inv-1", 2.0), charge("inv-1", "a", 2.01), charge("inv-1", "b", 2.04)]
    result = check(history(*rows), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    violation = result.violations[0]
    assert violation.statement == "invoice inv-1 was charged twice (30.00 and 30.00)"
    shown = [(row["type"], row["id"], row.get("t", row.get("sent"))) for row in violation.evidence]
    assert shown == [("record", "a", 2.01), ("record", "b", 2.04), ("operation", 1, 2.0)]
    assert result.measures["net_overcharge"] == 30.0


def test_a_refund_does_not_undo_a_duplicate() -> None:
    """A duplicate that was given back is still a violation; its net overcharge is zero."""
    refund = record("payments", "refund", "inv-1", id="r", t=5.0, amount=30.0)
    result = check(history(charge("inv-1", "a", 2.0), charge("inv-1", "b", 2.1), refund), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    assert result.measures["net_overcharge"] == 0.0


def test_an_indeterminate_payment_may_have_been_charged_once() -> None:
    """A timed-out payment with one charge is right."""
    rows: list[Row] = [op(1, "pay", "inv-1", 2.0, outcome="indeterminate"), charge("inv-1", "a", 2.0)]
    assert check(history(*rows), scenario(), SYSTEM).verdict is Verdict.PASS


def test_a_declined_charge_is_no_charge() -> None:
    """Only captures count: a row that was declined moved no money."""
    declined = record("payments", "charge", "inv-1", id="a", amount=30.0, status="declined")
    result = check(history(declined, charge("inv-1", "b", 2.0)), scenario(), SYSTEM)
    assert result.verdict is Verdict.PASS
