"""Declared objectives against what was measured. Without data nothing is met."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from experiment.history import History
from experiment.libraries import pl
from experiment.scenario import Expectation, Scenario
from experiment.units import Bound, format_duration
from measurement.analysis import ExpectationResult, RecoveryResult, Status
from measurement.degradation import PERCENTILES, figures
from measurement.pressure import moments, with_pressure
from measurement.windows import load_end, phase_spans

Figures = Mapping[str, float | int | None]


def judge_expectations(
    history: History,
    scenario: Scenario,
    graded: pl.DataFrame,
    recovery: RecoveryResult | None,
    heal: float | None,
) -> tuple[ExpectationResult, ...]:
    """Every objective of the scenario: baseline, fault, recovery, after.

    What was still under way when the first fault was injected says nothing of the system before it: it is
    no part of the baseline.
    `after` counts from where the run had recovered; when it never did, from the heal, so that it is not
    excused. One that was not met under pressure from outside says so.
    """
    results: list[ExpectationResult] = []
    for phase in ("baseline", "fault"):
        for expectation in getattr(scenario.expect, phase):
            chosen = (pl.col("phase") == phase) & ~(pl.col("into_fault") & (phase == "baseline"))
            seen = figures(graded, expectation.journey, chosen)
            results.extend(_judge(phase, expectation, seen))
    asked = scenario.expect.recovery
    if asked is not None:
        results.append(_recovery(asked.within, recovery))
    spans, end = phase_spans(history, scenario), load_end(history)
    since = heal if heal is not None else spans["recovery"][0]
    since += (recovery.seconds or 0.0) if recovery is not None else 0.0
    recovered = (pl.col("bucket") >= math.ceil(since - 1e-6)) & (pl.col("bucket") < end)
    for expectation in scenario.expect.after:
        results.extend(_judge("after", expectation, figures(graded, expectation.journey, recovered)))
    return with_pressure(results, moments(history), spans, end)


def describe(result: ExpectationResult) -> str:
    """`pay success during the fault: 93.1%, expected >= 99%`."""
    shown: str
    if result.measured is None:
        shown = result.status
    elif result.figure == "success":
        shown = f"{result.measured:.2%}"
    else:
        shown = format_duration(result.measured)
    where = {"baseline": "in the baseline", "fault": "during the fault", "after": "after recovery"}
    place = where.get(result.phase)
    what = f"{result.journey} {result.figure} {place}" if place else "time to recover"
    said = f"{what}: {shown}, expected {result.bound}"
    return f"{said}; {result.pressure}" if result.pressure else said


def _recovery(within: float, recovery: RecoveryResult | None) -> ExpectationResult:
    seconds = recovery.seconds if recovery is not None else None
    status: Status = "no data"
    if recovery is not None and recovery.under_load:
        status = _status(seconds is not None and seconds <= within)
    return ExpectationResult("recovery", "all", "recovery", f"<= {format_duration(within)}", seconds, status)


def _judge(phase: str, expectation: Expectation, seen: Figures) -> Iterator[ExpectationResult]:
    for figure in ("success", *PERCENTILES):
        bound: Bound | None = getattr(expectation, figure)
        if bound is None:
            continue
        value = _success(seen) if figure == "success" else seen[figure]
        status: Status = "no data"
        if value is not None:
            status = _status(bound.holds(value))
        yield ExpectationResult(phase, expectation.journey, figure, bound.text, value, status)


def _status(holds: bool) -> Status:
    return "met" if holds else "not met"


def _success(seen: Figures) -> float | None:
    offered, succeeded = seen["offered"], seen["succeeded"]
    return succeeded / offered if offered and succeeded is not None else None
