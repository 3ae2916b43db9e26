"""The simulator against closed forms and published figures, at several parameters."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from experiment.errors import UsageError
from simulation.selfcheck import CASES
from simulation.selfcheck.cases import CheckRow, row, share
from simulation.selfcheck.pages import markdown_page, markdown_section, text_table
from simulation.selfcheck.queues import erlang_b, erlang_c, finite_queue
from simulation.selfcheck.quorums import delay_mixture
from simulation.selfcheck.staleness import Delays, Staleness

SMALL: list[tuple[str, dict[str, Any]]] = [
    ("mmc", {"servers": 1, "utilisation": 0.5, "customers": 30_000, "seeds": 10}),
    ("mmc", {"servers": 10, "utilisation": 0.9, "customers": 30_000, "seeds": 10}),
    ("mg1", {"utilisation": 0.7, "cv2": 0.0, "customers": 30_000, "seeds": 10}),
    ("mmck", {"servers": 3, "capacity": 7, "load": 4.0, "customers": 30_000, "seeds": 10}),
    ("duplicates", {"customers": 20_000, "seeds": 2}),
    (
        "duplicates",
        {"timeout": 0.1, "delay": 0.02, "response_loss": 0.3, "retries": 4, "customers": 20_000, "seeds": 2},
    ),
    ("retries", {"failure": 0.3, "retries": 5, "customers": 20_000, "seeds": 2}),
    ("backoff", {"clients": 12, "policy": "equal_jitter", "repetitions": 600}),
    ("mmck", {"servers": 200, "capacity": 220, "load": 210.0, "customers": 30_000, "seeds": 4}),
    ("mmck", {"servers": 2, "capacity": 6, "utilisation": 0.6, "customers": 30_000, "seeds": 10}),
    ("metastable", {"load": 140.0}),
    ("metastable", {"load": 150.0}),
    ("metastable", {"load": 300.0}),
    ("metastable", {"load": 360.0}),
    ("metastable", {"load": 200.0, "capacity": 300.0, "budget": 0.05}),
    ("pbs", {"trials": 8_000, "seeds": 2, "read_quorum": 2, "write_quorum": 2}),
    ("metastable", {"load": 1.0}),
    ("duplicates", {"request_loss": 1.0, "customers": 1000, "seeds": 2}),
    ("duplicates", {"response_loss": 1.0, "customers": 1000, "seeds": 2}),
    ("retries", {"failure": 1.0, "customers": 1000, "seeds": 2}),
    ("mmck", {"servers": 1, "capacity": 10**9, "load": 0.5, "customers": 30_000, "seeds": 4}),
    ("hedging", {"curve": "10:1,20:0.5", "requests": 400, "seeds": 2}),
]


def failed(rows: list[CheckRow]) -> list[CheckRow]:
    return [row for row in rows if row.verdict == "fail"]


@pytest.mark.parametrize(("case", "parameters"), SMALL, ids=[f"{c}-{i}" for i, (c, _) in enumerate(SMALL)])
def test_a_small_run_agrees_with_the_exact_figures(case: str, parameters: dict[str, Any]) -> None:
    """Within the case's tolerance, whatever the parameters."""
    assert failed(CASES[case].check(**parameters)) == []


def test_the_closed_forms_give_the_published_figures() -> None:
    """Erlang's formulas, the loss formula and the staleness quadrature against printed values."""
    assert erlang_c(4, 3.2) == pytest.approx(0.596432, abs=1e-6)
    assert erlang_c(10, 9.0) == pytest.approx(0.668732, abs=1e-6)
    assert finite_queue(10, 10, 8.0)[0] == pytest.approx(0.12166, abs=1e-5)
    assert finite_queue(10, 30, 12.0) == pytest.approx((0.168637, 1.53456), abs=1e-5)
    fast = delay_mixture("0.9122:pareto(0.235,10)+0.0878:exp(1.66)")
    slow = delay_mixture("0.38:pareto(1.05,1.51)+0.62:exp(0.183)")
    ssd = Staleness(Delays(fast, fast, fast, fast), 3, 1, 1)
    disk = Staleness(Delays(slow, fast, fast, fast), 3, 1, 1)
    assert 1 - ssd.probability(0.0) == pytest.approx(0.974, abs=0.003)
    assert 1 - disk.probability(0.0) == pytest.approx(0.439, abs=0.003)
    assert 1 - disk.probability(10.0) == pytest.approx(0.925, abs=0.003)


def test_backoff_gives_the_published_order() -> None:
    """At 100 clients full jitter makes the fewest calls, and exponential backoff alone takes the longest."""
    rows = {row.quantity: row for row in CASES["backoff"].check(repetitions=20)}
    calls = {name: rows[f"{name}: calls"].simulated for name in ("none", "full_jitter", "decorrelated")}
    assert calls["full_jitter"] < calls["decorrelated"] < calls["none"]
    assert rows["policies in the expected order of calls"].verdict == "pass"


def test_a_retry_budget_of_a_fifth_does_not_save_an_overloaded_database() -> None:
    """280 + 56 > 300: goodput stays zero, and the lower load brings it back."""
    rows = {row.quantity: row for row in CASES["metastable"].check(load=280.0)}
    assert rows["goodput with a retry budget of 20%"].simulated == 0.0
    assert rows["goodput under the same load, per second"].simulated == 0.0
    assert rows["goodput after the load drops to 100/s"].simulated == pytest.approx(100.0, rel=0.02)


def test_hedging_cuts_the_tail() -> None:
    """A second request after 10 ms turns the slowest thousandth from seconds into tens of milliseconds."""
    rows = {row.quantity: row for row in CASES["hedging"].check(requests=1_000, seeds=2)}
    assert rows["P(a request meets a leaf's slowest 1%)"].expected == pytest.approx(0.634, abs=5e-4)
    assert rows["p99.9 ms"].expected == pytest.approx(1800, rel=0.01)
    assert rows["p99.9 ms hedged"].expected == pytest.approx(74, rel=0.1)
    assert rows["p99.9 ms hedged"].simulated < rows["p99.9 ms"].simulated / 5
    assert rows["additional requests"].simulated == pytest.approx(0.02, abs=0.001)


@pytest.mark.slow
def test_a_full_sized_queue_is_right_to_one_percent() -> None:
    """Ten runs of 400,000 customers: within three standard errors, the mean within one percent."""
    rows = {row.quantity: row for row in CASES["mmc"].check(servers=4, utilisation=0.8)}
    assert rows["mean wait"].expected == pytest.approx(0.745541, abs=1e-6)
    assert rows["p95 wait"].expected == pytest.approx(3.0987, abs=1e-4)
    assert rows["mean wait"].verdict == "pass"
    assert failed(list(rows.values())) == []
    assert rows["mean wait"].simulated == pytest.approx(rows["mean wait"].expected, rel=0.01)


def test_results_do_not_depend_on_the_number_of_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """One core and several give the same rows."""
    parameters = {"customers": 5_000, "seeds": 2}
    several = CASES["mmc"].check(**parameters)
    monkeypatch.setattr("simulation.selfcheck.cases.sched_getaffinity", lambda _: {0})
    assert CASES["mmc"].check(**parameters) == several


@pytest.mark.parametrize(
    ("case", "parameters", "message"),
    [
        ("mmc", {"utilisation": 1.2}, "found utilisation 1.2, expected between 0 and 1"),
        ("mmc", {"server": 1}, 'mmc has no parameter "server"; did you mean "servers"?'),
        ("mmck", {"servers": 4, "capacity": 2}, "found capacity 2, expected at least the 4 servers"),
        ("backoff", {"policy": "random"}, "--policy: found random, expected one of all, none"),
        ("pbs", {"write": "pareto"}, 'found the delay "pareto"'),
        ("hedging", {"curve": "1"}, 'found --curve "1"'),
        ("mmc", {"customers": 0}, "--customers: found 0, expected at least 1000"),
        ("mmc", {"seeds": 1}, "--seeds: found 1, expected at least 2"),
        ("mmck", {"load": 3.0, "utilisation": 0.5}, "found both --load and --utilisation"),
        ("pbs", {"trials": 0}, "--trials: found 0, expected at least 100"),
        ("pbs", {"write": "exp(-1)"}, 'found the delay "exp(-1)"'),
        ("pbs", {"write": "1.5:exp(1)+-0.5:exp(2)"}, "found the delay"),
        ("pbs", {"write": "pareto(1,0.5)", "trials": 100, "seeds": 2}, "expected delays with a lighter tail"),
        ("pbs", {"after": -1.0}, "--after: found -1.0, expected at least 0"),
        ("pbs", {"read_quorum": 4}, "found a read quorum of 4 of 3 replicas, expected 1 to 3"),
        ("duplicates", {"request_loss": 1.5}, "found losses of 1.5 and 0.01, expected shares of at most 1"),
        ("duplicates", {"delay": -1.0}, "--delay: found -1.0, expected at least 0"),
        ("retries", {"initial": -1.0}, "--initial: found -1.0, expected at least 0"),
        ("metastable", {"lower_load": 0.0, "load": 200.0}, "lower load 0, expected all above 0"),
        ("metastable", {"budget": -1.0}, "--budget: found -1.0, expected at least 0"),
        ("hedging", {"slow": 1.0}, "found --slow 1, expected a share between 0 and 1"),
        ("hedging", {"curve": "0:1,20:0.5"}, "rising times x above 0 and falling shares P above 0"),
        ("mmck", {"capacity": 10**9}, "found capacity 1000000000, expected at most 10,000,000"),
    ],
)
def test_a_wrong_parameter_is_refused(case: str, parameters: dict[str, Any], message: str) -> None:
    """What has no expected figure is no check."""
    with pytest.raises(UsageError) as caught:
        CASES[case].check(**parameters)
    assert message in str(caught.value)


def test_rows_are_written_for_people_and_machines() -> None:
    """JSON has exactly the promised keys; the page carries the command and every row."""
    rows = CASES["metastable"].check()
    assert all(
        set(row.to_json()) == {"quantity", "expected", "simulated", "standard_error", "verdict"}
        for row in rows
    )
    assert all(
        isinstance(row.simulated, float) and not isinstance(row.simulated, np.floating) for row in rows
    )
    section = markdown_section(CASES["metastable"], {"load": 140.0}, rows)
    assert "selfcheck simulation metastable --load 140.0" in section
    assert "| seconds to recover, at most | 133 |" in section
    assert "every figure holds" in markdown_page([section], rows)
    assert text_table(rows).splitlines()[0].split()[:2] == ["quantity", "expected"]


def test_the_loss_of_a_large_bounded_queue_is_finite() -> None:
    """Powers and factorials would overflow; without a waiting room the formula is Erlang's."""
    loss, wait = finite_queue(300, 2000, 400.0)
    assert loss == pytest.approx(0.25, abs=1e-6)
    assert wait == pytest.approx(1700 / 300, rel=0.01)
    assert finite_queue(400, 400, 400.0)[0] == pytest.approx(erlang_b(400, 400.0))


@pytest.mark.parametrize(("load", "capacity"), [(12.0, 100_000), (10.0, 5_000), (9.99, 5_000)])
def test_a_waiting_room_that_is_never_filled_shows_nothing(load: float, capacity: int) -> None:
    """Told with the customers that would do, in table, page and JSON, instead of a figure that is wrong."""
    wanted = {"servers": 10, "capacity": capacity, "load": load, "customers": 30_000}
    rows = CASES["mmck"].check(**wanted)
    assert {row.verdict for row in rows} == {"inconclusive"} and len(rows) == 2
    found = re.search(r"30000 customers are too few .*; --customers (\d+) would do", text_table(rows))
    assert found is not None and found[0] in markdown_section(CASES["mmck"], wanted, rows)
    assert rows[0].to_json()["simulated"] is None and found[0] == rows[0].to_json()["note"]
    assert int(found[1]) > 30_000


def test_the_customers_that_would_do_are_enough() -> None:
    """With as many as the check asked for, the same queue is judged and holds."""
    wanted = {"servers": 2, "capacity": 300, "load": 2.2, "seeds": 4}
    (asked, *_) = CASES["mmck"].check(**wanted, customers=1000)
    customers = int(asked.note.split("--customers ")[1].split()[0])
    rows = CASES["mmck"].check(**wanted, customers=customers)
    assert {row.verdict for row in rows} == {"pass"}
    with_one_less = CASES["mmck"].check(**wanted, customers=customers - 1)
    assert {row.verdict for row in with_one_less} == {"inconclusive"}


def test_rare_events_are_judged_by_the_exact_law() -> None:
    """None where a third of one is expected is no failure, and ten is; the error is never nought."""
    assert share("x", 1e-5, 0.0, 30_000).verdict == "pass"
    assert share("x", 1e-5, 1 / 30_000, 30_000).verdict == "pass"
    assert share("x", 1e-5, 10 / 30_000, 30_000).verdict == "fail"
    assert share("x", 1e-5, 0.0, 30_000).standard_error > 0
    assert share("x", 0.0, 0.0, 100).verdict == "pass"
    assert share("x", 0.0, 0.01, 100).verdict == "fail"


def test_a_queue_that_does_not_reach_its_steady_state_says_nothing() -> None:
    """At a utilisation of 0.999 it takes millions of customers to forget that the queue began empty."""
    for case in ("mmc", "mg1"):
        rows = CASES[case].check(utilisation=0.999, customers=20_000, seeds=2)
        assert {row.verdict for row in rows} == {"inconclusive"}
        assert rows[0].note.startswith("20000 customers are too few for the utilisation 0.999; --customers ")


def test_too_few_events_are_inconclusive_and_a_mean_may_have_to_be_right_to_a_percent() -> None:
    """A false alarm and a lucky pass are both avoided."""
    assert row("x", 1.0, 2.0, 0.1, events=3.0).verdict == "inconclusive"
    assert row("x", 1.0, float("nan")).verdict == "inconclusive"
    assert row("x", 1.0, 1.02, 0.01).verdict == "pass"
    assert row("x", 1.0, 1.02, 0.01, strictly=0.01).verdict == "fail"
    rows = {r.quantity: r for r in CASES["mmc"].check(servers=10, utilisation=0.1, customers=1000, seeds=2)}
    assert rows["mean wait"].verdict == "inconclusive"
    assert rows["P(wait)"].verdict == "pass"
