"""One history in, one judgement out. Pure: the same history, scenario and system give the same analysis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

import msgspec
import polars as pl

from experiment.errors import HistoryError
from experiment.history import History
from experiment.scenario import Recovery, Scenario, Waiver
from experiment.topology import System
from experiment.verdict import CheckResult, Verdict, worst
from measurement.analysis import Analysis, ExpectationResult, FaultWindow, Score, ValidityCheck
from measurement.checkers import CHECKERS, recovers
from measurement.checkers.findings import Finding
from measurement.counters import backlog_drained
from measurement.degradation import by_phase, timelines
from measurement.expectations import describe, judge_expectations
from measurement.quality import grade
from measurement.resilience import quality_of, time_to_recover
from measurement.score import converge_part, score_run, vetoed, without_value
from measurement.validity import judge_validity
from measurement.windows import fault_windows, load_end, phase_spans


def analyse(history: History, scenario: Scenario, system: System) -> Analysis:
    """Judge a run: validity first, then safety, then what was expected; see docs/measurement.md."""
    findings = {
        name: checker.find(history, scenario, system)
        for name, checker in CHECKERS.items()
        if name != "recovers"
    }
    wrong = pl.concat([finding.wrong for finding in findings.values()]).unique()
    graded = grade(history, scenario, system, wrong)
    quality = quality_of(history, scenario, system, graded)
    recovery = time_to_recover(quality, scenario.expect.recovery or Recovery())
    findings["recovers"] = recovers.of_recovery(recovery)
    checks = _results(findings, scenario)
    windows = fault_windows(history)
    spans = phase_spans(history, scenario)
    journeys = by_phase(graded, spans)
    expectations = judge_expectations(history, scenario, graded, recovery, quality.heal_t)
    validity = judge_validity(history, scenario, system, windows, expectations, journeys)
    waived, waivers = _waivers(history, scenario, checks)
    end = load_end(history)
    heal = quality.heal_t if quality.heal_t is not None else end
    converged, left = backlog_drained(history, heal, end)
    budget = spans["settle"][1] - heal if "settle" in spans else scenario.phases.settle
    budget = max(budget, scenario.phases.settle)
    observed = converged is not None or bool(left)
    independent = _independent(system, windows)
    raw = score_run(
        quality, independent, recovery, converge_part(converged, observed, budget), history.header.seed
    )
    score, verdict, veto = _verdict(raw, validity, checks, expectations, waived)
    return Analysis(
        verdict=verdict,
        vetoed=veto,
        reasons=_reasons(verdict, validity, checks, expectations, waived, left),
        validity=validity,
        checks=checks,
        expectations=expectations,
        journeys=journeys,
        timelines=timelines(quality.table, {**quality.journeys, "all": quality.combined}, quality.seconds),
        faults=windows,
        recovery=recovery,
        convergence_s=converged,
        score=score,
        measures={
            "operations": history.operations.height,
            "wrong_operations": wrong.len(),
            "records": history.records.height,
            "converge_budget_s": budget,
            **{f"backlog left: {name}": value for name, value in left.items()},
        },
        waivers=waivers,
    )


def _results(findings: Mapping[str, Finding], scenario: Scenario) -> tuple[CheckResult, ...]:
    """Safety that has data is always judged; the rest when the scenario names it."""
    results: list[CheckResult] = []
    for name, checker in CHECKERS.items():
        result = checker.result(findings[name])
        seen_safety = checker.safety and result.verdict is not Verdict.INCONCLUSIVE
        results.append(replace(result, judged=name in scenario.expect.invariants or seen_safety))
    return tuple(results)


def _independent(system: System, windows: Sequence[FaultWindow]) -> tuple[str, ...]:
    return tuple(
        name for name in system.journeys if not any(system.depends(name, window.target) for window in windows)
    )


def _waivers(
    history: History, scenario: Scenario, checks: Sequence[CheckResult]
) -> tuple[frozenset[str], tuple[str, ...]]:
    """(violated invariants that a waiver lifts, a line for every waiver). In force on the day of the run."""
    violated = {check.checker for check in checks if check.verdict is Verdict.FAIL}
    day = history.header.started_at[:10]
    lifted = {w.invariant for w in scenario.waivers if w.invariant in violated and _in_force(w, day)}
    return frozenset(lifted), tuple(_waiver_line(w, day, w.invariant in violated) for w in scenario.waivers)


def _in_force(waiver: Waiver, day: str) -> bool:
    try:
        return date.fromisoformat(day) <= date.fromisoformat(waiver.until)
    except ValueError:
        return False


def _waiver_line(waiver: Waiver, day: str, used: bool) -> str:
    state = "in force" if _in_force(waiver, day) else "expired or without a date"
    effect = "lifts a violation of this run" if used and state == "in force" else "lifts nothing in this run"
    named = f"{waiver.invariant}, waived by {waiver.by} until {waiver.until}: {waiver.reason}"
    return f"{named} ({state}, {effect})"


def _broken_safety(checks: Sequence[CheckResult], waived: frozenset[str]) -> list[CheckResult]:
    return [
        check
        for check in checks
        if check.safety and check.verdict is Verdict.FAIL and check.checker not in waived
    ]


def _verdict(
    score: Score,
    validity: Sequence[ValidityCheck],
    checks: Sequence[CheckResult],
    expectations: Sequence[ExpectationResult],
    waived: frozenset[str],
) -> tuple[Score, Verdict, bool]:
    broken = [check.verdict_if_broken for check in validity if not check.ok]
    if Verdict.INVALID in broken:
        return without_value(score), Verdict.INVALID, False
    unsafe = _broken_safety(checks, waived)
    if unsafe:
        return vetoed(score, "; ".join(check.statement for check in unsafe)), Verdict.FAIL, True
    parts = [Verdict.PASS, *broken]
    parts += [check.verdict for check in checks if check.judged and check.checker not in waived]
    of_status = {"met": Verdict.PASS, "not met": Verdict.FAIL, "no data": Verdict.INCONCLUSIVE}
    parts += [of_status[result.status] for result in expectations]
    return score, worst(parts), False


def _reasons(
    verdict: Verdict,
    validity: Sequence[ValidityCheck],
    checks: Sequence[CheckResult],
    expectations: Sequence[ExpectationResult],
    waived: frozenset[str],
    left: Mapping[str, float],
) -> tuple[str, ...]:
    """Most serious first: what makes the run invalid, what broke safety, what was not met, what was not seen.
    Of an invalid run nothing else is claimed, but a violation that was seen is not hidden."""
    lines = [f"{check.name}: {check.statement}" for check in validity if not check.ok]
    unsafe = _broken_safety(checks, waived)
    lines += [f"{check.checker}: {check.statement}" for check in unsafe]
    if verdict is Verdict.INVALID:
        return _distinct(lines)
    for wanted in (Verdict.FAIL, Verdict.INCONCLUSIVE):
        lines += [
            f"{check.checker}: {check.statement}"
            for check in checks
            if check.judged and check.verdict is wanted and check not in unsafe
        ]
        status = "not met" if wanted is Verdict.FAIL else "no data"
        lines += [describe(result) for result in expectations if result.status == status]
    if left:
        lines.append("backlog left: " + ", ".join(f"{name} {value:.0f}" for name, value in left.items()))
    if verdict is Verdict.PASS:
        judged = [check for check in checks if check.judged and check.verdict is Verdict.PASS]
        met = f", all objectives ({len(expectations)}) were met" if expectations else ""
        lines.insert(0, f"all properties that were judged ({len(judged)}) held{met}")
    return _distinct(lines)


def _distinct(lines: Sequence[str]) -> tuple[str, ...]:
    """Each on one line, and what two conditions say alike only once."""
    kept: dict[str, str] = {}
    for line in lines:
        flat = " ".join(line.split())
        kept.setdefault(flat.partition(": ")[2] or flat, flat)
    return tuple(kept.values())


def analysis_to_json(analysis: Analysis) -> bytes:
    """analysis.json; numbers that are no numbers become null."""
    return msgspec.json.format(msgspec.json.encode(analysis), indent=2)


def analysis_from_json(text: bytes) -> Analysis:
    """The inverse of analysis_to_json. Raises HistoryError."""
    try:
        return msgspec.json.decode(text, type=Analysis)
    except msgspec.MsgspecError as error:
        raise HistoryError(
            f"found no readable analysis ({error}); judge the run again with `check`"
        ) from None
