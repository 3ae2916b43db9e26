"""What must hold before anything may be claimed from a run. Each condition says what was seen."""

from __future__ import annotations

from collections.abc import Sequence

from experiment.asked import Asked
from experiment.history import History
from experiment.libraries import pl
from experiment.rows import Operation
from experiment.scenario import PHASES, Scenario, activations
from experiment.topology import System
from experiment.units import format_duration, noun
from experiment.verdict import Verdict
from measurement.analysis import ExpectationResult, FaultWindow, JourneyPhase, ValidityCheck
from measurement.evidence import final_reads_made, judge_evidence
from measurement.expectations import describe
from measurement.pressure import LATE_S
from measurement.properties.selection import how_many
from measurement.quality import latency_bounds
from measurement.statistics import evidently_below

KEPT_UP = 0.99  # achieved / offered
LAG_SHARE = 0.01  # of the tightest latency objective
SHAPE_SHARE = 0.5  # of the time between two visits: beyond it another load was played
CLOSE_S = 0.2
USABLE_BASELINE = 0.5  # share of good operations below which a journey has nothing to be degraded from
ENOUGH = 20
MOST_UNWATCHED_S = 2.0  # looks come every 0.4 s; a machine that is busy may be late with some
KEPT_LENGTH = 0.8  # of the planned length of an activation


def judge_validity(
    history: History,
    scenario: Scenario,
    system: System,
    windows: Sequence[FaultWindow],
    expectations: Sequence[ExpectationResult],
    journeys: Sequence[JourneyPhase],
    kept_up: ValidityCheck,
    asked: Asked | None = None,
) -> tuple[ValidityCheck, ...]:
    """All conditions, those that a run without faults cannot have left out. `kept_up`: what
    `generator_kept_up` said, or what became of it."""
    evidence = judge_evidence(history, system, asked)
    checks = [
        _complete(history, scenario),
        _no_objection(history, system),
        _baseline_met(expectations, journeys),
        kept_up,
        _clean_up_verified(history, windows),
        *final_reads_made(history),
    ]
    if scenario.faults or windows:
        checks.insert(3, _fault_observed(scenario, windows))
        checks.append(_enough_operations(history, scenario, system, windows))
    return (checks[0], *evidence, *checks[1:])


def _complete(history: History, scenario: Scenario) -> ValidityCheck:
    end = history.end
    asked = [name for name in PHASES if getattr(scenario.phases, name) > 0]
    closed = {phase.name for phase in history.phases if phase.end is not None}
    missing = [name for name in asked if name not in closed]
    if end is None:
        statement = "the run was interrupted: its command was killed, and the history has no end"
    elif end.reason != "completed":
        statement = end.statement or f"the run was {end.reason}, no reason was recorded"
    elif missing:
        statement = f"phases that never ended: {', '.join(missing)}"
    else:
        return ValidityCheck("complete", True, f"the run completed in {format_duration(end.t)}")
    return ValidityCheck("complete", False, statement)


def _no_objection(history: History, system: System) -> ValidityCheck:
    objections = [note.text for note in history.notes if note.level == "invalid"]
    objections += [
        f'a violation of "{note.about}", which is not a property of the system: {note.text}'
        for note in history.notes
        if note.level == "violation" and note.about not in system.properties
    ]
    statement = "; ".join(objections) or "no part of the harness objected"
    return ValidityCheck("no_objection", not objections, statement)


def _baseline_met(
    expectations: Sequence[ExpectationResult], journeys: Sequence[JourneyPhase]
) -> ValidityCheck:
    """Declared baseline objectives; a journey without a declared success must at least have been good half of
    the time (of few operations: not evidently less)."""
    declared = [result for result in expectations if result.phase == "baseline"]
    broken = [describe(result) for result in declared if result.status != "met"]
    spoken_for = {result.journey for result in declared if result.figure == "success"}
    baseline = [row for row in journeys if row.phase == "baseline"]
    for row in baseline:
        if row.journey in spoken_for or row.good >= USABLE_BASELINE * row.offered:
            continue
        if row.offered < ENOUGH and not evidently_below(row.good, row.offered, USABLE_BASELINE):
            continue
        broken.append(
            f"{row.journey}: only {row.good} of {noun(row.offered, 'operation')} were good before any fault "
            f"({row.acknowledged} acknowledged), expected {USABLE_BASELINE:.0%} at least"
        )
    if not any(row.offered for row in baseline):
        broken.append("no operation was offered in the baseline")
    offered = sum(row.offered for row in baseline)
    good = f"the baseline met its {noun(len(declared), 'objective')} over {noun(offered, 'operation')}"
    if not declared:
        good = (
            f"no objective was declared for the baseline; at least {USABLE_BASELINE:.0%} of its "
            f"{noun(offered, 'operation')} were good"
        )
    return ValidityCheck("baseline_met", not broken, "; ".join(broken) or good)


def _fault_observed(scenario: Scenario, windows: Sequence[FaultWindow]) -> ValidityCheck:
    """Every planned activation was injected, in its time and for its length, its effect was seen, it was in
    force at every look until its heal, and it met its caller's traffic."""
    seen = {window.fault: window for window in windows if window.start is not None}
    odd: list[str] = []
    for number, spec in enumerate(scenario.faults, 1):
        for name, start, end in activations(number, spec, scenario.phases):
            what = f"{name} ({spec.fault.kind} on {spec.target})"
            odd += [f"{what} {said}" for said in _out_of_time(seen.get(name), start, end)]
    for window in windows:
        what = f"{window.fault} ({window.kind} on {window.target})"
        odd += [f"{what} {said}" for said in _unproven(window)]
    statement = "; ".join(odd)
    if not statement:
        first = windows[0].effect
        every = "all " if len(windows) > 1 else ""
        statement = f"the effect of {every}{noun(len(windows), 'injection')} was seen ({first})"
    return ValidityCheck("fault_observed", not odd, statement)


def _unproven(window: FaultWindow) -> list[str]:
    """What is missing of the proof that an activation acted, all the time, on the callers' own traffic."""
    if window.lasted is False:
        return [f"was not seen to act until its end: {window.end_statement}"]
    if not window.observed and window.of_link and window.looks and not window.met:
        return [f"had no effect: {window.target} carried nothing while the fault lasted"]
    if not window.observed:
        return [f"had no observed effect: {window.statement}"]
    if window.unwatched_s is None:
        return ["was not looked at while it lasted"]
    if window.unwatched_s > MOST_UNWATCHED_S:
        limit = f"expected a look every {format_duration(MOST_UNWATCHED_S)} at least"
        return [f"was not looked at for {format_duration(window.unwatched_s)} while it lasted, {limit}"]
    if window.of_link and window.carried_before is not None and window.carried_before <= 0:
        return [f"has nothing to be compared with: {window.target} carried nothing before the fault"]
    return []


def _out_of_time(window: FaultWindow | None, start: float, end: float) -> list[str]:
    """What is wrong with the time of an activation that was planned from `start` to `end`."""
    if window is None or window.start is None:
        return ["was never injected"]
    wrong = []
    if abs(window.start - start) > LATE_S:
        planned = f"expected {format_duration(start)} within {format_duration(LATE_S)}"
        wrong.append(f"began at {format_duration(window.start)}, {planned}")
    if window.healed_at is not None and abs(window.healed_at - end) > LATE_S:
        planned = f"expected {format_duration(end)} within {format_duration(LATE_S)}"
        wrong.append(f"was healed at {format_duration(window.healed_at)}, {planned}")
    elif window.end is not None and window.end - window.start < KEPT_LENGTH * (end - start):
        planned = f"expected {KEPT_LENGTH:.0%} of {format_duration(end - start)} at least"
        wrong.append(f"lasted {format_duration(window.end - window.start)}, {planned}")
    return wrong


def generator_kept_up(history: History, scenario: Scenario, system: System) -> ValidityCheck:
    """By the generator's own account. Its lag is that of the operations that had not to wait for another one:
    how long those waited is the system's doing, see load/account.py."""
    name = "generator_kept_up"
    if not history.tally.get(Operation.TAG):
        return ValidityCheck(name, False, "no operation was recorded")
    if history.header.source == "simulation":
        return ValidityCheck(name, True, "virtual time: every operation starts when it is due")
    lag = _lag(history)
    if not history.load or lag is None:
        return ValidityCheck(name, False, "the load generator gave no account of itself")
    share = _achieved(history)
    limit = LAG_SHARE * tightest_objective(history, scenario, system)
    statement = (
        f"achieved {share:.2%} of the offered load, expected {KEPT_UP:.0%}; "
        f"lag p99 {format_duration(lag)}, expected at most {format_duration(limit)}"
    )
    return ValidityCheck(name, share >= KEPT_UP and lag <= limit, statement)


def load_kept_its_shape(history: History, scenario: Scenario) -> bool:
    """Whether a load that came late was the planned one all the same: sent to 99%, and late by no more than
    half of the time between two visits. Where visits come closer than `CLOSE_S` nobody tells them apart: a
    second holds many."""
    lag = _lag(history)
    arrivals = scenario.load.arrivals
    rate = max(arrivals.rate, arrivals.to or 0.0, arrivals.burst_rate or 0.0)
    gap = max(1.0 / rate if rate > 0 else 0.0, CLOSE_S)
    return lag is not None and _achieved(history) >= KEPT_UP and lag <= SHAPE_SHARE * gap


def largest_lag(history: History) -> float:
    """By how much an operation can have been sent late by the generator itself, in seconds."""
    return max((report.lag_max for report in history.load), default=0.0)


def _lag(history: History) -> float | None:
    """The generator's own p99, in seconds."""
    lags = [s.value for s in history.samples if (s.source, s.name) == ("load", "lag_p99")]
    return lags[-1] if lags else None


def _achieved(history: History) -> float:
    """Share of the offered operations that were begun."""
    offered = sum(report.offered for report in history.load)
    return sum(report.achieved for report in history.load) / offered if offered else 1.0


def tightest_objective(history: History, scenario: Scenario, system: System) -> float:
    """The smallest latency bound, in seconds, among the scenario's and those of the journeys that were
    played."""
    played = history.lazy_operations.select(pl.col("journey").unique()).collect().to_series()
    limits = [system.journeys[name].p95 for name in played if name in system.journeys]
    return min((*limits, *latency_bounds(scenario)))


def _clean_up_verified(history: History, windows: Sequence[FaultWindow]) -> ValidityCheck:
    dirty = [
        f"{window.fault} ({window.kind} on {window.target}) was not seen to heal"
        for window in windows
        if window.start is not None and not window.healed
    ]
    if history.end is None:
        dirty.append("the run ended before its clean-up")
    elif not history.end.clean:
        dirty.append(f"clean-up was incomplete: {history.end.statement or 'no reason was recorded'}")
    good = f"{noun(len(windows), 'injection')} healed and verified, everything cleaned up"
    return ValidityCheck("clean_up_verified", not dirty, "; ".join(dirty) or good)


def _enough_operations(
    history: History, scenario: Scenario, system: System, windows: Sequence[FaultWindow]
) -> ValidityCheck:
    """Operations that were under way during a fault that can reach their journey; fewer make it
    inconclusive."""
    overlapped: list[pl.Expr] = []
    for window in windows:
        if window.start is None:
            continue
        end = window.end if window.end is not None else float("inf")
        reached = [name for name in system.journeys if system.depends(name, window.target)]
        during = (pl.col("sent") <= end) & (pl.col("ended") >= window.start)
        overlapped.append(during & pl.col("journey").is_in(reached) if reached else during)
    count = how_many(history.lazy_operations, pl.any_horizontal(overlapped)) if overlapped else 0
    needed = scenario.expect.minimum_operations
    statement = (
        f"{noun(count, 'operation')} overlapped a fault that can reach them, expected {needed} at least"
    )
    return ValidityCheck("enough_operations", count >= needed, statement, Verdict.INCONCLUSIVE)
