"""The release gate played: pairs of runs, seed by seed, until the interval decides or n_max is reached.

What plays a run is handed in, so that the gate knows of no runtime and no folder.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from experiment.errors import UsageError
from experiment.jobs import Job, Turn, interleaved, seeds_of
from experiment.suite import Suite
from experiment.units import noun
from gate.decide import MARGIN, Decision, GateResult, Unknown, decide, under_pressure
from gate.pairs import (
    CONDITIONS,
    MIN_PAIRS,
    Key,
    Look,
    by_scenario,
    key_of,
    paired_runs,
    scenario_names,
    stem,
)
from gate.report import GateReport, Rate, run_of, violations_of
from measurement.run_records import RunRecord
from measurement.statistics import Estimate, score_estimate

BASELINE, CANDIDATE = "baseline", "candidate"


@dataclass(frozen=True, slots=True)
class GateOrder:
    """`baseline` and `candidate` are designs, or folders of earlier runs (FOLDER or FOLDER:DESIGN); empty:
    the usual design of its side's system. The systems are files or checkouts (None: the catalogue's own), the
    images those of the services, or of single ones (SERVICE=IMAGE); a revision is one of the Git repository
    of its side's system. `on_inconclusive` says what too few pairs do to the exit code."""

    baseline: str
    candidate: str
    n_max: int = 7
    margin: float = MARGIN
    on_inconclusive: str = "fail"  # or warn
    min_score: float | None = None
    max_drop: float | None = None
    baseline_system: Path | None = None
    candidate_system: Path | None = None
    baseline_image: str = ""
    candidate_image: str = ""
    baseline_revision: str = ""
    candidate_revision: str = ""
    command: str = ""


Play = Callable[[Job], RunRecord | None]  # None: it was interrupted


@dataclass(frozen=True, slots=True)
class Match:
    """What does not change while pairs are played. `stored` are the records of a side that is not played;
    `weights` are those of the suite's scenarios, `seeds` those that may be played."""

    suite: Suite
    order: GateOrder
    stored: Mapping[str, Sequence[RunRecord]]
    weights: Mapping[str, float]
    seeds: tuple[int, ...]
    names: Mapping[str, str]  # what the suite or a stored run calls a scenario, to its short name

    def named(self, records: Iterable[RunRecord]) -> list[RunRecord]:
        """With the short names of their scenarios."""
        return [replace(one, scenario=self.names.get(one.scenario, one.scenario)) for one in records]

    def files(self, known: Mapping[str, Path]) -> dict[str, Path]:
        """The scenario files by short name; `known` are those of the candidate by its own names."""
        found: dict[str, Path] = {}
        for one, short in self.names.items():
            path = known.get(one) or Path(one)
            usable = path if path.is_file() else known.get(stem(one))
            if usable is not None:
                found.setdefault(short, usable)
        return found

    def jobs(self) -> tuple[Job, ...]:
        """The runs of the sides that are not stored, in turns."""
        names = {BASELINE: self.order.baseline, CANDIDATE: self.order.candidate}
        turns = [Turn(name, side) for side, name in names.items() if side not in self.stored]
        scenarios = list(dict.fromkeys(entry.scenario for entry in self.suite.entries))
        return interleaved(scenarios, turns, self.seeds) if turns else ()


def match_of(suite: Suite, order: GateOrder, stored: Mapping[str, Sequence[RunRecord]]) -> Match:
    """Raises UsageError when two stored sides share no seed."""
    weights: dict[str, float] = {}
    asked = [entry.scenario for entry in suite.entries]
    names = scenario_names(asked, *([one.scenario for one in records] for records in stored.values()))
    for entry in suite.entries:
        name = names[entry.scenario]
        weights[name] = max(weights.get(name, 0.0), entry.weight)
    match = Match(suite, order, stored, weights, _seeds(suite, order, stored), names)
    return replace(match, stored={side: match.named(records) for side, records in stored.items()})


def refuse_unlike(
    planned: Mapping[Job, Mapping[str, object]], stored: Mapping[str, Sequence[RunRecord]]
) -> None:
    """Raises UsageError when runs to be played would be no pairs with those that are stored. Of each job
    `planned` has what CONDITIONS names."""
    names = scenario_names(
        [job.scenario for job in planned], *([one.scenario for one in records] for records in stored.values())
    )
    known = {(names[one.scenario], one.seed): one for records in stored.values() for one in records}
    for job, conditions in planned.items():
        record = known.get((names[job.scenario], job.seed))
        if record is None:
            continue
        differing = [
            f"{name} {getattr(record, field) or 'not known'}, now {conditions[field]}"
            for field, name in CONDITIONS.items()
            if getattr(record, field) != conditions[field]
        ]
        if differing:
            raise UsageError(
                f"found another {'; another '.join(differing)} in {record.folder}, expected the conditions "
                f"of the runs to be played ({job.scenario}, seed {job.seed}), which alone make pairs"
            )


def play_gate(
    match: Match,
    play_one: Play,
    stop: threading.Event,
    scenarios: Mapping[str, Path],
    warnings: Sequence[str],
) -> GateReport:
    """Play pairs seed by seed until the gate has decided. `scenarios` are the candidate's files by name;
    `warnings` are what is known before anything is played."""
    jobs, records = match.jobs(), list[RunRecord]()
    result = decide([], match.order.margin)
    for number, seed in enumerate(match.seeds, 1):
        records += match.named(play_round([job for job in jobs if job.seed == seed], play_one))
        result = _look(match, records, number)
        decided = number >= MIN_PAIRS and result.decision is not Decision.INCONCLUSIVE
        if stop.is_set() or decided or result.new_vetoes:
            break
    if stop.is_set() and result.decision is not Decision.REGRESSION:
        result = replace(
            result,
            decision=Decision.INCONCLUSIVE,
            sentence="the gate was interrupted",
            unknown=Unknown.INCOMPLETE,
        )
    return _report(match, result, records, scenarios, warnings)


def play_round(jobs: Sequence[Job], play_one: Play) -> list[RunRecord]:
    """The runs of one seed. One that is invalid is tried once more: a regression is one that is so again."""
    found: list[RunRecord] = []
    for job in jobs:
        record = play_one(job)
        found += [record] if record else []
    again = [play_one(record.job) for record in list(found) if record.score is None]
    return found + [record for record in again if record]


def _seeds(suite: Suite, order: GateOrder, stored: Mapping[str, Sequence[RunRecord]]) -> tuple[int, ...]:
    """Those that the stored sides have, or new ones; two stored sides are looked at once. Raises UsageError
    when they share none."""
    if not stored:
        return seeds_of(suite.seed, order.n_max)
    known = [dict.fromkeys(record.seed for record in records) for records in stored.values()]
    shared = tuple(seed for seed in known[0] if all(seed in seeds for seeds in known))
    if not shared:
        raise UsageError(
            f"found seeds {list(known[0])} in {order.baseline} and {list(known[-1])} in {order.candidate}, "
            "expected runs of the same seeds, which alone are pairs"
        )
    return shared[:1] if len(stored) == 2 else shared[: order.n_max]


def _look(match: Match, records: Sequence[RunRecord], number: int) -> GateResult:
    pairs = paired_runs(*_sides(match, records, number), _required(match, number))
    return decide(pairs, match.order.margin, match.weights, Look(number, len(match.seeds)))


def _required(match: Match, number: int) -> list[Key]:
    """What a pass needs of both: the suite's scenarios with every seed so far. Of two stored sides it is what
    either has."""
    if len(match.stored) == 2:
        return []
    return [(name, seed) for seed in match.seeds[:number] for name in match.weights]


def _sides(
    match: Match, records: Sequence[RunRecord], number: int
) -> tuple[list[RunRecord], list[RunRecord]]:
    """The records of the baseline and of the candidate that count at this look. What a stored candidate
    violates counts though the suite does not ask for that scenario."""
    required = set(_required(match, number))

    def of(side: str) -> list[RunRecord]:
        if side not in match.stored:
            return [record for record in records if record.side == side]
        return [
            record
            for record in match.stored[side]
            if not required or key_of(record) in required or (side == CANDIDATE and record.safety)
        ]

    return of(BASELINE), of(CANDIDATE)


def _report(
    match: Match,
    result: GateResult,
    records: Sequence[RunRecord],
    scenarios: Mapping[str, Path],
    warnings: Sequence[str],
) -> GateReport:
    order = match.order
    baseline, candidate = _sides(match, records, len(match.seeds))
    result, refusals = _with_floors(match, result, baseline, candidate)
    return GateReport(
        baseline=_named(order.baseline, order.baseline_system, order.baseline_revision, order.baseline_image),
        candidate=_named(
            order.candidate, order.candidate_system, order.candidate_revision, order.candidate_image
        ),
        suite=match.suite.name,
        result=result,
        pairs=result.difference.n if result.difference else 0,
        score=_score(candidate),
        refusals=refusals,
        violations=violations_of(candidate, match.files(scenarios)),
        runs=tuple(
            run_of(side, one)
            for side, found in ((BASELINE, baseline), (CANDIDATE, candidate))
            for one in found
        ),
        rates=tuple(
            Rate(what, sum(chosen), len(chosen))
            for what, chosen in (
                ("baseline vetoed", [record.vetoed for record in baseline]),
                ("candidate vetoed", [record.vetoed for record in candidate]),
                ("baseline invalid", [record.score is None for record in baseline]),
                ("candidate invalid", [record.score is None for record in candidate]),
                *_violation_rates(baseline, candidate),
            )
            if chosen
        ),
        warnings=(*warnings, *_warnings(baseline, candidate)),
        command=order.command,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        on_inconclusive=order.on_inconclusive,
        unclean=tuple(Path(record.folder).name for record in records if not record.clean),
        margin=order.margin,
    )


def _violation_rates(
    baseline: Sequence[RunRecord], candidate: Sequence[RunRecord]
) -> list[tuple[str, list[bool]]]:
    """Which runs of each side violated each safety property that any run did."""
    names = dict.fromkeys(name for record in (*candidate, *baseline) for name in record.safety)
    return [
        (f"{side} violates {name}", [name in record.safety for record in records])
        for name in names
        for side, records in ((BASELINE, baseline), (CANDIDATE, candidate))
    ]


def _named(what: str, system: Path | None, revision: str, image: str) -> str:
    of = " ".join(filter(None, (str(system or ""), revision, image)))
    return f"{what} of {of}" if of else what


def _score(records: Sequence[RunRecord]) -> Estimate | None:
    """Over seeds, each the mean of its scored runs."""
    by_seed: dict[int, list[float]] = {}
    for record in records:
        if record.score is not None:
            by_seed.setdefault(record.seed, []).append(record.score)
    return score_estimate([sum(s) / len(s) for s in by_seed.values()]) if by_seed else None


def _with_floors(
    match: Match, result: GateResult, baseline: Sequence[RunRecord], candidate: Sequence[RunRecord]
) -> tuple[GateResult, tuple[str, ...]]:
    """The result, and floors that are broken whatever the interval says. Floors that runs under pressure from
    outside break, and the others do not, leave the answer open."""
    refusals = _refusals(match.order, result, _score(candidate))
    pairs = paired_runs(baseline, candidate)
    calm = {(pair.scenario, pair.seed) for pair in pairs if not pair.pressed}
    if not refusals or len(calm) == len(pairs) or result.new_vetoes:
        return result, tuple(refusals)
    before, now = ([one for one in side if key_of(one) in calm] for side in (baseline, candidate))
    again = decide(paired_runs(before, now), match.order.margin, match.weights)
    if calm and _refusals(match.order, again, _score(now)):
        return result, tuple(refusals)
    if result.decision is Decision.REGRESSION:
        return result, ()
    return under_pressure(result, pairs, "; ".join(refusals)), ()


def _refusals(order: GateOrder, result: GateResult, score: Estimate | None) -> list[str]:
    """Floors that are broken."""
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


def _warnings(baseline: Sequence[RunRecord], candidate: Sequence[RunRecord]) -> list[str]:
    """What a reader must know before believing the numbers."""
    warnings = []
    pairs = paired_runs(baseline, candidate)
    if left_out := sum(not pair.measured for pair in pairs):
        warnings.append(
            f"{left_out} of {noun(len(pairs), 'pair')} were left out: the machine could not keep up"
        )
    if pressed := sum(pair.pressed for pair in pairs):
        warnings.append(
            f"{pressed} of {noun(len(pairs), 'pair')} were played under pressure from outside: "
            "alone they show no regression but a veto"
        )
    for pair in pairs:
        for name, side in ((BASELINE, pair.baseline), (CANDIDATE, pair.candidate)):
            if side.lost_before:
                tries = noun(side.lost_before, "earlier attempt")
                warnings.append(f"{pair.scenario}, seed {pair.seed}: {tries} invalid on the {name}")
    for scenario, mine in by_scenario(pairs).items():
        sides = [side for pair in mine for side in (pair.baseline, pair.candidate)]
        known = frozenset().union(*(side.exercised for side in sides))
        if silent := sorted(frozenset().union(*(side.silent for side in sides)) - known):
            names = ", ".join(silent)
            warnings.append(f"{scenario}: exercised on neither side, so nothing is known of it: {names}")
    old = sorted({f"{p.scenario}: {veto}" for p in pairs for veto in p.baseline.vetoes & p.candidate.vetoes})
    if old:
        warnings.append(f"violated on both sides, so not new: {', '.join(old)}")
    return warnings
