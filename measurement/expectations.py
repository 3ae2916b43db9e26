"""Declared objectives against what was measured. Without data nothing is met."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from experiment.history import History
from experiment.libraries import np, pl
from experiment.scenario import Expectation, Scenario
from experiment.units import LatencyLimit, RelativeBound, format_duration
from measurement.analysis import ExpectationResult, RecoveryResult, Status
from measurement.degradation import PERCENTILES, figures, waits
from measurement.pressure import moments, with_pressure
from measurement.statistics import quantile_interval
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
    before = (pl.col("phase") == "baseline") & ~pl.col("into_fault")
    for phase, chosen in (("baseline", before), ("fault", pl.col("phase") == "fault")):
        for expectation in getattr(scenario.expect, phase):
            results.extend(_judge(phase, expectation, graded, chosen, before))
    asked = scenario.expect.recovery
    if asked is not None:
        results.append(_recovery(asked.within, recovery))
    spans, end = phase_spans(history, scenario), load_end(history)
    since = heal if heal is not None else spans["recovery"][0]
    since += (recovery.seconds or 0.0) if recovery is not None else 0.0
    recovered = (pl.col("bucket") >= math.ceil(since - 1e-6)) & (pl.col("bucket") < end)
    for expectation in scenario.expect.after:
        results.extend(_judge("after", expectation, graded, recovered, before))
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
    if result.beside:
        said += f" ({result.beside})"
    return f"{said}; {result.pressure}" if result.pressure else said


def _recovery(within: float, recovery: RecoveryResult | None) -> ExpectationResult:
    seconds = recovery.seconds if recovery is not None else None
    status: Status = "no data"
    if recovery is not None and recovery.under_load:
        status = _status(seconds is not None and seconds <= within)
    return ExpectationResult("recovery", "all", "recovery", f"<= {format_duration(within)}", seconds, status)


def _judge(
    phase: str, expectation: Expectation, graded: pl.DataFrame, chosen: pl.Expr, before: pl.Expr
) -> Iterator[ExpectationResult]:
    journey = expectation.journey
    seen = figures(graded, journey, chosen)
    for figure in ("success", *PERCENTILES):
        bound: LatencyLimit | None = getattr(expectation, figure)
        if bound is None:
            continue
        value = _success(seen) if figure == "success" else seen[figure]
        status: Status = "no data"
        beside = ""
        if isinstance(bound, RelativeBound):
            status, beside = _beside(
                bound, figure, waits(graded, journey, before), waits(graded, journey, chosen)
            )
        elif value is not None:
            status = _status(bound.holds(value))
        yield ExpectationResult(phase, journey, figure, bound.text, value, status, beside=beside)


def _beside(bound: RelativeBound, figure: str, before: np.ndarray, now: np.ndarray) -> tuple[Status, str]:
    """Against the baseline's figure, and the words on it. Both are known by a sample only: met is what holds
    wherever in their intervals the two lie, not met what holds nowhere in them. Each end of each is wrong in
    at most 2.5% of runs, so that either statement is in at most 5%. All between is undecided."""
    q, enough = PERCENTILES[figure]
    counts = f"{len(before):,} operations before, {len(now):,} now"
    if min(len(before), len(now)) < enough:
        return "no data", f"{counts}, expected {enough} of each at least"
    usual = float(np.quantile(before, q, method="higher"))
    ours, theirs = quantile_interval(now, q), quantile_interval(before, q)
    at_low, at_high = (bound.limits(end) for end in theirs)
    words = f"before {_spread(usual, theirs)}; now {_spread(None, ours)}; {counts}"
    if at_high[0] <= ours[0] and ours[1] <= at_low[1]:
        return "met", words
    if ours[1] < at_low[0] or ours[0] > at_high[1]:
        return "not met", words
    return "undecided", f"{words}: too few to tell"


def _spread(value: float | None, ends: tuple[float, float]) -> str:
    low, high = ends
    between = f"{format_duration(low)} to " + ("any" if math.isinf(high) else format_duration(high))
    return between if value is None else f"{format_duration(value)}, {between}"


def _status(holds: bool) -> Status:
    return "met" if holds else "not met"


def _success(seen: Figures) -> float | None:
    offered, succeeded = seen["offered"], seen["succeeded"]
    return succeeded / offered if offered and succeeded is not None else None
