"""One history in, one judgement out. Pure: the same history, scenario and system give the same analysis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

import msgspec

from experiment.aborting import NAME as ABORTED
from experiment.asked import Asked
from experiment.errors import HistoryError
from experiment.findings import Finding, no_operations, not_exercised, unread
from experiment.history import History, Note
from experiment.libraries import pl
from experiment.names import STORE
from experiment.needs import concerns, mentioned
from experiment.properties import Property
from experiment.rows import GENERAL_MODELS
from experiment.scenario import Recovery, Scenario, Waiver, relative
from experiment.topology import System
from experiment.values import decoded
from experiment.verdict import CheckResult, Verdict, Violation, worst
from measurement.analysis import (
    Analysis,
    ExpectationResult,
    FaultWindow,
    Score,
    Status,
    ValidityCheck,
    WaiverUse,
)
from measurement.convergence import convergence
from measurement.degradation import by_phase, timelines
from measurement.expectations import describe, judge_expectations
from measurement.faulted_phase import faulted_phase_is_judged
from measurement.localisation import Localisation, localise
from measurement.possible_rows import possible
from measurement.pressure import checks_with_pressure, machine_use, moments
from measurement.properties.bounded_staleness import BoundedStaleness
from measurement.properties.bounded_waiting import BoundedWaiting
from measurement.properties.localised import Localised
from measurement.properties.no_retry_amplification import NoRetryAmplification
from measurement.properties.recovers import Recovers, of_recovery
from measurement.properties.selection import how_many
from measurement.quality import grade
from measurement.resilience import quality_of, time_to_recover
from measurement.score import converge_part, score_run, vetoed, without_value
from measurement.validity import generator_kept_up, judge_validity, largest_lag, load_kept_its_shape
from measurement.windows import fault_windows, load_end, phase_spans

# What a twin without models of the services predicts; it keeps nothing that another kind could be judged by.
PREDICTED = (BoundedWaiting, NoRetryAmplification, Recovers)
OF_STATUS: dict[Status, Verdict] = {
    "met": Verdict.PASS,
    "not met": Verdict.FAIL,
    "undecided": Verdict.INCONCLUSIVE,
    "no data": Verdict.INCONCLUSIVE,
}
NO_MATTER = "the verdict is the same with each operation's own lag taken off"
NOT_MODELLED = Finding(
    Verdict.INCONCLUSIVE, "not modelled: the system brings no twin models of its services", 0, modelled=False
)


def analyse(
    history: History, scenario: Scenario, system: System, asked: Asked | None = None, *, drawn: bool = True
) -> Analysis:
    """Judge a run: validity first, then safety, then what was expected; see docs/measurement.md. `asked` is
    what was planned: with it the history must be whole and the planned one.

    Where the fault is by telemetry alone is told beside the verdict, and no part of it. What is for the
    report of this one run, and no verdict or score rests on, is left out unless it is to be `drawn`: the
    timelines, the score's interval and where the fault is.
    """
    clean = possible(history)
    analysis = _judged(history, clean, scenario, system, asked, drawn)
    if history.end is not None and history.end.reason == ABORTED and scenario.abort:
        return _cut_short(analysis, history.end.statement)
    return replace(analysis, localisation=_located(clean, system)) if drawn else analysis


def _cut_short(analysis: Analysis, why: str) -> Analysis:
    """Of a run that its scenario's conditions ended: that they did. The plan was not played, so that nothing
    else is judged, but whether everything was healed and whether a part of the harness objected."""
    kept = [check for check in analysis.validity if check.name in ("no_objection", "clean_up_verified")]
    validity = (ValidityCheck("complete", False, why, Verdict.ABORTED), *kept)
    verdict = worst(check.verdict_if_broken for check in validity if not check.ok)
    waivers = tuple(replace(waiver, lifts=False) for waiver in analysis.waivers)
    seen = [
        f"seen, not judged: {one.checker}: {one.statement}"
        for one in _broken_safety(analysis.checks, frozenset())
    ]
    broken = [check for check in kept if not check.ok]
    lines = [*(f"{check.name}: {check.statement}" for check in broken), why, *seen]
    return replace(
        analysis,
        verdict=verdict,
        vetoed=False,
        reasons=_distinct(lines),
        validity=validity,
        score=replace(without_value(analysis.score), veto="", failed=()),
        waivers=waivers,
    )


def _judged(
    history: History, clean: History, scenario: Scenario, system: System, asked: Asked | None, drawn: bool
) -> Analysis:
    """A late load generator makes latencies longer, never shorter. Where its lag is more than the objectives
    allow, the run is judged twice: with latencies from the intended start, and with each operation's own lag
    taken off. What both say stands. A bound beside the baseline may be narrower than any lag: then the run is
    judged twice however small the lag is."""
    found = _findings(clean, scenario, system)
    kept_up = generator_kept_up(history, scenario, system)
    narrow = relative(scenario.expect) and largest_lag(history) > 0
    if (kept_up.ok and not narrow) or not load_kept_its_shape(history, scenario):
        return _analysed(history, clean, scenario, system, asked, found, kept_up, drawn)
    forgiven = replace(kept_up, ok=True, statement=f"{kept_up.statement}; {NO_MATTER}")
    counted = _analysed(history, clean, scenario, system, asked, found, forgiven, drawn)
    taken_off = _analysed(
        history, clean, scenario, system, asked, found, forgiven, False, lag_off=largest_lag(history)
    )
    if (counted.verdict, counted.vetoed) == (taken_off.verdict, taken_off.vetoed):
        return counted
    matters = f"the verdict depends on it: {counted.verdict} with the lag, {taken_off.verdict} without it"
    return _too_late(counted, replace(kept_up, ok=False, statement=f"{kept_up.statement}; {matters}"))


def _too_late(counted: Analysis, kept_up: ValidityCheck) -> Analysis:
    """The same run, whose verdict nobody knows since it depends on the generator's lag."""
    validity = tuple(kept_up if check.name == kept_up.name else check for check in counted.validity)
    verdict, checks, expectations = Verdict.INVALID, counted.checks, counted.expectations
    return replace(
        counted,
        verdict=verdict,
        vetoed=False,
        reasons=_reasons(verdict, validity, checks, expectations, counted.waivers, {}),
        validity=validity,
        score=replace(without_value(counted.score), veto="", failed=()),
    )


def only_predicted(scenario: Scenario, system: System) -> tuple[Scenario, System]:
    """Both without the properties that a twin without models of the services cannot be judged by."""
    kept = {n: one for n, one in system.properties.items() if isinstance(one.binding, PREDICTED)}
    asked = tuple(name for name in scenario.expect.invariants if name in kept)
    waivers = tuple(waiver for waiver in scenario.waivers if waiver.invariant in kept)
    expect = replace(scenario.expect, invariants=asked)
    return replace(scenario, expect=expect, waivers=waivers), replace(system, properties=kept)


def _findings(history: History, scenario: Scenario, system: System) -> dict[str, Finding]:
    """What every property found; the recovery is judged later, since it needs what the others found wrong."""
    general = any(sample.name == GENERAL_MODELS for sample in history.samples)

    def found(name: str, stated: Property) -> Finding:
        if general and not isinstance(stated.binding, PREDICTED):
            return NOT_MODELLED
        idle = sorted(mentioned(stated, STORE) & set(system.left_out))
        if idle and not concerns(name, system, scenario):
            return not_exercised(f"no journey of the scenario needs {', '.join(idle)}")
        return stated.binding.find(history, scenario, system)

    return {
        name: found(name, stated)
        for name, stated in system.properties.items()
        if not isinstance(stated.binding, Recovers)
    }


def _analysed(
    whole: History,
    history: History,
    scenario: Scenario,
    system: System,
    asked: Asked | None,
    findings: Mapping[str, Finding],
    kept_up: ValidityCheck,
    drawn: bool,
    *,
    lag_off: float = 0.0,
) -> Analysis:
    spans = phase_spans(history, scenario)
    wrong = pl.concat([no_operations(), *(finding.wrong for finding in findings.values())]).unique()
    bad = _bad(history, findings, system, spans["baseline"][1])
    graded = grade(history, scenario, system, bad, lag_off=lag_off)
    quality = quality_of(history, scenario, system, graded)
    curves = {**quality.journeys, "all": quality.combined}
    recovery = time_to_recover(quality, scenario.expect.recovery or Recovery())
    end, seed = load_end(history), history.header.seed if drawn else None
    watched, loaded = moments(history), (spans["baseline"][0], end)
    checks = _results(findings, of_recovery(recovery), scenario, system, history.notes)
    checks = checks_with_pressure(checks, watched, loaded)
    windows = fault_windows(history)
    journeys = by_phase(graded, spans)
    expectations = judge_expectations(history, scenario, graded, recovery, quality.heal_t)
    validity = judge_validity(whole, scenario, system, windows, expectations, journeys, kept_up, asked)
    validity += faulted_phase_is_judged(history, system, checks, expectations)
    waivers = _waivers(history, scenario, checks)
    waived = frozenset(waiver.invariant for waiver in waivers if waiver.lifts)
    staleness = _staleness(findings, system)
    together = convergence(
        history, scenario, staleness, end if quality.heal_t is None else quality.heal_t, end
    )
    converge = converge_part(together.seconds, together.observed, together.budget)
    raw = score_run(quality, _independent(system, windows), recovery, converge, seed)
    score, verdict, veto = _verdict(raw, validity, checks, expectations, waived)
    return Analysis(
        verdict=verdict,
        vetoed=veto,
        reasons=_reasons(verdict, validity, checks, expectations, waivers, together.behind),
        validity=validity,
        checks=checks,
        expectations=expectations,
        journeys=journeys,
        timelines=timelines(graded, quality.table, curves, quality.seconds) if drawn else (),
        faults=windows,
        recovery=recovery,
        convergence_s=together.seconds,
        score=score,
        measures={
            "operations": how_many(history.lazy_operations),
            "wrong_operations": wrong.len(),
            "records": how_many(history.lazy_records),
            "converge_budget_s": together.budget,
            **{f"not converged: {name}": value for name, value in together.behind.items()},
        },
        waivers=waivers,
        machine=machine_use(watched, loaded),
    )


def _staleness(findings: Mapping[str, Finding], system: System) -> list[Finding]:
    """What the properties found that bound how old a copy may be."""
    bounds = (name for name, one in system.properties.items() if isinstance(one.binding, BoundedStaleness))
    return [findings[name] for name in bounds if name in findings]


def _located(history: History, system: System) -> Localisation | None:
    """Of a run whose system has a collector that was read."""
    stores = [one.binding.spans for one in system.properties.values() if isinstance(one.binding, Localised)]
    read = [store for store in stores if store in system.services and not unread(history, store)]
    return localise(history, system, read[0]) if read else None


def _bad(history: History, findings: Mapping[str, Finding], system: System, baseline_end: float) -> pl.Series:
    """Ids of operations that were acknowledged and are not good. What safety properties find wrong up to the
    end of the baseline is left out: it vetoes the run. It does not make the baseline unfit, which a live run
    judges before any record is read; a system that loses everything would have no verdict."""
    wrong: dict[bool, list[pl.Series]] = {True: [no_operations()], False: [no_operations()]}
    for name, found in findings.items():
        wrong[system.properties[name].safety].append(found.wrong)
    unsafe, other = pl.concat(wrong[True]), pl.concat(wrong[False])
    if unsafe.len():
        later = (pl.col("intended") >= baseline_end) & pl.col("id").is_in(unsafe.implode())
        unsafe = history.lazy_operations.filter(later).select("id").collect().to_series()
    return pl.concat([other, unsafe]).unique()


def _results(
    findings: Mapping[str, Finding],
    recovered: Finding,
    scenario: Scenario,
    system: System,
    notes: Sequence[Note],
) -> tuple[CheckResult, ...]:
    """Safety that has data is always judged, and safety that the scenario's journeys exercise: without data
    it is inconclusive. The rest is judged when the scenario names it. A violation that an earlier attempt of
    the run has seen happened, whatever this attempt shows."""
    results: list[CheckResult] = []
    for name, stated in system.properties.items():
        result = stated.result(name, findings.get(name, recovered))
        earlier = [note.text for note in notes if note.level == "violation" and note.about == name]
        if earlier:
            result = replace(
                result,
                verdict=Verdict.FAIL,
                statement="; ".join([*earlier, f"in this attempt: {result.statement}"]),
                violations=(*(Violation(text, "", None) for text in earlier), *result.violations),
                violation_count=len(earlier) + result.violation_count,
            )
        exercised = result.verdict is not Verdict.INCONCLUSIVE or concerns(name, system, scenario)
        judged = name in scenario.expect.invariants or (stated.safety and exercised)
        results.append(replace(result, judged=judged))
    return tuple(results)


def _independent(system: System, windows: Sequence[FaultWindow]) -> tuple[str, ...]:
    return tuple(
        name for name in system.journeys if not any(system.depends(name, window.target) for window in windows)
    )


def _waivers(history: History, scenario: Scenario, checks: Sequence[CheckResult]) -> tuple[WaiverUse, ...]:
    """Every waiver of the scenario; in force is judged on the day of the run."""
    violated = {check.checker for check in checks if check.verdict is Verdict.FAIL}
    uses = []
    for waiver in scenario.waivers:
        in_force = _in_force(waiver, history.header.started_at[:10])
        lifts = in_force and waiver.invariant in violated
        uses.append(WaiverUse(waiver.invariant, waiver.by, waiver.until, waiver.reason, in_force, lifts))
    return tuple(uses)


def _in_force(waiver: Waiver, day: str) -> bool:
    try:
        return date.fromisoformat(day) <= date.fromisoformat(waiver.until)
    except ValueError:
        return False


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
    if Verdict.INVALID in (*broken, *(check.verdict for check in checks)):
        return without_value(score), Verdict.INVALID, False
    unsafe = _broken_safety(checks, waived)
    if unsafe:
        return vetoed(score, "; ".join(check.statement for check in unsafe)), Verdict.FAIL, True
    # Of no part at all the worst is inconclusive: a run that judged nothing has not passed.
    parts = [*broken, *(Verdict.PASS if c.checker in waived else c.verdict for c in checks if c.judged)]
    parts += [OF_STATUS[result.status] for result in expectations]
    verdict = worst(parts)
    if verdict is Verdict.FAIL:
        score = replace(score, failed=_failed(checks, expectations, waived))
    return score, verdict, False


def _failed(
    checks: Sequence[CheckResult], expectations: Sequence[ExpectationResult], waived: frozenset[str]
) -> tuple[str, ...]:
    """`bounded_staleness`, `pay p95 in fault`; the recovery once, as check or as objective."""
    names = [
        check.checker
        for check in checks
        if check.judged and check.verdict is Verdict.FAIL and check.checker not in waived
    ]
    for result in expectations:
        if result.status == "not met" and result.name not in names:
            names.append(result.name)
    return tuple(names)


def _reasons(
    verdict: Verdict,
    validity: Sequence[ValidityCheck],
    checks: Sequence[CheckResult],
    expectations: Sequence[ExpectationResult],
    waivers: Sequence[WaiverUse],
    behind: Mapping[str, float],
) -> tuple[str, ...]:
    """Most serious first: what makes the run invalid, what broke safety, what was not met, what was not seen.
    Of an invalid run nothing else is claimed, but a violation that was seen is not hidden."""
    lines = [f"{check.name}: {check.statement}" for check in validity if not check.ok]
    lines += [f"{check.checker}: {check.statement}" for check in checks if check.verdict is Verdict.INVALID]
    waived = frozenset(waiver.invariant for waiver in waivers if waiver.lifts)
    unsafe = _broken_safety(checks, waived)
    begins = "seen, not judged: " if verdict is Verdict.INVALID else ""
    lines += [f"{begins}{check.checker}: {check.statement}" for check in unsafe]
    if verdict is Verdict.INVALID:
        return _distinct(lines)
    for wanted in (Verdict.FAIL, Verdict.INCONCLUSIVE):
        lines += [
            f"{check.checker}: {check.statement}"
            for check in checks
            if check.judged and check.verdict is wanted and check not in unsafe
        ]
        lines += [describe(result) for result in expectations if OF_STATUS[result.status] is wanted]
    if behind:
        lines.append("not converged: " + ", ".join(f"{name}: {value:.0f}" for name, value in behind.items()))
    judged = [check for check in checks if check.judged]
    if not judged and not expectations:
        lines.append(
            "nothing was judged: the scenario names no property and no objective, and no safety property "
            "was exercised"
        )
    if verdict is Verdict.PASS:
        held = sum(check.verdict is Verdict.PASS for check in judged)
        met = f", every objective ({len(expectations)}) was met" if expectations else ""
        lines.insert(0, f"every judged property ({held}) held{_except(waivers)}{met}")
    return _distinct(lines)


def _except(waivers: Sequence[WaiverUse]) -> str:
    lifted = [f"{waiver.invariant} (until {waiver.until})" for waiver in waivers if waiver.lifts]
    return f", except {len(lifted)} waived: {', '.join(lifted)}" if lifted else ""


def _distinct(lines: Sequence[str]) -> tuple[str, ...]:
    """Each on one line, and what two conditions say alike only once."""
    kept: dict[str, str] = {}
    for line in lines:
        flat = " ".join(line.split())
        kept.setdefault(flat.partition(": ")[2] or flat, flat)
    return tuple(kept.values())


def analysis_to_json(analysis: Analysis) -> bytes:
    """analysis.json; values that are not numbers become null."""
    return msgspec.json.format(msgspec.json.encode(analysis), indent=2)


def analysis_from_json(text: bytes) -> Analysis:
    """The inverse of analysis_to_json. Raises HistoryError."""
    try:
        return decoded(text, Analysis)
    except ValueError as error:
        raise HistoryError(
            f"found no readable analysis ({error}); judge the run again with `check`"
        ) from None
