from __future__ import annotations

import pytest

from experiment.verdict import Verdict
from reports.report import RunSummary, SuiteEntry, SuiteReport, summarise
from tests.reports import builder

PASSED, FAILED = summarise(builder.resilient_pass()), summarise(builder.fragile_fail())
INVALID = summarise(builder.invalid())


def entry(run: RunSummary | None, expected: Verdict, violates: tuple[str, ...] = ()) -> SuiteEntry:
    return SuiteEntry("a", "b", expected, run, violates=violates)


def test_a_summary_holds_the_reason_and_what_broke() -> None:
    """One row says why, and lists every broken condition."""
    assert FAILED.headline == "3 duplicate charges on 214 invoices"
    assert FAILED.violations == {"no_duplicate_charge": 3}
    assert FAILED.recovery_censored
    assert len(FAILED.failures) == 2
    assert PASSED.failures == ()


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        ([entry(PASSED, Verdict.PASS), entry(FAILED, Verdict.FAIL)], Verdict.PASS),
        ([entry(FAILED, Verdict.FAIL, ("no_duplicate_charge",))], Verdict.PASS),
        ([entry(FAILED, Verdict.FAIL, ("sagas_terminal",))], Verdict.FAIL),
        ([entry(PASSED, Verdict.FAIL)], Verdict.FAIL),
        ([entry(INVALID, Verdict.PASS)], Verdict.INCONCLUSIVE),
        ([entry(PASSED, Verdict.PASS), entry(None, Verdict.PASS)], Verdict.INCONCLUSIVE),
        ([entry(None, Verdict.PASS), entry(FAILED, Verdict.PASS)], Verdict.FAIL),
        ([], Verdict.INCONCLUSIVE),
    ],
)
def test_a_suite_passes_when_every_run_came_out_as_expected(made: list[SuiteEntry], verdict: Verdict) -> None:
    """A wrong reason is a failure, a run that is missing or invalid leaves the suite open."""
    suite = SuiteReport("smoke", "2026", "make run", tuple(made))
    assert suite.verdict is verdict
    assert suite.passed is (verdict is Verdict.PASS)


def test_the_headline_names_the_first_run_that_was_not_expected() -> None:
    """Scenario, design, expected, found, and why."""
    suite = SuiteReport(
        "smoke", "2026", "make run", (entry(PASSED, Verdict.PASS), entry(FAILED, Verdict.PASS))
    )
    assert suite.headline == (
        "1 of 2 runs came out as expected; a on b: expected pass, "
        "found fail (3 duplicate charges on 214 invoices)"
    )
