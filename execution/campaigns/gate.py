"""The release gate: paired runs of a baseline and a candidate until the interval decides, or n_max is
reached."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from execution.campaigns.campaign import Home, Hooks, Job, begin, job_of, playing, prepare, seeds_of
from execution.campaigns.comparison import Turn, comparison_jobs
from execution.campaigns.gate_sides import (
    BASELINE,
    CANDIDATE,
    GateOrder,
    code_warnings,
    refuse_unlike,
    sides_of,
)
from execution.campaigns.gate_violations import violations_of
from execution.campaigns.pairing import Key, key_of, paired_runs, stem
from execution.campaigns.run_records import RunRecord
from execution.campaigns.stored_runs import machine_warnings, stored_records
from execution.catalogue import Catalogue
from execution.options import Options
from experiment.errors import ExitCode, UsageError
from experiment.suite import Suite
from experiment.units import noun
from measurement.gate import Decision, GateResult, Unknown, decide
from measurement.gate_pairs import MIN_PAIRS, Look
from measurement.statistics import Estimate, score_estimate
from reports.gate import GATE_FORMATS
from reports.gate_report import GateReport, Rate


@dataclass(frozen=True, slots=True)
class _Ground:
    """What does not change while pairs are played. `old` are the records of a side that is not played."""

    suite: Suite
    order: GateOrder
    old: dict[str, list[RunRecord]]
    sides: Mapping[str, Home]
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
    sides = sides_of(order, Home(catalogue, options))
    ground = _ground(suite, order, sides)
    prepared = prepare(_jobs(ground), Home(catalogue, options), sides)
    refuse_unlike(prepared, ground.old)
    warnings = code_warnings(prepared)
    campaign = begin(options.out, f"gate-{suite.name}", prepared.jobs, prepared.conditions())
    records: list[RunRecord] = []
    result = decide([], order.margin)
    with playing(campaign, prepared, hooks, stop) as play_one:
        for number, seed in enumerate(ground.seeds, 1):
            records += play_round([job for job in prepared.jobs if job.seed == seed], play_one)
            result = _look(ground, records, number)
            decided = number >= MIN_PAIRS and result.decision is not Decision.INCONCLUSIVE
            if stop.is_set() or decided or result.new_vetoes:
                break
    if stop.is_set() and result.decision is not Decision.REGRESSION:
        sentence = "the gate was interrupted"
        result = replace(
            result, decision=Decision.INCONCLUSIVE, sentence=sentence, unknown=Unknown.INCOMPLETE
        )
    report = _report(ground, result, records, warnings)
    for file, rendering in GATE_FORMATS.items():
        (campaign.folder / file).write_text(rendering(report), encoding="utf-8")
    return report, campaign.folder


def play_round(jobs: Sequence[Job], play_one: Callable[[Job], RunRecord | None]) -> list[RunRecord]:
    """The runs of one seed. One that is invalid is tried once more: a regression is one that is so again."""
    found: list[RunRecord] = []
    for job in jobs:
        record = play_one(job)
        found += [record] if record else []
    again = [play_one(job_of(record)) for record in list(found) if record.score is None]
    return found + [record for record in again if record]


def _ground(suite: Suite, order: GateOrder, sides: Mapping[str, Home]) -> _Ground:
    old = {
        side: found
        for side, what in ((BASELINE, order.baseline), (CANDIDATE, order.candidate))
        if (found := stored_records(what)) is not None
    }
    weights: dict[str, float] = {}
    for entry in suite.entries:
        weights[stem(entry.scenario)] = max(weights.get(stem(entry.scenario), 0.0), entry.weight)
    return _Ground(suite, order, old, sides, weights, _seeds(suite, order, old))


def _seeds(suite: Suite, order: GateOrder, old: dict[str, list[RunRecord]]) -> tuple[int, ...]:
    """Those that the stored sides have, or new ones; two stored sides are looked at once. Raises UsageError
    when they share none."""
    if not old:
        return seeds_of(suite.seed, order.n_max)
    known = [dict.fromkeys(record.seed for record in records) for records in old.values()]
    shared = tuple(seed for seed in known[0] if all(seed in seeds for seeds in known))
    if not shared:
        raise UsageError(
            f"found seeds {list(known[0])} in {order.baseline} and {list(known[-1])} in {order.candidate}, "
            "expected runs of the same seeds, which alone are pairs"
        )
    return shared[:1] if len(old) == 2 else shared[: order.n_max]


def _jobs(ground: _Ground) -> tuple[Job, ...]:
    """The runs of the sides that are not stored, in turns."""
    names = {BASELINE: ground.order.baseline, CANDIDATE: ground.order.candidate}
    turns = [Turn(name, side) for side, name in names.items() if side not in ground.old]
    scenarios = list(dict.fromkeys(entry.scenario for entry in ground.suite.entries))
    return comparison_jobs(scenarios, turns, ground.seeds) if turns else ()


def _look(ground: _Ground, records: Sequence[RunRecord], number: int) -> GateResult:
    pairs = paired_runs(*_sides(ground, records, number), _required(ground, number))
    return decide(pairs, ground.order.margin, ground.weights, Look(number, len(ground.seeds)))


def _required(ground: _Ground, number: int) -> list[Key]:
    """What a pass needs of both: the suite's scenarios with every seed so far. Of two stored sides it is what
    either has."""
    if len(ground.old) == 2:
        return []
    return [(name, seed) for seed in ground.seeds[:number] for name in ground.weights]


def _sides(
    ground: _Ground, records: Sequence[RunRecord], number: int
) -> tuple[list[RunRecord], list[RunRecord]]:
    """The records of the baseline and of the candidate that count at this look. What a stored candidate
    violates counts though the suite does not ask for that scenario."""
    required = set(_required(ground, number))

    def of(side: str) -> list[RunRecord]:
        if side not in ground.old:
            return [record for record in records if record.side == side]
        return [
            record
            for record in ground.old[side]
            if not required or key_of(record) in required or (side == CANDIDATE and record.safety)
        ]

    return of(BASELINE), of(CANDIDATE)


def _report(
    ground: _Ground, result: GateResult, records: Sequence[RunRecord], warnings: Sequence[str]
) -> GateReport:
    order = ground.order
    baseline, candidate = _sides(ground, records, len(ground.seeds))
    score = _score(candidate)
    return GateReport(
        baseline=_named(order.baseline, order.baseline_system, order.baseline_image),
        candidate=_named(order.candidate, order.candidate_system, order.candidate_image),
        suite=ground.suite.name,
        result=result,
        pairs=result.difference.n if result.difference else 0,
        score=score,
        refusals=tuple(_refusals(order, result, score)),
        violations=violations_of(candidate, ground.sides[CANDIDATE].catalogue),
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
        warnings=(*warnings, *_warnings(ground, baseline, candidate)),
        command=order.command,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        on_inconclusive=order.on_inconclusive,
        unclean=tuple(Path(record.folder).name for record in records if not record.clean),
    )


def _named(what: str, system: Path | None, image: str) -> str:
    return f"{what} of {system or image}" if system or image else what


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
    if order.max_drop is not None:
        drop = -result.difference.mean if result.difference else None
        if drop is None or drop > order.max_drop:
            shown = "an unknown number of" if drop is None else f"{drop:.1f}"
            refusals.append(f"the candidate lost {shown} points, expected at most {order.max_drop:g}")
    return refusals


def _warnings(ground: _Ground, baseline: Sequence[RunRecord], candidate: Sequence[RunRecord]) -> list[str]:
    """What a reader must know before believing the numbers."""
    warnings = [text for records in ground.old.values() for text in machine_warnings(records)]
    pairs = paired_runs(baseline, candidate)
    if left_out := sum(not pair.measured for pair in pairs):
        warnings.append(
            f"{left_out} of {noun(len(pairs), 'pair')} were left out: the load generator could not keep up"
        )
    for pair in pairs:
        for name, side in ((BASELINE, pair.baseline), (CANDIDATE, pair.candidate)):
            if side.lost_before:
                tries = noun(side.lost_before, "earlier attempt")
                warnings.append(f"{pair.scenario}, seed {pair.seed}: invalid on the {name}: {tries}")
    old = sorted({f"{p.scenario}: {veto}" for p in pairs for veto in p.baseline.vetoes & p.candidate.vetoes})
    if old:
        warnings.append(f"broken on both, so that it is not new: {', '.join(old)}")
    return warnings


def gate_exit_code(report: GateReport) -> ExitCode:
    """0 pass, 1 regression, 4 a new veto, 2 inconclusive, 3 when invalid runs are why, 5 when something was
    left injected. The policy to warn makes 0 of what only more pairs would tell."""
    if report.unclean:
        return ExitCode.CLEANUP_INCOMPLETE
    if report.decision is Decision.PASS or report.tolerated:
        return ExitCode.PASS
    if report.decision is Decision.REGRESSION:
        return ExitCode.SAFETY_VETO if report.result.new_vetoes else ExitCode.FAIL
    return ExitCode.INVALID if report.result.unknown is Unknown.INVALID else ExitCode.INCONCLUSIVE
