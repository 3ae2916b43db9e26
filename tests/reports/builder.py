"""Synthetic runs with everything a report can show, with made-up figures."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from experiment.history import End, Header, Note, PhaseEvent
from experiment.verdict import CheckResult, Verdict, Violation
from measurement.analysis import (
    Analysis,
    ExpectationResult,
    FaultWindow,
    JourneyPhase,
    RecoveryResult,
    Score,
    Timeline,
    ValidityCheck,
    WaiverUse,
)
from reports.report import DesignFacts, RunFacts, RunReport, ScenarioFacts
from reports.sequences import KeySequence, Step
from reports.system_map import MapLink, SystemMap
from reports.traces import Span, Trace, TracedOperation, tree

ZERO_WALL = 1_790_000_000.0
JOURNEYS = ("check_in", "claim", "pay", "prescribe", "change_dose", "view_dose", "dispense")
PHASES = (("warm_up", 3.0), ("baseline", 10.0), ("fault", 15.0), ("recovery", 15.0), ("settle", 5.0))


def phases() -> tuple[PhaseEvent, ...]:
    events, clock = [], 0.0
    for name, length in PHASES:
        events.append(PhaseEvent(name, clock, clock + length))
        clock += length
    return tuple(events)


def timeline(journey: str, seconds: int, rate: float, dip: float, seed: int) -> Timeline:
    """`dip` is the share of good answers lost while the fault acts (seconds 13 to 28)."""
    rng = np.random.default_rng(seed)
    offered = rng.poisson(rate, seconds)
    lost = np.where((np.arange(seconds) >= 13) & (np.arange(seconds) < 28), dip, 0.0)
    good = rng.binomial(offered, 1 - lost)
    slow = 0.03 * np.exp(rng.normal(0, 0.2, seconds)) * np.where(lost > 0, 1 + 60 * dip, 1)
    full = [bool(n) for n in offered]
    return Timeline(
        journey,
        tuple(int(n) for n in offered),
        tuple(int(n) for n in good),
        tuple(int(n) for n in offered - good),
        tuple(float(v) if ok else None for v, ok in zip(slow, full, strict=True)),
        tuple(float(v) * 2.2 if ok else None for v, ok in zip(slow, full, strict=True)),
        tuple(float(v) * 3.1 if ok else None for v, ok in zip(slow, full, strict=True)),
        tuple(float(g / o) if o else None for g, o in zip(good, offered, strict=True)),
    )


def timelines(dip: float = 0.4, seconds: int = 43) -> tuple[Timeline, ...]:
    dips = {"pay": dip, "claim": dip / 2}
    lines = [timeline("all", seconds, 40, dip / 3, 1)]
    lines += [timeline(name, seconds, 6, dips.get(name, 0.0), 2 + n) for n, name in enumerate(JOURNEYS)]
    return tuple(lines)


def journey_phase(journey: str, phase: str, offered: int = 90, good: int = 90) -> JourneyPhase:
    bad = offered - good
    return JourneyPhase(
        journey, phase, offered, good, good, bad // 3, bad - bad // 3,
        {"timeout": bad - bad // 3, "503": bad // 3} if bad else {}, 0.021, 0.064,
        None if offered < 100 else 0.0931, 0.12, good / offered if offered else None, offered / 10, good / 10,
    )  # fmt: skip


def window(**changes: object) -> FaultWindow:
    base = FaultWindow(
        "f1", "lost_response", "billing -> payments", 13.0, 28.0, 13.021, 28.034, True, True,
        "12 of 61 replies dropped after the commit", "affected",
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]


def validity(**broken: str) -> tuple[ValidityCheck, ...]:
    """All conditions met, but for those named, with their statements."""
    statements = {
        "baseline_met": "the baseline met its expectations (success 100%, p95 64 ms)",
        "fault_observed": "f1 was observed: 12 of 61 replies dropped after the commit",
        "generator_kept_up": "1,720 of 1,720 operations were sent, lag p99 1.2 ms",
        "enough_operations": "612 operations overlapped the fault (at least 20)",
        "clean_up_verified": "everything was healed and read back",
    }
    return tuple(ValidityCheck(n, n not in broken, broken.get(n, text)) for n, text in statements.items())


def charge(number: int, invoice: int, t: float) -> dict[str, object]:
    return {
        "store": "payments", "kind": "charge", "key": f"inv-3fa2c1-{invoice:06d}", "id": f"ch-{number:04d}",
        "t": t,
        "status": "captured", "amount": 30.5, "value": None, "caller": "billing",
    }  # fmt: skip


def duplicate_charges() -> CheckResult:
    violations = tuple(
        Violation(
            f"invoice inv-3fa2c1-{n:06d} was charged twice (30.50 and 30.50)",
            f"inv-3fa2c1-{n:06d}",
            14.2 + n,
            (charge(2 * n, n, 14.2 + n), charge(2 * n + 1, n, 14.9 + n)),
        )
        for n in range(1, 4)
    )
    return CheckResult(
        "no_duplicate_charge", "One invoice is charged at most once.", True, Verdict.FAIL,
        "3 duplicate charges on 214 invoices", 214, violations, 3, {"amount_too_much": 91.5},
    )  # fmt: skip


def passed(checker: str, safety: bool = True, exposed: int = 214) -> CheckResult:
    statement = f"no violation in {exposed} exposed operations (95% bound {3 / exposed:.2%})"
    return CheckResult(checker, f"{checker} holds.", safety, Verdict.PASS, statement, exposed)


def analysis() -> Analysis:
    """The resilient design: everything held."""
    rows = [journey_phase(name, phase) for phase, _ in PHASES[1:4] for name in JOURNEYS]
    return Analysis(
        verdict=Verdict.PASS,
        vetoed=False,
        reasons=("every invariant and every objective held; recovered in 1.2 s",),
        validity=validity(),
        checks=(passed("no_duplicate_charge"), passed("sagas_terminal"), passed("bounded_waiting", False)),
        expectations=(
            ExpectationResult("fault", "pay", "success", ">= 99%", 0.997, "met"),
            ExpectationResult("fault", "pay", "p95", "<= 2s", 0.164, "met"),
        ),
        journeys=tuple(rows),
        timelines=timelines(0.03),
        faults=(window(),),
        recovery=RecoveryResult(1.2, False, 10.0, "back to 95% of the baseline 1.2 s after the heal"),
        convergence_s=0.8,
        score=Score(
            "1",
            93.4,
            93.4,
            {"absorb": 0.98, "depth": 0.91, "recover": 0.88, "contain": None, "converge": 0.95},
            (90.1, 95.8),
            0.978,
            66.0,
        ),
        measures={"amplification": 1.08, "slowest_request_s": 1.21},
    )


def report(of: Analysis | None = None, **changes: object) -> RunReport:
    header = Header(
        1, "charge_response_lost-resilient-s1-3fa2c1", "processes", "charge_response_lost", "resilient",
        "reference healthcare system", 1, "2026-11-20T09:30:00+00:00", ZERO_WALL, "50 generated patients",
        "embedded Toxiproxy-compatible server", {"code-blue": "0.1.0", "python": "3.11.7"}, "c34f06c",
        "codeblue run scenarios/smoke/charge_response_lost.yaml --design resilient --seed 1",
    )  # fmt: skip
    facts = RunFacts(
        ScenarioFacts(
            "charge_response_lost", "A lost payment response never charges a patient twice",
            "scenarios/smoke/charge_response_lost.yaml", "poisson arrivals, 8/s, mix visit", PHASES,
            ("lost_response on billing -> payments, 13 s to 28 s",),
            ("no_duplicate_charge", "sagas_terminal"),
            (4,), (1, 4),
        ),
        DesignFacts(
            "resilient", "Every remedy on", "reference_system/designs/resilient.yaml", "fragile",
            ("billing -> payments: retry None -> Retry(attempts=3)", "billing: dedupe False -> True"),
        ),
        {"cpu": "2 cores", "memory": "23 GB"},
    )  # fmt: skip
    built = RunReport(header, facts, of or analysis(), phases(), (), End(48.2, "completed", True), (trace(),))
    return replace(built, **changes)  # type: ignore[arg-type]


def trace(why: str = "slowest pay") -> Trace:
    operation = TracedOperation("ab" * 16, why, "pay", "inv-3fa2c1-000001", 15.2, 16.1, "acknowledged")
    spans = (
        Span("1", "0", "billing", "POST /invoices/{inv}/pay", "server", 15.203, 16.09, True),
        Span("2", "1", "billing", "POST /v1/charges (attempt 1)", "client", 15.21, 15.71, False),
        Span("3", "2", "payments", "POST /v1/charges", "server", 15.21, 15.23, True, 0, {"reply": "lost"}),
        Span("4", "1", "billing", "POST /v1/charges (attempt 2)", "client", 15.8, 16.08, True),
        Span("5", "4", "payments", "POST /v1/charges", "server", 15.803, 15.82, True),
        Span("6", "1", "billing", "outbox publish", "producer", 16.1, 16.12, True),
    )  # fmt: skip
    return Trace(operation, tree(spans))


def resilient_pass() -> RunReport:
    return report()


def fragile_fail() -> RunReport:
    """Three invoices charged twice: a veto."""
    base = analysis()
    fault_rows = [journey_phase("pay", "fault", 240, 171), journey_phase("claim", "fault", 90, 70)]
    kept = [
        row for row in base.journeys if (row.journey, row.phase) not in (("pay", "fault"), ("claim", "fault"))
    ]
    judged = replace(
        base,
        verdict=Verdict.FAIL,
        vetoed=True,
        reasons=(
            "3 duplicate charges on 214 invoices",
            "pay, fault: success >= 99%, measured 71.2% (not met)",
            "never back to 95% of the baseline within 10 s",
        ),
        checks=(passed("sagas_terminal"), duplicate_charges(), passed("bounded_waiting", False)),
        expectations=(
            ExpectationResult("fault", "pay", "success", ">= 99%", 0.7125, "not met"),
            ExpectationResult("fault", "pay", "p95", "<= 2s", 0.164, "met"),
        ),
        journeys=tuple(kept + fault_rows),
        timelines=timelines(0.5),
        recovery=RecoveryResult(None, True, 10.0, "not back to 95% of the baseline within 10 s"),
        score=Score(
            "1", 0.0, 90.6,
            {"absorb": 0.78, "depth": 0.41, "recover": 0.01, "contain": 0.99, "converge": 0.95},
            None, 0.84, 480.0, "3 duplicate charges",
        ),
    )  # fmt: skip
    paid = Step(15.2, 16.1, "user", "pay acknowledged", True, trace().operation.trace)
    refused = Step(15.0, 15.1, "user", "claim 503", False)
    rows = (Step(15.3, None, "payments", f"charge ch-000{n} captured", True) for n in (2, 3))
    happened = KeySequence(
        "no_duplicate_charge", "inv-3fa2c1-000001", 15.2, (refused, paid, *rows),
        (Step(48.0, 48.1, "user", "final_read paid", True),), 1,
    )  # fmt: skip
    links = (
        MapLink("billing", "payments", ("lost_response",), 0.2, True, 1.0),
        MapLink("billing", "payer", (), 0.1, True),
        MapLink("payments", "ledger"),
        MapLink("billing", "ledger", place=2.0),
    )
    built = report(
        judged, traces=(trace("violates no_duplicate_charge"), trace()), sequences=(happened,),
        map=SystemMap(links, {"payer": ("pause",)}),
    )  # fmt: skip
    facts = replace(
        built.facts, design=DesignFacts("fragile", "No remedy", "reference_system/designs/fragile.yaml")
    )
    return replace(built, header=replace(built.header, design="fragile"), facts=facts)


def invalid() -> RunReport:
    """The fault had no effect, so nothing may be claimed."""
    judged = replace(
        analysis(),
        verdict=Verdict.INVALID,
        reasons=("f1 had no effect: 0 of 61 replies dropped",),
        validity=validity(fault_observed="f1 had no effect: 0 of 61 replies dropped"),
        faults=(window(observed=False, statement="0 of 61 replies dropped"),),
        score=Score("1", None, None, {}, None, None, None),
    )
    return report(judged, notes=(Note(13.5, "invalid", "lost_response touched no request"),))


def inconclusive() -> RunReport:
    """Too little was seen."""
    checks = (
        replace(
            passed("no_duplicate_charge"),
            verdict=Verdict.INCONCLUSIVE,
            exposed=0,
            statement="no charge was seen",
        ),
    )
    judged = replace(
        analysis(),
        verdict=Verdict.INCONCLUSIVE,
        reasons=("no charge was seen",),
        checks=checks,
        expectations=(ExpectationResult("fault", "pay", "success", ">= 99%", None, "no data"),),
    )
    return report(judged)


def interrupted() -> RunReport:
    """Cut off during the fault: hardly anything is known."""
    judged = Analysis(
        Verdict.INVALID, False, ("the run was interrupted at 17.2 s",),
        (ValidityCheck("complete", False, "the run was interrupted at 17.2 s"),), (), (), (),
        timelines(0.4, 17), (window(end=None, healed=False, statement="not healed"),), None, None,
        Score("1", None, None, {}, None, None, None),
    )  # fmt: skip
    cut = (*phases()[:2], PhaseEvent("fault", 13.0, None))
    return report(judged, phases=cut, end=None, traces=())


def simulated() -> RunReport:
    built = report(traces=())
    text = "live runs of 2026-11-19, p95 within 8%, goodput within 2%"
    return replace(built, header=replace(built.header, source="simulation", calibration=text))


HOSTILE = "<script>alert(1)</script> \"'&\x00\x1b[31m\u202e]]> | `x` $x_"


def hostile() -> RunReport:
    """Every text that comes from services, files or the command line tries to break out of its place."""
    bad = Violation(HOSTILE, HOSTILE, math.pi, ({"key": HOSTILE, HOSTILE: HOSTILE, "t": 1.0},))
    check = CheckResult(HOSTILE, HOSTILE, True, Verdict.FAIL, HOSTILE, 3, (bad,), 1, {HOSTILE: HOSTILE})
    base = fragile_fail()
    judged = replace(
        base.analysis,
        reasons=(HOSTILE, HOSTILE),
        checks=(check,),
        validity=(ValidityCheck(HOSTILE, True, HOSTILE),),
        expectations=(ExpectationResult(HOSTILE, HOSTILE, "success", HOSTILE, 0.5, "not met"),),
        journeys=(replace(journey_phase(HOSTILE, "fault", 20, 10), errors={HOSTILE: 10}),),
        timelines=(timeline("all", 43, 40, 0.2, 1), timeline(HOSTILE, 43, 6, 0.2, 2)),
        faults=(window(fault=HOSTILE, kind=HOSTILE, target=HOSTILE, statement=HOSTILE),),
        waivers=(WaiverUse(f"{HOSTILE}!", HOSTILE, HOSTILE, HOSTILE, True, False),),
        measures={HOSTILE: HOSTILE},
        score=replace(base.analysis.score, veto=HOSTILE),
    )
    operation = replace(trace().operation, why=HOSTILE, key=HOSTILE, error=HOSTILE, journey=HOSTILE)
    span = Span(HOSTILE, None, HOSTILE, HOSTILE, HOSTILE, 15.3, 15.4, False, 0, {HOSTILE: HOSTILE})
    facts = RunFacts(
        ScenarioFacts(HOSTILE, HOSTILE, HOSTILE, HOSTILE, ((HOSTILE, 1.0),), (HOSTILE,), (HOSTILE,)),
        DesignFacts(HOSTILE, HOSTILE, HOSTILE, HOSTILE, (HOSTILE,)),
        {HOSTILE: HOSTILE},
    )
    header = replace(
        base.header,
        command=HOSTILE,
        system=HOSTILE,
        versions={HOSTILE: HOSTILE},
        toxiproxy=HOSTILE,
        git=HOSTILE,
    )
    return RunReport(
        header, facts, judged, (PhaseEvent(HOSTILE, 3.0, 40.0),), (Note(1.0, "warning", HOSTILE),),
        End(1.0, "failed", False, HOSTILE), (Trace(operation, (span,)),),
    )  # fmt: skip
