"""The reference system's binding on hand-written counters."""

from __future__ import annotations

from dataclasses import replace

import pytest

from experiment.history import build
from experiment.rows import Sample
from experiment.services import Service
from experiment.topology import Link
from experiment.verdict import Verdict
from measurement.properties.no_retry_amplification import NoRetryAmplification
from tests.measurement.histories import HEADER, SYSTEM, history, judged_by, sample, scenario

check = judged_by("no_retry_amplification")


def counted(
    *values: tuple[float, float, float], received: tuple[float, ...] = (), callee: str = "payments"
) -> list[Sample]:
    """(t, logical, attempts) of billing about the callee; what that received, if told."""
    rows: list[Sample] = []
    for index, (t, logical, attempts) in enumerate(values):
        rows.append(sample(t, "billing", "logical", logical, callee))
        rows.append(sample(t, "billing", "attempts", attempts, callee))
        if received:
            rows.append(sample(t, callee, "received", received[index], "billing"))
    return rows


def test_not_exercised_without_enough_requests() -> None:
    """19 requests are too few for a ratio, 20 are enough."""
    few = check(history(*counted((1, 0, 0), (36, 19, 57))), scenario(), SYSTEM)
    assert few.verdict is Verdict.INCONCLUSIVE
    assert few.statement.startswith("not exercised: no link counted 20 logical requests")
    assert check(history(*counted((1, 0, 0), (36, 20, 60))), scenario(), SYSTEM).verdict is Verdict.FAIL


def test_a_run_without_any_sample_exercised_nothing() -> None:
    """Nothing was counted at all: no figure is made of that."""
    assert check(build([HEADER]), scenario(), SYSTEM).verdict is Verdict.INCONCLUSIVE


def test_callers_without_counters_are_named() -> None:
    """A user learns which endpoint would have told it."""
    services = {"front": Service(command=("front",)), "back": Service(image="back:1")}
    shop = replace(SYSTEM, services=services, links=(Link("front", "back"),))
    result = check(history(), scenario(), shop)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.statement.endswith("without the endpoint metrics nothing is known of front")
    twin = build([replace(HEADER, source="simulation")])
    assert check(twin, scenario(), shop).statement.endswith("no link counted 20 logical requests")
    stored = replace(shop, links=(Link("front", "back", protocol="postgres"),))
    assert check(history(), scenario(), stored).statement.endswith("no link counted 20 logical requests")


def test_few_retries_pass() -> None:
    """105 attempts for 100 requests."""
    result = check(history(*counted((1, 0, 0), (36, 100, 105))), scenario(), SYSTEM)
    assert result.verdict is Verdict.PASS
    assert result.measures["billing -> payments"] == 1.05
    assert result.exposed == 100


def test_the_limit_itself_is_allowed() -> None:
    """At 1.5 for each request, 150 calls for 100 requests are right and 151 are too many."""
    binding = NoRetryAmplification(limit=1.5, saved=0.0)
    for attempts, verdict in ((150, Verdict.PASS), (151, Verdict.FAIL)):
        seen = history(*counted((1, 0, 0), (36, 100, attempts)))
        assert binding.find(seen, scenario(), SYSTEM).verdict is verdict
    assert binding.sentence == "A link carries at most 1.5 calls for each logical request."


def test_a_limit_below_one_call_is_refused() -> None:
    """Every request needs one call; that no retry at all is allowed can be asked for."""
    assert NoRetryAmplification(limit=1.0).limit == 1.0
    with pytest.raises(ValueError, match=r"limit 0\.9; expected at least 1 call"):
        NoRetryAmplification(limit=0.9)


def test_the_links_that_are_named_are_judged() -> None:
    """Where a binding names links, a storm on another one is not its own."""
    seen = history(*counted((1, 0, 0), (36, 100, 300)), *counted((1, 0, 0), (36, 50, 50), callee="payer"))
    other = NoRetryAmplification(links=("billing -> payer",)).find(seen, scenario(), SYSTEM)
    assert (other.verdict, other.exposed) == (Verdict.PASS, 50)
    own = NoRetryAmplification(links=("billing -> payments",)).find(seen, scenario(), SYSTEM)
    assert (own.verdict, own.exposed) == (Verdict.FAIL, 100)


def test_the_worst_link_is_told_and_each_that_is_broken_is_a_violation() -> None:
    """A link beyond its limit is worse than one with a higher ratio that had saved it."""
    payments = counted((1, 0, 0), (11, 100, 100), (21, 120, 132), (36, 300, 312))
    payer = counted((1, 0, 0), (11, 100, 110), (21, 200, 230), (36, 300, 330), callee="payer")
    result = check(history(*payments, *payer), scenario(), SYSTEM)
    assert result.statement.startswith(
        "1 link of 2 made more than 1.1 calls per logical request; "
        "worst billing -> payer: 1.20 calls per logical request (during the fault)"
    )
    assert result.measures["billing -> payments"] == 1.6
    assert result.exposed == 600
    assert [violation.key for violation in result.violations] == ["billing -> payer"]
    both = history(*counted((1, 0, 0), (36, 100, 300)), *counted((1, 0, 0), (36, 100, 200), callee="payer"))
    result = check(both, scenario(), SYSTEM)
    assert "worst billing -> payments: 3.00 calls" in result.statement
    assert [v.key for v in result.violations] == ["billing -> payer", "billing -> payments"]


def test_a_storm_after_the_heal_is_told_from_the_fault_on() -> None:
    """Callers that go on repeating once the fault is gone: the calm before it does not dilute them."""
    rows = counted((1, 0, 0), (11, 1000, 1000), (21, 1010, 1010), (36, 1050, 1090))
    result = check(history(*rows), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    assert "1.80 calls per logical request from the fault on" in result.violations[0].statement


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
    (violation,) = result.violations
    assert violation.statement == (
        "billing -> payments: 2.00 calls per logical request from the fault on "
        "(100 logical, 100 attempts, 200 received by the callee)"
    )
    assert violation.evidence == (
        {
            "type": "counters",
            "link": "billing -> payments",
            "window": "from the fault on",
            "logical": 100.0,
            "attempts": 100.0,
            "received": 200.0,
            "resets": 0,
        },
    )


def test_a_restart_begins_the_counters_again() -> None:
    """After a crash counters start at zero: 50 + 50 requests, not minus anything; the callee is not
    compared."""
    rows = counted((1, 0, 0), (11, 50, 50), (21, 10, 10), (36, 50, 50), received=(0, 90, 150, 200))
    result = check(history(*rows), scenario(), SYSTEM)
    assert result.verdict is Verdict.PASS
    assert result.exposed == 100
    callee = counted((1, 0, 0), (11, 50, 50), (36, 100, 100), received=(0, 200, 150))
    assert check(history(*callee), scenario(), SYSTEM).verdict is Verdict.PASS


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


def test_a_long_calm_saves_no_more_than_a_short_one() -> None:
    """1,000 requests before the fault save the same 10 retries as 100 do."""
    within = counted((1, 0, 0), (11, 1000, 1000), (21, 1030, 1043), (36, 2000, 2013))
    beyond = counted((1, 0, 0), (11, 1000, 1000), (21, 1030, 1044), (36, 2000, 2014))
    assert check(history(*within), scenario(), SYSTEM).verdict is Verdict.PASS
    assert check(history(*beyond), scenario(), SYSTEM).verdict is Verdict.FAIL


def test_nothing_is_saved_where_nothing_was_counted_before() -> None:
    """A caller that only began to count with the fault has no retries to spend."""
    rows = counted((11, 0, 0), (21, 30, 34), (36, 30, 34))
    assert check(history(*rows), scenario(), SYSTEM).verdict is Verdict.FAIL
