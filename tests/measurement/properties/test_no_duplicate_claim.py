"""The reference system's binding on hand-written histories."""

from __future__ import annotations

from experiment.verdict import Verdict
from tests.measurement.histories import SYSTEM, history, judged_by, record, scenario

check = judged_by("no_duplicate_claim")


def test_not_exercised_without_an_accepted_claim() -> None:
    """Billing's own claim rows are no acceptance."""
    result = check(history(record("billing", "claim", "clm-1")), scenario(), SYSTEM)
    assert result.verdict is Verdict.INCONCLUSIVE


def test_passes_when_each_claim_is_accepted_once() -> None:
    """The same identifier at billing and at the payer is one claim."""
    rows = [record("billing", "claim", "clm-1"), record("payer", "claim", "clm-1", t=1.0)]
    assert check(history(*rows), scenario(), SYSTEM).verdict is Verdict.PASS


def test_a_claim_accepted_twice_is_a_violation() -> None:
    """Both acceptances are the evidence."""
    rows = [record("payer", "claim", "clm-1", id=name, t=1.0) for name in ("a", "b")]
    result = check(history(*rows), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    assert [row["id"] for row in result.violations[0].evidence] == ["a", "b"]
