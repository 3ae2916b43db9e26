"""The release gate: paired runs of a baseline and a candidate until the interval decides, or n_max is
reached."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from execution.campaign import Hooks, begin, play, seeds_of
from execution.catalogue import Catalogue
from execution.comparison import comparison_jobs
from execution.facts import machine
from execution.options import Options
from execution.places import ROOT
from execution.records import Ledger, RunRecord
from execution.run_folder import RunFolder
from experiment.errors import ExitCode, UsageError
from experiment.suite import Suite
from experiment.verdict import Verdict
from measurement.gate import MARGIN, Decision, GateResult, PairedRun, decide
from reports.gate import GATE_FORMATS, GateReport, GateViolation

MIN_PAIRS = 3


@dataclass(frozen=True, slots=True)
class GateOrder:
    """`baseline` is a design, or the folder of an earlier campaign; `candidate` a design.
    `on_inconclusive` says
    what an honest "not known" does to the exit code."""

    baseline: str
    candidate: str
    n_max: int = 7
    margin: float = MARGIN
    on_inconclusive: str = "fail"  # or warn
    min_score: float | None = None
    max_drop: float | None = None
    command: str = ""


def run_gate(
    suite: Suite,
    catalogue: Catalogue,
    options: Options,
    order: GateOrder,
    hooks: Hooks,
    stop: threading.Event,
) -> tuple[GateReport, Path]:
    """Play pairs seed by seed until the gate has decided. Writes every output into the campaign's folder."""
    scenarios = tuple(dict.fromkeys(entry.scenario for entry in suite.entries))
    stored = Path(order.baseline)
    old = Ledger(stored).read() if (stored / "finished.jsonl").is_file() else []
    if not old and stored.is_dir():
        expected = "the folder of a finished campaign, or a design"
        raise UsageError(f"found no finished.jsonl in {stored}, expected {expected}")
    designs = (order.candidate,) if old else (order.baseline, order.candidate)
    seeds = _seeds(suite, order, old)
    jobs = comparison_jobs(scenarios, designs, seeds)
    campaign = begin(options.out, f"gate-{suite.name}", jobs)
    candidate = catalogue.design(order.candidate, catalogue.system()).name
    result = decide([], order.margin)
    records: list[RunRecord] = []
    for number, seed in enumerate(seeds, 1):
        mine = [job for job in jobs if job.seed == seed]
        part = type(campaign)(campaign.folder, campaign.name, tuple(mine))
        records += list(play(part, catalogue, options, hooks, stop))
        candidates = [record for record in records if record.design == candidate]
        baselines = old or [record for record in records if record.design != candidate]
        result = decide(paired_runs(baselines, candidates, scenarios), order.margin)
        if stop.is_set() or (number >= MIN_PAIRS and result.decision is not Decision.INCONCLUSIVE):
            break
        if result.evidence and result.decision is Decision.REGRESSION:
            break  # a new veto needs no second look
    report = _report(suite, catalogue, order, result, records, old)
    for file, rendering in GATE_FORMATS.items():
        (campaign.folder / file).write_text(rendering(report), encoding="utf-8")
    return report, campaign.folder


def _seeds(suite: Suite, order: GateOrder, old: Sequence[RunRecord]) -> tuple[int, ...]:
    """Those of the stored baseline, or new ones."""
    if old:
        return tuple(dict.fromkeys(record.seed for record in old))[: order.n_max]
    return seeds_of(suite.seed, order.n_max)


def paired_runs(
    baseline: Sequence[RunRecord], candidate: Sequence[RunRecord], scenarios: Sequence[str]
) -> list[PairedRun]:
    """Pairs of scenario and seed that both sides have."""
    one = {(record.scenario, record.seed): record for record in baseline}
    other = {(record.scenario, record.seed): record for record in candidate}
    return [
        PairedRun(
            scenario=key[0],
            seed=key[1],
            baseline=one[key].score,
            candidate=other[key].score,
            baseline_vetoes=frozenset(one[key].safety),
            candidate_vetoes=frozenset(other[key].safety),
        )
        for key in one
        if key in other and key[0] in scenarios
    ]


def _report(
    suite: Suite,
    catalogue: Catalogue,
    order: GateOrder,
    result: GateResult,
    records: Sequence[RunRecord],
    old: Sequence[RunRecord],
) -> GateReport:
    candidate = catalogue.design(order.candidate, catalogue.system()).name
    mine = [record for record in records if record.design == candidate]
    scores = [record.score for record in mine if record.score is not None]
    score = sum(scores) / len(scores) if scores else None
    return GateReport(
        baseline=order.baseline,
        candidate=order.candidate,
        suite=suite.name,
        result=result,
        pairs=result.difference.n if result.difference else 0,
        score=score,
        refusals=tuple(_refusals(order, result, score)),
        violations=tuple(_violations(mine, catalogue)),
        warnings=tuple(_warnings(old)),
        command=order.command,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _refusals(order: GateOrder, result: GateResult, score: float | None) -> list[str]:
    """Floors that hold whatever the interval says."""
    refusals = []
    if order.min_score is not None and (score is None or score < order.min_score):
        shown = "no score" if score is None else f"{score:.1f}"
        refusals.append(f"the candidate's mean score is {shown}, expected at least {order.min_score:g}")
    if order.max_drop is not None and result.difference and result.difference.mean < -order.max_drop:
        lost = -result.difference.mean
        refusals.append(f"the candidate lost {lost:.1f} points, expected at most {order.max_drop:g}")
    return refusals


def _violations(records: Sequence[RunRecord], catalogue: Catalogue) -> list[GateViolation]:
    return [
        GateViolation(
            invariant=name,
            scenario=record.scenario,
            seed=record.seed,
            statement=record.headline,
            file=str(catalogue.scenario_path(record.scenario)).removeprefix(f"{ROOT}/"),
            line=_line_of(catalogue.scenario_path(record.scenario), name),
        )
        for record in records
        for name in record.safety
        if record.verdict is Verdict.FAIL
    ]


def _line_of(path: Path, invariant: str) -> int:
    """Where the scenario names the invariant; its first line when it does not."""
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if invariant in text:
            return number
    return 1


def _warnings(old: Sequence[RunRecord]) -> list[str]:
    """A stored baseline of another machine is good for vetoes and validity, less so for scores."""
    if not old:
        return []
    there = RunFolder(Path(old[0].folder))
    try:
        other = dict(there.inputs().machine)
    except Exception:  # noqa: BLE001 - an old folder may be gone; the records still count
        return [f"the run folder of the baseline is gone ({there.path}): its machine is not known"]
    if other != machine():
        where = other.get("cpu", "unknown")
        return [f"the baseline was run on another machine ({where}): trust vetoes, not points"]
    return []


def gate_exit_code(report: GateReport, order: GateOrder) -> ExitCode:
    """0 pass, 1 regression, 4 a new veto, 2 inconclusive (0 when the policy is to warn)."""
    if report.decision is Decision.PASS:
        return ExitCode.PASS
    if report.decision is Decision.INCONCLUSIVE:
        return ExitCode.PASS if order.on_inconclusive == "warn" else ExitCode.INCONCLUSIVE
    vetoed = any("violates" in evidence for evidence in report.result.evidence)
    return ExitCode.SAFETY_VETO if vetoed else ExitCode.FAIL
