"""The release gate: paired runs of a baseline and a candidate until the interval decides, or n_max is
reached."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from execution.campaigns.campaign import Hooks, Job, begin, play, seeds_of
from execution.campaigns.comparison import Turn, comparison_jobs
from execution.campaigns.pairing import paired_runs, stem
from execution.campaigns.records import RunRecord
from execution.campaigns.stored_runs import machine_warnings, stored_records
from execution.catalogue import Catalogue, default_catalogue
from execution.options import Options
from experiment.errors import ExitCode, UsageError
from experiment.suite import Suite
from measurement.gate import MARGIN, Decision, GateResult, Look, decide
from measurement.statistics import Estimate, score_estimate
from reports.gate import GATE_FORMATS, GateReport, GateViolation, Rate

MIN_PAIRS = 3
BASELINE, CANDIDATE = "baseline", "candidate"


@dataclass(frozen=True, slots=True)
class GateOrder:
    """`baseline` and `candidate` are designs, or folders of earlier runs (FOLDER or FOLDER:DESIGN). The
    systems are files or checkouts; None: the catalogue's own. `on_inconclusive` says what an honest "not
    known" does to the exit code."""

    baseline: str
    candidate: str
    n_max: int = 7
    margin: float = MARGIN
    on_inconclusive: str = "fail"  # or warn
    min_score: float | None = None
    max_drop: float | None = None
    baseline_system: Path | None = None
    candidate_system: Path | None = None
    command: str = ""


@dataclass(frozen=True, slots=True)
class _Ground:
    """What does not change while pairs are played. `old` are the records of a side that is not played."""

    suite: Suite
    order: GateOrder
    old: dict[str, list[RunRecord]]
    homes: dict[str, Catalogue]
    weights: dict[str, float]
    seeds: tuple[int, ...]


def run_gate(
    suite: Suite,
    catalogue: Catalogue,
    options: Options,
    order: GateOrder,
    hooks: Hooks,
    stop: threading.Event,
) -> tuple[GateReport, Path]:
    """Play pairs seed by seed until the gate has decided. Writes every output into the campaign's folder."""
    ground = _ground(suite, catalogue, order)
    jobs = _jobs(ground)
    campaign = begin(options.out, f"gate-{suite.name}", jobs)
    records: list[RunRecord] = []
    result = _look(ground, records, len(ground.seeds)) if not jobs else decide([], order.margin)
    per_seed = len(jobs) // len(ground.seeds)
    with closing(play(campaign, catalogue, options, hooks, stop, ground.homes)) as runs:
        for record in runs:
            records.append(record)
            if len(records) % per_seed == 0:
                number = len(records) // per_seed
                result = _look(ground, records, number)
                decided = number >= MIN_PAIRS and result.decision is not Decision.INCONCLUSIVE
                if decided or result.new_vetoes:
                    break
    if stop.is_set() and result.decision is Decision.PASS:
        result = replace(result, decision=Decision.INCONCLUSIVE, sentence="the gate was interrupted")
    report = _report(ground, result, records)
    for file, rendering in GATE_FORMATS.items():
        (campaign.folder / file).write_text(rendering(report), encoding="utf-8")
    return report, campaign.folder


def _ground(suite: Suite, catalogue: Catalogue, order: GateOrder) -> _Ground:
    old = {
        side: found
        for side, what in ((BASELINE, order.baseline), (CANDIDATE, order.candidate))
        if (found := stored_records(what)) is not None
    }
    systems = {BASELINE: order.baseline_system, CANDIDATE: order.candidate_system}
    homes = {side: default_catalogue(path) if path else catalogue for side, path in systems.items()}
    weights: dict[str, float] = {}
    for entry in suite.entries:
        weights[stem(entry.scenario)] = max(weights.get(stem(entry.scenario), 0.0), entry.weight)
    return _Ground(suite, order, old, homes, weights, _seeds(suite, order, old))


def _seeds(suite: Suite, order: GateOrder, old: dict[str, list[RunRecord]]) -> tuple[int, ...]:
    """Those that the stored sides have, or new ones. Raises UsageError when two stored sides share none."""
    if not old:
        return seeds_of(suite.seed, order.n_max)
    known = [dict.fromkeys(record.seed for record in records) for records in old.values()]
    shared = tuple(seed for seed in known[0] if all(seed in seeds for seeds in known))
    if not shared:
        raise UsageError(
            f"found seeds {list(known[0])} in {order.baseline} and {list(known[-1])} in {order.candidate}, "
            "expected runs of the same seeds, which alone are pairs"
        )
    return shared if len(old) == 2 else shared[: order.n_max]


def _jobs(ground: _Ground) -> tuple[Job, ...]:
    """The runs of the sides that are not stored, in turns."""
    names = {BASELINE: ground.order.baseline, CANDIDATE: ground.order.candidate}
    turns = [Turn(name, side) for side, name in names.items() if side not in ground.old]
    scenarios = list(dict.fromkeys(entry.scenario for entry in ground.suite.entries))
    return comparison_jobs(scenarios, turns, ground.seeds) if turns else ()


def _side(ground: _Ground, records: Sequence[RunRecord], side: str) -> list[RunRecord]:
    return ground.old.get(side) or [record for record in records if record.side == side]


def _look(ground: _Ground, records: Sequence[RunRecord], number: int) -> GateResult:
    pairs = paired_runs(_side(ground, records, BASELINE), _side(ground, records, CANDIDATE))
    last = number >= len(ground.seeds)
    look = Look(last, max(1, len(ground.seeds) - MIN_PAIRS))
    return decide(pairs, ground.order.margin, ground.weights, look)


def _report(ground: _Ground, result: GateResult, records: Sequence[RunRecord]) -> GateReport:
    order = ground.order
    baseline, candidate = (_side(ground, records, side) for side in (BASELINE, CANDIDATE))
    score = _score(candidate)
    return GateReport(
        baseline=_named(order.baseline, order.baseline_system),
        candidate=_named(order.candidate, order.candidate_system),
        suite=ground.suite.name,
        result=result,
        pairs=result.difference.n if result.difference else 0,
        score=score,
        refusals=tuple(_refusals(order, result, score)),
        violations=tuple(_violations(candidate, ground.homes[CANDIDATE])),
        rates=tuple(
            Rate(what, sum(chosen), len(chosen))
            for what, chosen in (
                ("baseline vetoed", [record.vetoed for record in baseline]),
                ("candidate vetoed", [record.vetoed for record in candidate]),
                ("baseline invalid", [record.score is None for record in baseline]),
                ("candidate invalid", [record.score is None for record in candidate]),
            )
            if chosen
        ),
        warnings=tuple(_warnings(ground, baseline, candidate)),
        command=order.command,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        on_inconclusive=order.on_inconclusive,
    )


def _named(what: str, system: Path | None) -> str:
    return f"{what} of {system}" if system else what


def _score(records: Sequence[RunRecord]) -> Estimate | None:
    """Over seeds, each the mean of its scored runs."""
    by_seed: dict[int, list[float]] = {}
    for record in records:
        if record.score is not None:
            by_seed.setdefault(record.seed, []).append(record.score)
    return score_estimate([sum(s) / len(s) for s in by_seed.values()]) if by_seed else None


def _refusals(order: GateOrder, result: GateResult, score: Estimate | None) -> list[str]:
    """Floors that hold whatever the interval says."""
    refusals = []
    if order.min_score is not None and (score is None or score.mean < order.min_score):
        shown = "no score" if score is None else f"{score.mean:.1f}"
        refusals.append(f"the candidate's mean score is {shown}, expected at least {order.min_score:g}")
    if order.max_drop is not None and result.difference and result.difference.mean < -order.max_drop:
        lost = -result.difference.mean
        refusals.append(f"the candidate lost {lost:.1f} points, expected at most {order.max_drop:g}")
    return refusals


def _violations(records: Sequence[RunRecord], catalogue: Catalogue) -> list[GateViolation]:
    known = catalogue.scenario_files()
    found = []
    for record in records:
        path = known.get(record.scenario) or known.get(stem(record.scenario))
        for name in record.safety:
            file = str(path.relative_to(catalogue.root)) if path else record.scenario
            line = line_of(path, name) if path else 1
            found.append(GateViolation(name, stem(record.scenario), record.seed, record.headline, file, line))
    return found


def line_of(path: Path, invariant: str) -> int:
    """Where the scenario names the invariant; its first line when it does not."""
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if invariant in text:
            return number
    return 1


def _warnings(ground: _Ground, baseline: Sequence[RunRecord], candidate: Sequence[RunRecord]) -> list[str]:
    """What a reader must know before believing the numbers."""
    warnings = [text for records in ground.old.values() for text in machine_warnings(records)]
    pairs = paired_runs(baseline, candidate)
    if left_out := sum(not pair.measured for pair in pairs):
        warnings.append(
            f"{left_out} of {len(pairs)} pairs were left out: the load generator could not keep up"
        )
    old = sorted({f"{p.scenario}: {veto}" for p in pairs for veto in p.baseline.vetoes & p.candidate.vetoes})
    if old:
        warnings.append(f"broken on both, so that it is not new: {', '.join(old)}")
    return warnings


def gate_exit_code(report: GateReport) -> ExitCode:
    """0 pass, 1 regression, 4 a new veto, 2 inconclusive (0 when the policy is to warn)."""
    if report.decision is Decision.PASS:
        return ExitCode.PASS
    if report.decision is Decision.INCONCLUSIVE:
        return ExitCode.PASS if report.on_inconclusive == "warn" else ExitCode.INCONCLUSIVE
    return ExitCode.SAFETY_VETO if report.result.new_vetoes else ExitCode.FAIL
