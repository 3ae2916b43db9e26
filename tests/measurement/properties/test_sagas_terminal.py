"""The reference system's binding on hand-written histories: every case of money and status."""

from __future__ import annotations

import pytest

from experiment.rows import Record, Row
from experiment.verdict import Verdict
from tests.measurement.histories import SYSTEM, history, judged_by, op, read, record, scenario

check = judged_by("sagas_terminal")


def invoice(status: str, amount: float = 30.0) -> Record:
    return record("billing", "invoice", "inv-1", status=status, amount=amount, t=3.0)


def saga(status: str) -> Record:
    return record("billing", "saga", "inv-1", status=status, t=3.0)


def charge(number: str = "a", amount: float = 30.0) -> Record:
    return record("payments", "charge", "inv-1", id=number, status="captured", amount=amount, t=2.5)


def refund(amount: float = 30.0) -> Record:
    return record("payments", "refund", "inv-1", id="r", amount=amount, t=4.0)


def test_not_exercised_without_a_payment() -> None:
    """An open invoice that nobody tried to pay exposes nothing."""
    assert check(history(invoice("open")), scenario(), SYSTEM).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    "records",
    [
        (invoice("paid"), charge()),
        (invoice("paid"), charge(), saga("completed")),
        (invoice("refunded"), charge(), refund(), saga("compensated")),
        (invoice("failed"), saga("compensated")),
        (invoice("failed"), charge(), refund(), saga("compensated")),
    ],
)
def test_ends_that_conserve_money_pass(records: tuple[Record, ...]) -> None:
    """Paid once, given back in full, or never charged: each of these is an end."""
    assert check(history(*records), scenario(), SYSTEM).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("records", "why"),
    [
        ((invoice("open"), charge()), "captured and not refunded, invoice is open"),
        ((charge(),), "captured and not refunded, invoice is unknown to billing"),
        ((invoice("failed"), charge()), "captured and not refunded, invoice is failed"),
        ((invoice("refunded"), charge(), refund(10.0)), "captured and not refunded, invoice is refunded"),
        ((invoice("paid"),), "paid without a capture"),
        ((invoice("paid"), charge(amount=20.0)), "paid 30.0 by captures of net 20.0"),
        ((invoice("paid"), charge("a"), charge("b")), "paid 30.0 by captures of net 60.0"),
        ((invoice("failed"), refund()), "refunded 30.0 more than was captured"),
        ((invoice("paying"),), "still paying after settling"),
        ((invoice("paid"), charge(), saga("running")), "its saga still runs"),
        ((invoice("failed"), saga("completed")), "its saga says completed"),
        ((invoice("paid"), charge(), saga("weird")), "its saga is weird, which it can never be"),
        ((invoice("paid"), charge(), record("billing", "saga", "inv-1")), "its saga is without a state"),
    ],
)
def test_money_or_ends_that_do_not_fit_are_violations(records: tuple[Record, ...], why: str) -> None:
    """Each way in which ledger, invoice and saga disagree has its own sentence and the records as
    evidence."""
    result = check(history(*records, record("payments", "charge", "inv-2")), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    found = next(v for v in result.violations if v.key == "inv-1")
    assert why in found.statement
    assert len(found.evidence) == len(records)


def test_a_client_that_was_told_paid_must_have_paid() -> None:
    """The answer said paid; billing lost it, and no money moved."""
    rows: list[Row] = [op(1, "pay", "inv-1", 2.0, value="paid"), invoice("open")]
    result = check(history(*rows), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    assert "the client was told paid, invoice is open" in result.violations[0].statement


@pytest.mark.parametrize("label", [None, "pending", "cached"])
@pytest.mark.parametrize("billed", [(), (invoice("open"),)])
def test_an_acknowledged_payment_must_have_begun(label: str | None, billed: tuple[Record, ...]) -> None:
    """Whatever the answer said of itself: without saga, capture or an end of the invoice nothing happened."""
    asked = op(1, "pay", "inv-1", 2.0, label=label)
    result = check(history(asked, *billed, record("billing", "invoice", "inv-2")), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    why = "was acknowledged and never begun" if label else "was told paid"
    assert why in result.violations[0].statement


def test_empty_ledgers_that_were_read_have_lost_the_payments() -> None:
    """Nothing at billing and nothing at payments is a loss once both were read, and unknown before."""
    asked = op(1, "pay", "inv-1", 2.0, label="pending")
    assert check(history(asked), scenario(), SYSTEM).verdict is Verdict.INCONCLUSIVE
    assert check(history(asked, *read(billing=0)), scenario(), SYSTEM).verdict is Verdict.INCONCLUSIVE
    both = check(history(asked, *read(billing=0, payments=0)), scenario(), SYSTEM)
    assert both.verdict is Verdict.FAIL
    assert "invoice is unknown to billing" in both.violations[0].statement


def test_an_accepted_payment_may_fail_later() -> None:
    """202 promised to go on, not to succeed."""
    rows: list[Row] = [op(1, "pay", "inv-1", 2.0, label="pending"), invoice("failed"), saga("compensated")]
    assert check(history(*rows), scenario(), SYSTEM).verdict is Verdict.PASS


def test_an_indeterminate_payment_may_end_either_way() -> None:
    """Timed out and never begun, or timed out and paid: both are right."""
    lost = op(1, "pay", "inv-1", 2.0, outcome="indeterminate")
    assert check(history(lost, invoice("open")), scenario(), SYSTEM).verdict is Verdict.PASS
    assert check(history(lost, invoice("paid"), charge()), scenario(), SYSTEM).verdict is Verdict.PASS


def test_the_total_stands_beside() -> None:
    """Money in all: what the ledger kept minus what invoices say was paid."""
    result = check(history(invoice("open"), charge(amount=30.0)), scenario(), SYSTEM)
    assert result.measures["difference"] == 30.0
    assert "ledger minus paid invoices: +30.00" in result.statement


def test_money_that_is_right_leaves_no_difference() -> None:
    """What was captured less what was refunded is what paid invoices cost; a fraction of a cent is none."""
    rows: list[Row] = [invoice("paid"), charge(amount=30.004)]
    rows += [record("billing", "invoice", "inv-2", status="refunded")]
    rows += [record("payments", "charge", "inv-2", status="captured", amount=12.5, t=2.0)]
    rows += [record("payments", "refund", "inv-2", amount=12.5, t=3.0)]
    result = check(history(*rows), scenario(), SYSTEM)
    assert result.verdict is Verdict.PASS
    assert result.statement.startswith(
        "all 2 payments ended and money is conserved (ledger minus paid invoices: +0.00)"
    )
    assert result.measures == {
        "payments_begun": 2,
        "captured": 42.5,
        "refunded": 12.5,
        "paid_invoices": 30.0,
        "difference": 0.0,
        "open_sagas": 0,
    }


def test_a_rejected_payment_began_nothing() -> None:
    """Neither does one that was never sent: what it needs had failed."""
    rejected = op(1, "pay", "inv-1", 2.0, outcome="rejected")
    unsent = op(2, "pay", "inv-1", 2.0, outcome="rejected", sent=None)
    paid = [record("billing", "invoice", "inv-2", status="paid", amount=5.0)]
    paid += [record("payments", "charge", "inv-2", status="captured", amount=5.0, t=2.0)]
    result = check(history(rejected, unsent, invoice("open"), *paid), scenario(), SYSTEM)
    assert (result.verdict, result.exposed) == (Verdict.PASS, 1)


def test_a_payment_whose_saga_was_compensated_had_begun() -> None:
    """It was promised to go on, was tried and taken back: the invoice may be open again."""
    asked = op(1, "pay", "inv-1", 2.0, label="pending")
    rows: list[Row] = [asked, invoice("open"), saga("compensated")]
    rows += [record("payments", "charge", "inv-2")]
    rows += [record("billing", "invoice", "inv-2", status="paid")]
    result = check(history(*rows), scenario(), SYSTEM)
    assert "inv-1" not in {violation.key for violation in result.violations}
    untried = [row for row in rows if row != saga("compensated")]
    assert "inv-1" in {v.key for v in check(history(*untried), scenario(), SYSTEM).violations}


def test_a_violation_stands_where_money_last_moved() -> None:
    """At the last capture; without one, at the invoice's own time, and without that at the end."""
    later = record("payments", "charge", "inv-1", id="b", status="captured", amount=30.0, t=9.0)
    hanging = record("billing", "invoice", "inv-2", status="paying", t=5.0)
    nowhere = record("billing", "invoice", "inv-3", status="paying")
    result = check(history(charge(), later, invoice("open"), hanging, nowhere), scenario(), SYSTEM)
    assert [(v.key, v.t) for v in result.violations] == [("inv-2", 5.0), ("inv-1", 9.0), ("inv-3", None)]
    assert result.statement.startswith("3 payments of 3 did not end or did not conserve money")
    assert result.measures["difference"] == 60.0


@pytest.mark.parametrize(
    ("back", "verdict"),
    [(29.99, "fail"), (29.994, "fail"), (29.996, "pass"), (30.004, "pass"), (30.006, "fail")],
)
def test_half_a_cent_is_rounding_and_more_is_money(back: float, verdict: str) -> None:
    """Of what was taken and given back; a cent is missed."""
    rows = (invoice("failed"), charge(), refund(back), saga("compensated"))
    assert check(history(*rows), scenario(), SYSTEM).verdict == verdict


@pytest.mark.parametrize(("amount", "verdict"), [(0.005, "pass"), (0.006, "fail")])
def test_exactly_half_a_cent_is_rounding(amount: float, verdict: str) -> None:
    """Taken for nothing, or given back beyond what was taken."""
    taken = (invoice("failed"), charge(amount=amount), saga("compensated"))
    assert check(history(*taken), scenario(), SYSTEM).verdict == verdict
    given = (invoice("failed"), refund(amount), saga("compensated"), record("payments", "charge", "inv-2"))
    found = check(history(*given), scenario(), SYSTEM)
    assert any(one.key == "inv-1" for one in found.violations) is (verdict == "fail")
