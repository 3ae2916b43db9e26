"""The reference system's binding on hand-written histories."""

from __future__ import annotations

import pytest

from experiment.rows import Record, Row
from experiment.verdict import Verdict
from tests.measurement.histories import SYSTEM, history, judged_by, op, read, record, scenario

check = judged_by("no_lost_claim")


def billed(status: str) -> Record:
    return record("billing", "claim", "clm-1", status=status, value="inv-1", t=2.0)


ACCEPTED = record("payer", "claim", "clm-1", t=3.0)
ASKED = op(1, "claim", "inv-1", 2.0)


def test_not_exercised_without_a_claim() -> None:
    """A claim that only the payer knows was promised by nobody."""
    assert check(history(ACCEPTED), scenario(), SYSTEM).verdict is Verdict.INCONCLUSIVE


def test_an_unread_ledger_is_no_loss() -> None:
    """What the payer has is not known."""
    for stores in ([], read(billing=0)):
        result = check(history(ASKED, *stores), scenario(), SYSTEM)
        assert result.verdict is Verdict.INCONCLUSIVE
        assert "not read" in result.statement


def test_a_claim_that_the_payer_has_passes() -> None:
    """Acknowledged, sent and accepted, also when accepted twice: that is another property."""
    result = check(history(ASKED, billed("submitted"), ACCEPTED, ACCEPTED), scenario(), SYSTEM)
    assert (result.verdict, result.exposed) == (Verdict.PASS, 1)


@pytest.mark.parametrize(
    ("records", "state"),
    [((), "unknown"), ((billed("queued"),), "queued"), ((billed("submitted"),), "submitted")],
)
def test_an_acknowledged_claim_that_the_payer_lacks_is_lost(records: tuple[Record, ...], state: str) -> None:
    """Whatever billing believes; what both of them know is the evidence."""
    result = check(history(ASKED, *records, *read(payer=0)), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    (violation,) = result.violations
    assert violation.statement == f"the claim of inv-1 never reached the payer; at billing it is {state}"
    assert violation.t == 2.05
    assert len(violation.evidence) == 1 + len(records)


@pytest.mark.parametrize("status", ["queued", "submitted"])
def test_a_claim_that_billing_keeps_is_promised(status: str) -> None:
    """The client timed out, the claim is on record: it must get there all the same."""
    asked = op(1, "claim", "inv-1", 2.0, outcome="indeterminate")
    assert check(history(asked, billed(status), ACCEPTED), scenario(), SYSTEM).verdict is Verdict.PASS
    lost = check(history(asked, billed(status), *read(payer=0)), scenario(), SYSTEM)
    assert lost.verdict is Verdict.FAIL
    assert lost.measures["still_queued"] == (status == "queued")


def test_an_indeterminate_claim_may_be_either() -> None:
    """Timed out, and at most begun to be sent: nobody was promised anything."""
    asked = op(1, "claim", "inv-1", 2.0, outcome="indeterminate")
    other: list[Row] = [op(2, "claim", "inv-2", 2.0), record("payer", "claim", "clm-2")]
    for rows in ((asked,), (asked, billed("sending")), (asked, billed("sending"), ACCEPTED)):
        result = check(history(*rows, *other), scenario(), SYSTEM)
        assert (result.verdict, result.exposed) == (Verdict.PASS, 1)
