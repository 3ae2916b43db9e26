"""The reference system's binding on hand-written counters."""

from __future__ import annotations

from dataclasses import replace

from experiment.rows import Sample
from experiment.services import Service
from experiment.topology import Link
from experiment.verdict import Verdict
from tests.measurement.histories import SYSTEM, history, judged_by, sample, scenario

check = judged_by("no_retry_amplification")


def counted(*values: tuple[float, float, float], received: tuple[float, ...] = ()) -> list[Sample]:
    """(t, logical, attempts) of billing about payments; what payments received, if told."""
    rows: list[Sample] = []
    for index, (t, logical, attempts) in enumerate(values):
        rows.append(sample(t, "billing", "logical", logical, "payments"))
        rows.append(sample(t, "billing", "attempts", attempts, "payments"))
        if received:
            rows.append(sample(t, "payments", "received", received[index], "billing"))
    return rows


def test_not_exercised_without_enough_requests() -> None:
    """19 requests are too few for a ratio."""
    assert (
        check(history(*counted((1, 0, 0), (36, 19, 57))), scenario(), SYSTEM).verdict is Verdict.INCONCLUSIVE
    )


def test_callers_without_counters_are_named() -> None:
    """A user learns which endpoint would have told it."""
    services = {"front": Service(command=("front",)), "back": Service(image="back:1")}
    shop = replace(SYSTEM, services=services, links=(Link("front", "back"),))
    result = check(history(), scenario(), shop)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.statement.endswith("without the endpoint metrics nothing is known of front")


def test_few_retries_pass() -> None:
    """105 attempts for 100 requests."""
    result = check(history(*counted((1, 0, 0), (36, 100, 105))), scenario(), SYSTEM)
    assert result.verdict is Verdict.PASS
    assert result.measures["billing -> payments"] == 1.05


def test_a_storm_during_the_fault_is_not_diluted_by_the_calm() -> None:
    """1.06 over the run, but 3 calls for each request while the fault lasted."""
    rows = counted((1, 0, 0), (11, 1000, 1000), (21, 1030, 1090), (36, 2030, 2090))
    result = check(history(*rows), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    assert "3.00 calls per logical request during the fault" in result.violations[0].statement


def test_what_the_callee_received_is_the_truth() -> None:
    """The caller admits no retry, the callee received twice as many."""
    result = check(history(*counted((1, 0, 0), (36, 100, 100), received=(0, 200))), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    assert result.violations[0].evidence[0]["received"] == 200


def test_a_restart_begins_the_counters_again() -> None:
    """After a crash counters start at zero: 50 + 50 requests, not minus anything; the callee is not
    compared."""
    rows = counted((1, 0, 0), (11, 50, 50), (21, 10, 10), (36, 50, 50), received=(0, 90, 150, 200))
    result = check(history(*rows), scenario(), SYSTEM)
    assert result.verdict is Verdict.PASS
    assert result.exposed == 100


def test_a_fault_may_spend_what_the_calm_saved() -> None:
    """100 requests before the fault saved 10 retries: 30 requests may make 43 calls, not 44."""
    within = counted((1, 0, 0), (11, 100, 100), (21, 130, 143), (36, 300, 313))
    beyond = counted((1, 0, 0), (11, 100, 100), (21, 130, 144), (36, 300, 314))
    assert check(history(*within), scenario(), SYSTEM).verdict is Verdict.PASS
    result = check(history(*beyond), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    assert "1.47 calls per logical request during the fault" in result.violations[0].statement


def test_nothing_is_saved_twice() -> None:
    """What was spent before the fault is gone: 110 calls for 100 requests leave no retry for the fault."""
    rows = counted((1, 0, 0), (11, 100, 110), (21, 130, 144), (36, 300, 330))
    assert check(history(*rows), scenario(), SYSTEM).verdict is Verdict.FAIL
