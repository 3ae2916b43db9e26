"""The reference system's binding on hand-written histories."""

from __future__ import annotations

from experiment.verdict import Verdict
from tests.measurement.histories import SYSTEM, history, judged_by, op, read, record, scenario

check = judged_by("no_invented_cover")

SAID = record("eligibility", "coverage_decision", "cov-1", id="enc-1", status="in-force", t=2.0)
CONFIRMED = record("payer", "eligibility_inquiry", "cov-1", status="in-force", t=1.9)


def test_not_exercised_where_no_insurance_was_decided() -> None:
    """A confirmation that nobody passed on is no decision."""
    assert check(history(CONFIRMED), scenario(), SYSTEM).verdict is Verdict.INCONCLUSIVE


def test_what_the_payer_confirmed_passes() -> None:
    """The same insurance may be asked of for many check-ins."""
    again = record("eligibility", "coverage_decision", "cov-1", id="enc-2", status="in-force", t=3.0)
    result = check(history(SAID, again, CONFIRMED), scenario(), SYSTEM)
    assert (result.verdict, result.exposed) == (Verdict.PASS, 1)


def test_cover_that_the_payer_never_confirmed_is_invented() -> None:
    """Also when the payer said the opposite of it."""
    denied = record("payer", "eligibility_inquiry", "cov-1", status="not-covered", t=1.9)
    for answers in (read(payer=0), [denied]):
        result = check(history(SAID, *answers), scenario(), SYSTEM)
        assert result.verdict is Verdict.FAIL
        (violation,) = result.violations
        assert violation.statement == (
            "insurance cov-1: said to be in force, which the payer never confirmed"
        )


def test_a_payer_whose_records_were_not_read_shows_nothing() -> None:
    """What it confirmed is not known, whatever became of the check-in."""
    pending = op(1, "check_in", "enc-1", 2.0, outcome="indeterminate")
    result = check(history(pending, SAID, *read(eligibility=1)), scenario(), SYSTEM)
    assert result.verdict is Verdict.INCONCLUSIVE
