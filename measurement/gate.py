"""The release gate's decision: pass, regression or inconclusive, from paired runs of a baseline and a
candidate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from measurement.statistics import PairedDifference, holm, paired_difference

MARGIN = 3.0


class Decision(StrEnum):
    PASS = "pass"
    REGRESSION = "regression"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class PairedRun:
    """One scenario with one seed on both. A score is None when the run was invalid or inconclusive."""

    scenario: str
    seed: int
    baseline: float | None
    candidate: float | None
    baseline_vetoes: frozenset[str] = frozenset()  # names of violated safety invariants
    candidate_vetoes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ScenarioFlag:
    """One scenario on its own, after Holm's correction over all of them."""

    scenario: str
    difference: PairedDifference
    worse: bool


@dataclass(frozen=True, slots=True)
class GateResult:
    """`decided` False: more pairs could change the decision. `sentence` is the reason in one sentence."""

    decision: Decision
    sentence: str
    difference: PairedDifference | None
    scenarios: tuple[ScenarioFlag, ...]
    evidence: tuple[str, ...] = ()


def decide(runs: Sequence[PairedRun], margin: float = MARGIN) -> GateResult:
    """Vetoes and validity first, whatever the numbers; then the interval of the suite's mean difference per
    seed."""
    broken = _new_breakage(runs)
    flags = _flags(runs, margin)
    difference = _suite_difference(runs)
    if broken:
        return GateResult(Decision.REGRESSION, broken[0], difference, flags, broken)
    if difference is None or difference.low is None or difference.high is None:
        return GateResult(
            Decision.INCONCLUSIVE, "fewer than two complete pairs were scored", difference, flags
        )
    interval = f"{difference.mean:+.1f} points (95%: {difference.low:+.1f} to {difference.high:+.1f})"
    worse = [flag for flag in flags if flag.worse]
    if worse:
        names = ", ".join(flag.scenario for flag in worse)
        evidence = tuple(f"{flag.scenario}: {flag.difference.mean:+.1f} points" for flag in worse)
        return GateResult(
            Decision.REGRESSION, f"the candidate is worse in {names}", difference, flags, evidence
        )
    if difference.high < 0 and difference.mean < -margin:
        return GateResult(Decision.REGRESSION, f"the candidate lost {interval}", difference, flags)
    if difference.low > -margin:
        sentence = f"the candidate is not worse by more than {margin:g} points: {interval}"
        return GateResult(Decision.PASS, sentence, difference, flags)
    sentence = f"{interval} neither excludes nor shows a loss of {margin:g} points"
    return GateResult(Decision.INCONCLUSIVE, sentence, difference, flags)


def _new_breakage(runs: Sequence[PairedRun]) -> tuple[str, ...]:
    """Vetoes the baseline never had in that scenario, and scenarios that lost their validity."""
    sentences: list[str] = []
    for scenario in dict.fromkeys(run.scenario for run in runs):
        mine = [run for run in runs if run.scenario == scenario]
        known = frozenset().union(*(run.baseline_vetoes for run in mine))
        for run in mine:
            for veto in sorted(run.candidate_vetoes - known):
                sentences.append(f"{scenario}, seed {run.seed}: the candidate violates {veto}")
            if run.candidate is None and run.baseline is not None:
                sentences.append(f"{scenario}, seed {run.seed}: the candidate's run is invalid")
    return tuple(sentences)


def _flags(runs: Sequence[PairedRun], margin: float) -> tuple[ScenarioFlag, ...]:
    differences: dict[str, PairedDifference] = {}
    for scenario in dict.fromkeys(run.scenario for run in runs):
        pairs = [
            (run.baseline, run.candidate)
            for run in runs
            if run.scenario == scenario and run.baseline is not None and run.candidate is not None
        ]
        if pairs:
            differences[scenario] = paired_difference([a for a, _ in pairs], [b for _, b in pairs])
    tested = {name: d for name, d in differences.items() if d.p_worse is not None}
    rejected = dict(zip(tested, holm([d.p_worse or 0.0 for d in tested.values()]), strict=True))
    return tuple(
        ScenarioFlag(name, d, rejected.get(name, False) and d.mean < -margin)
        for name, d in differences.items()
    )


def _suite_difference(runs: Sequence[PairedRun]) -> PairedDifference | None:
    """Pairs of suite means: one a seed, over the scenarios that both scored."""
    baseline: list[float] = []
    candidate: list[float] = []
    for seed in dict.fromkeys(run.seed for run in runs):
        pairs = [
            (run.baseline, run.candidate)
            for run in runs
            if run.seed == seed and run.baseline is not None and run.candidate is not None
        ]
        if pairs:
            baseline.append(sum(a for a, _ in pairs) / len(pairs))
            candidate.append(sum(b for _, b in pairs) / len(pairs))
    return paired_difference(baseline, candidate) if baseline else None
