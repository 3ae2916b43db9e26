"""The bounds of what makes a run valid: what is just enough, and what is just too little."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from experiment.history import build
from experiment.rows import End, LoadReport, Note, Row
from experiment.scenario import Arrivals, Expectation, Load
from experiment.units import DURATION, parse_bound
from measurement.analysis import ExpectationResult, FaultWindow, JourneyPhase, ValidityCheck
from measurement.judge import analyse
from measurement.validity import (
    _baseline_met,
    _out_of_time,
    _unproven,
    generator_kept_up,
    largest_lag,
    load_kept_its_shape,
    tightest_objective,
)
from tests.measurement.histories import HEADER, SYSTEM, frame, history, op, sample, scenario, steady

PROVEN = FaultWindow(
    "f1", "latency", "a -> b", 11.0, 21.0, 11.0, 21.1, True, True, "2 ms -> 500 ms", lasted=True, looks=10,
    unwatched_s=2.0, healed_at=21.0, carried_before=1.0, met=9.0, end_statement="99 bytes",
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        (
            {"unwatched_s": 2.1},
            ["was not looked at for 2.1 s while it lasted, expected a look every 2 s at least"],
        ),
        ({"unwatched_s": None}, ["was not looked at while it lasted"]),
        ({"lasted": False}, ["was not seen to act until its end: 99 bytes"]),
        (
            {"observed": False, "met": 0.0},
            ["had no effect: a -> b carried nothing while the fault lasted"],
        ),
        ({"observed": False}, ["had no observed effect: 2 ms -> 500 ms"]),
        ({"observed": False, "met": 0.0, "looks": 0}, ["had no observed effect: 2 ms -> 500 ms"]),
        ({"observed": False, "met": None, "target": "a"}, ["had no observed effect: 2 ms -> 500 ms"]),
        (
            {"carried_before": 0.0},
            ["has nothing to be compared with: a -> b carried nothing before the fault"],
        ),
        ({"carried_before": None}, []),
        ({"carried_before": 0.0, "target": "a"}, []),
    ],
)
def test_what_an_activation_must_have_shown(changes: dict[str, Any], said: list[str]) -> None:
    """Its effect, at every look until the heal, on traffic that was there before; of a node, no traffic."""
    assert _unproven(replace(PROVEN, **changes)) == said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"start": 12.0}, []),
        ({"start": 10.0}, []),
        ({"start": 12.01}, ["began at 12.01 s, expected 11 s within 1 s"]),
        ({"start": 9.99}, ["began at 9.99 s, expected 11 s within 1 s"]),
        ({"start": None}, ["was never injected"]),
        ({"healed_at": 22.0}, []),
        ({"healed_at": 22.01}, ["was healed at 22.01 s, expected 21 s within 1 s"]),
        ({"healed_at": 19.99}, ["was healed at 19.99 s, expected 21 s within 1 s"]),
        ({"end": 19.0}, []),
        ({"end": 18.9}, ["lasted 7.9 s, expected 80% of 10 s at least"]),
        ({"end": 18.9, "healed_at": None}, ["lasted 7.9 s, expected 80% of 10 s at least"]),
        ({"end": None, "healed_at": None}, []),
        (
            {"start": 13.0, "end": 18.0},
            ["began at 13 s, expected 11 s within 1 s", "lasted 5 s, expected 80% of 10 s at least"],
        ),
    ],
)
def test_an_activation_keeps_its_time_and_its_length(changes: dict[str, Any], said: list[str]) -> None:
    """Planned from 11 s to 21 s: a second early or late at both ends, and four fifths of the length."""
    assert _out_of_time(replace(PROVEN, **changes), 11.0, 21.0) == said


def test_an_activation_that_is_not_there_was_never_injected() -> None:
    """Nothing of it stands in the history."""
    assert _out_of_time(None, 11.0, 21.0) == ["was never injected"]


def in_baseline(good: int, offered: int, journey: str = "pay") -> JourneyPhase:
    return JourneyPhase(
        journey=journey, phase="baseline", offered=offered, good=good, acknowledged=good,
        rejected=offered - good, indeterminate=0, not_sent=0, errors={}, success_ratio=None,
        offered_rate=1.0, good_rate=1.0, p50=None, p95=None, p99=None, max=None, histogram=(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("good", "offered", "fit"),
    [(50, 100, True), (49, 100, False), (10, 20, True), (9, 20, False), (9, 19, True), (5, 19, False)],
)
def test_a_baseline_is_good_half_of_the_time(good: int, offered: int, fit: bool) -> None:
    """Of fewer than 20 operations it is enough that chance may explain it."""
    check = _baseline_met([], [in_baseline(good, offered)])
    assert check.ok is fit
    if not fit:
        assert check.statement == (
            f"pay: only {good} of {offered} operations were good before any fault ({good} acknowledged), "
            "expected 50% at least"
        )


def test_a_declared_success_speaks_for_its_journey_alone() -> None:
    """What the scenario allows in the baseline stands; another journey is held to the half."""
    met = ExpectationResult("baseline", "pay", "success", ">= 10%", 0.2, "met")
    assert _baseline_met([met], [in_baseline(20, 100)]).ok
    assert _baseline_met([met], [in_baseline(20, 100)]).statement == (
        "the baseline met its 1 objective over 100 operations"
    )
    assert not _baseline_met([met], [in_baseline(20, 100), in_baseline(20, 100, "claim")]).ok
    elsewhere = replace(met, phase="fault")
    assert not _baseline_met([elsewhere], [in_baseline(20, 100)]).ok


def test_a_baseline_without_any_operation_is_none() -> None:
    """Journeys that were not offered there say nothing; one that was is enough."""
    nothing = _baseline_met([], [in_baseline(0, 0)])
    assert (nothing.ok, nothing.statement) == (False, "no operation was offered in the baseline")
    assert _baseline_met([], [in_baseline(0, 0), in_baseline(9, 9, "claim")]).ok


def kept_up(achieved: int, lag: float | None, *more: Row, offered: int = 1000) -> ValidityCheck:
    """By two reports of two workers, of visits that may take 1 s at most in 95 of 100 cases."""
    rows: list[Row] = [HEADER, *steady(stop=20), *more]
    rows += [LoadReport(1.0, 0, offered - 10, achieved - 10, 0.0, 0.0, 0.0)]
    rows += [LoadReport(1.0, 1, 10, 10, 0.0, 0.0, 0.4)]
    rows += (
        [] if lag is None else [sample(30.0, "load", "lag_p99", 9.0), sample(40.0, "load", "lag_p99", lag)]
    )
    return generator_kept_up(build(rows), scenario(), SYSTEM)


def test_a_generator_keeps_up_with_99_percent() -> None:
    """Of all its workers together, and late by a hundredth of the tightest objective at most; the last
    account counts."""
    assert kept_up(1000, 0.01).ok
    assert kept_up(990, 0.01).ok
    assert not kept_up(989, 0.01).ok
    assert not kept_up(1000, 0.0101).ok
    said = kept_up(989, 0.01).statement
    assert said == "achieved 98.90% of the offered load, expected 99%; lag p99 10 ms, expected at most 10 ms"
    assert kept_up(1000, None).statement == "the load generator gave no account of itself"
    assert not kept_up(1000, None).ok
    silent = build([HEADER, *steady(), sample(40.0, "load", "lag_p99", 0.001)])
    assert not generator_kept_up(silent, scenario(), SYSTEM).ok
    assert generator_kept_up(history(), scenario(), SYSTEM).statement == "no operation was recorded"
    twin = build([replace(HEADER, source="simulation"), *steady()])
    assert generator_kept_up(twin, scenario(), SYSTEM).ok


def test_the_tightest_objective_is_that_of_what_was_played() -> None:
    """Or of the scenario, whatever was played."""
    seen = history(*steady())
    assert tightest_objective(seen, scenario(), SYSTEM) == SYSTEM.journeys["check_in"].p95
    tight = (Expectation("check_in", p99=parse_bound("<= 300ms", DURATION)),)
    assert tightest_objective(seen, scenario(expect={"after": tight}), SYSTEM) == 0.3


@pytest.mark.parametrize(
    ("arrivals", "lag", "kept"),
    [
        (Arrivals(rate=1.0), 0.5, True),
        (Arrivals(rate=1.0), 0.51, False),
        (Arrivals(rate=1.0, to=2.0), 0.26, False),
        (Arrivals(rate=1.0, burst_rate=2.0), 0.25, True),
        (Arrivals(rate=100.0), 0.1, True),
        (Arrivals(rate=100.0), 0.11, False),
    ],
)
def test_a_load_keeps_its_shape_within_half_of_the_time_between_visits(
    arrivals: Arrivals, lag: float, kept: bool
) -> None:
    """At its highest rate; visits that come closer than 0.2 s are told apart by nobody."""
    run = scenario(load=Load(arrivals, {"visit": 1.0}))
    report = LoadReport(1.0, 0, 100, 99, 0.0, 0.0, 0.3)
    assert load_kept_its_shape(build([HEADER, report, sample(40.0, "load", "lag_p99", lag)]), run) is kept
    lost = LoadReport(1.0, 0, 100, 98, 0.0, 0.0, 0.3)
    assert not load_kept_its_shape(build([HEADER, lost, sample(40.0, "load", "lag_p99", lag)]), run)
    assert not load_kept_its_shape(build([HEADER, report]), run)


def test_the_largest_lag_is_that_of_any_worker_in_any_second() -> None:
    """None of a run without an account."""
    reports = [
        LoadReport(float(t), w, 1, 1, 0.0, 0.0, lag) for t, w, lag in ((1, 0, 0.1), (1, 1, 0.4), (2, 0, 0.2))
    ]
    assert largest_lag(build([HEADER, *reports])) == 0.4
    assert largest_lag(build([HEADER])) == 0.0


def said_by(name: str, rows: list[Row], **changes: Any) -> tuple[bool, str]:
    analysis = analyse(build(rows), scenario(**changes), SYSTEM)
    (check,) = (check for check in analysis.validity if check.name == name)
    return check.ok, check.statement


def test_how_a_run_ended_is_told() -> None:
    """With its reason, or that it has none."""
    for end, said in (
        (End(41.0, "completed", True), (True, "the run completed in 41 s")),
        (End(9.0, "interrupted", True, "SIGINT came"), (False, "SIGINT came")),
        (End(9.0, "interrupted", True), (False, "the run was interrupted, no reason was recorded")),
    ):
        assert said_by("complete", frame(end=end)) == said
    dirty = said_by("clean_up_verified", frame(end=End(41.0, "completed", False)))
    assert dirty == (False, "clean-up was incomplete: no reason was recorded")
    left = said_by("clean_up_verified", frame(end=End(41.0, "completed", False, "a toxic is left")))
    assert left == (False, "clean-up was incomplete: a toxic is left")
    good = said_by("clean_up_verified", frame())
    assert good == (True, "1 injection healed and verified, everything cleaned up")


def test_operations_that_overlap_the_fault_are_counted() -> None:
    """Under way at any moment from 11 s to 21.1 s, of journeys that the faulted link can reach."""
    during = [
        op(1, "pay", "a", 5.0, took=6.0),
        op(2, "pay", "b", 5.0, took=5.9),
        op(3, "pay", "c", 21.1),
        op(4, "pay", "d", 21.2),
        op(5, "check_in", "e", 15.0),
    ]
    for needed, ok in ((2, True), (3, False)):
        found = said_by("enough_operations", [*frame(), *during], expect={"minimum_operations": needed})
        assert found == (
            ok,
            f"2 operations overlapped a fault that can reach them, expected {needed} at least",
        )


def test_what_objects_is_told_in_its_words() -> None:
    """A note of a lower level does not object."""
    rows = [
        *frame(),
        Note(3.0, "info", "said"),
        Note(4.0, "invalid", "the proxy died"),
        Note(5.0, "invalid", "so"),
    ]
    assert said_by("no_objection", rows) == (False, "the proxy died; so")
    assert said_by("no_objection", rows[:-2]) == (True, "no part of the harness objected")
