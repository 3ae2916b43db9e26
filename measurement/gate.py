"""The release gate's decision: pass, regression or inconclusive, from paired runs of a baseline and a
candidate.

New vetoes and lost validity come first. Then the interval of the mean difference of scores decides, beside
it single scenarios, the p95 and the goodput, all of them tested together (Holm 1979). Because the gate looks
again after every pair, the chance of a false alarm is spent once: EARLY_LEVEL over all looks before the last,
LAST_LEVEL at the last, for the mean and for the rest each, so that both together stay at 5%.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from measurement.histogram import Histogram, merge, quantile
from measurement.statistics import PairedDifference, holm, more_often, paired_difference

MARGIN = 3.0
LAST_LEVEL = 0.02
EARLY_LEVEL = 0.005
SLOWER = 1.25  # a p95 that grew by less is within what the gate tolerates
FEWER = 0.9  # a goodput above this share of the baseline's too
CONFIRMED = 2  # invalid runs of one scenario, before the last look


class Decision(StrEnum):
    PASS = "pass"
    REGRESSION = "regression"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Side:
    """One run of a pair. `score` is None when the run was invalid; `good` of `offered` operations; `failed`:
    its verdict was fail."""

    score: float | None
    vetoes: frozenset[str] = frozenset()  # names of violated safety invariants
    latency: Histogram = ()  # before any fault
    good: int = 0
    offered: int = 0
    failed: bool = False


@dataclass(frozen=True, slots=True)
class PairedRun:
    """One scenario with one seed on both. `measured` False: the machine could not keep up, which says
    nothing about either."""

    scenario: str
    seed: int
    baseline: Side
    candidate: Side
    measured: bool = True


@dataclass(frozen=True, slots=True)
class Look:
    """Which look at the pairs this is: the last one, or one of `early` before it."""

    last: bool = True
    early: int = 0

    @property
    def level(self) -> float:
        return LAST_LEVEL if self.last else EARLY_LEVEL / max(1, self.early)


@dataclass(frozen=True, slots=True)
class ScenarioFlag:
    """One scenario on its own, after Holm's correction: its score, and how many runs failed of how many
    that were valid. `unclear`: more runs failed, and it is not shown that this is no chance."""

    scenario: str
    difference: PairedDifference
    worse: bool
    failed_baseline: int = 0
    failed_candidate: int = 0
    fails_more: bool = False
    unclear: bool = False


@dataclass(frozen=True, slots=True)
class FigureFlag:
    """Candidate / baseline of a figure of all scenarios together, with the 95% interval of the ratio.
    `unclear`: it looks worse than tolerated and is not shown to be."""

    figure: str
    ratio: float
    low: float | None
    high: float | None
    tolerated: float
    worse: bool
    unclear: bool


@dataclass(frozen=True, slots=True)
class GateResult:
    """`sentence` is the reason in one sentence; `evidence` what it rests on."""

    decision: Decision
    sentence: str
    difference: PairedDifference | None
    scenarios: tuple[ScenarioFlag, ...]
    evidence: tuple[str, ...] = ()
    figures: tuple[FigureFlag, ...] = ()
    new_vetoes: tuple[str, ...] = ()


def decide(
    runs: Sequence[PairedRun],
    margin: float = MARGIN,
    weights: Mapping[str, float] | None = None,
    look: Look = Look(),
) -> GateResult:
    """Vetoes and validity first, whatever the numbers; then scores, then latency and goodput. `weights` of
    scenarios are 1 where they are not given."""
    vetoes, invalid = _new_vetoes(runs), _turned_invalid(runs, look)
    flags, figures = _flags(runs, margin, look)
    difference = _suite_difference(runs, weights or {})

    def result(decision: Decision, sentence: str, evidence: Iterable[str] = ()) -> GateResult:
        return GateResult(decision, sentence, difference, flags, tuple(evidence), figures, vetoes)

    if vetoes or invalid:
        return result(Decision.REGRESSION, (*vetoes, *invalid)[0], (*vetoes, *invalid))
    worse = [flag for flag in flags if flag.worse]
    slower = [figure for figure in figures if figure.worse]
    failing = [_failing(flag) for flag in flags if flag.fails_more]
    if failing and not worse:
        return result(Decision.REGRESSION, failing[0], failing + _texts(slower))
    if worse:
        names = ", ".join(flag.scenario for flag in worse)
        evidence = [f"{flag.scenario}: {flag.difference.mean:+.1f} points" for flag in worse]
        return result(Decision.REGRESSION, f"the candidate is worse in {names}", evidence + _texts(slower))
    if slower:
        return result(Decision.REGRESSION, f"the candidate's {_texts(slower)[0]}", _texts(slower))
    if difference is None or difference.low is None or difference.high is None:
        return result(Decision.INCONCLUSIVE, "fewer than two complete pairs were scored")
    interval = f"{difference.mean:+.1f} points (95%: {difference.low:+.1f} to {difference.high:+.1f})"
    sure = difference.p_worse is not None and difference.p_worse <= look.level
    if difference.high < 0 and difference.mean < -margin and sure:
        return result(Decision.REGRESSION, f"the candidate's mean score changed by {interval}")
    unclear = [_failing(flag) for flag in flags if flag.unclear]
    unclear += _texts([figure for figure in figures if figure.unclear])
    if unclear:
        return result(Decision.INCONCLUSIVE, f"{unclear[0]}, which may be chance", unclear)
    if difference.low > -margin:
        return result(Decision.PASS, f"the candidate is not worse by more than {margin:g} points: {interval}")
    return result(Decision.INCONCLUSIVE, f"{interval} neither excludes nor shows a loss of {margin:g} points")


def figure_text(figure: FigureFlag) -> str:
    """`p95 before the fault is 2.02 times the baseline's (95%: 1.80 to 2.27)`."""
    interval = "" if figure.low is None else f" (95%: {figure.low:.2f} to {figure.high:.2f})"
    return f"{figure.figure} is {figure.ratio:.2f} times the baseline's{interval}"


def _texts(figures: Sequence[FigureFlag]) -> list[str]:
    return [figure_text(figure) for figure in figures]


def _failing(flag: ScenarioFlag) -> str:
    n, before, now = flag.difference.n, flag.failed_baseline, flag.failed_candidate
    return f"{flag.scenario}: the candidate failed in {now} of {n} runs, the baseline in {before}"


def _scenarios(runs: Sequence[PairedRun]) -> dict[str, list[PairedRun]]:
    found: dict[str, list[PairedRun]] = {}
    for run in runs:
        found.setdefault(run.scenario, []).append(run)
    return found


def _new_vetoes(runs: Sequence[PairedRun]) -> tuple[str, ...]:
    """Vetoes the baseline never had in that scenario."""
    sentences: list[str] = []
    for scenario, mine in _scenarios(runs).items():
        known = frozenset().union(*(run.baseline.vetoes for run in mine))
        for veto in sorted(frozenset().union(*(run.candidate.vetoes for run in mine)) - known):
            seeds = [run.seed for run in mine if veto in run.candidate.vetoes]
            sentences.append(
                f"{scenario}: the candidate violates {veto} in {len(seeds)} of {len(mine)} runs "
                f"(first with seed {seeds[0]}), the baseline in none"
            )
    return tuple(sentences)


def _turned_invalid(runs: Sequence[PairedRun], look: Look) -> tuple[str, ...]:
    """Scenarios that are valid on the baseline and are invalid on the candidate, twice or every time."""
    sentences: list[str] = []
    for scenario, found in _scenarios(runs).items():
        mine = [run for run in found if run.measured]
        lost = [r.seed for r in mine if r.candidate.score is None and r.baseline.score is not None]
        usual = sum(run.baseline.score is None for run in mine)
        if len(lost) > usual and (len(lost) >= CONFIRMED or (look.last and len(lost) == len(mine))):
            seeds = ", ".join(map(str, lost))
            sentences.append(f"{scenario}: the candidate's runs are invalid (seeds {seeds})")
    return tuple(sentences)


def _scores(runs: Iterable[PairedRun]) -> list[tuple[float, float]]:
    return [
        (run.baseline.score, run.candidate.score)
        for run in runs
        if run.measured and run.baseline.score is not None and run.candidate.score is not None
    ]


def _flags(
    runs: Sequence[PairedRun], margin: float, look: Look
) -> tuple[tuple[ScenarioFlag, ...], tuple[FigureFlag, ...]]:
    """Scenarios and figures, tested together."""
    scenarios: dict[str, PairedDifference] = {}
    for scenario, mine in _scenarios(runs).items():
        if pairs := _scores(mine):
            scenarios[scenario] = paired_difference([a for a, _ in pairs], [b for _, b in pairs])
    figures = _figures(runs)
    failures = {name: _failures(_scenarios(runs)[name]) for name in scenarios}
    tested = {f"score {name}": d.p_worse for name, d in scenarios.items()}
    tested |= {f"failures {name}": more_often(*counts) for name, counts in failures.items()}
    tested |= {name: d.p_worse for name, d, _ in figures}
    p_values = {name: p for name, p in tested.items() if p is not None}
    rejected = dict(zip(p_values, holm(list(p_values.values()), look.level), strict=True))
    flags = []
    for name, d in scenarios.items():
        before, now, _ = failures[name]
        more = rejected[f"failures {name}"]
        worse = rejected.get(f"score {name}", False) and d.mean < -margin
        unclear = not more and now - before >= CONFIRMED
        flags.append(ScenarioFlag(name, d, worse, before, now, more, unclear))
    return (
        tuple(flags),
        tuple(_figure_flag(name, d, sign, rejected.get(name, False)) for name, d, sign in figures),
    )


def _failures(runs: Iterable[PairedRun]) -> tuple[int, int, int]:
    """(failed on the baseline, failed on the candidate, pairs) of the pairs in which both were valid."""
    mine = [run for run in runs if _scores([run])]
    return sum(r.baseline.failed for r in mine), sum(r.candidate.failed for r in mine), len(mine)


def _figures(runs: Sequence[PairedRun]) -> list[tuple[str, PairedDifference, int]]:
    """(name, difference of logarithms in which less is worse, direction of the figure itself)."""
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in dict.fromkeys(run.seed for run in runs):
        mine = [run for run in runs if run.seed == seed and run.measured]
        slow = [quantile(merge(s.latency for s in side), 0.95) for side in _sides(mine)]
        if slow[0] and slow[1]:
            found.setdefault("p95 before the fault", []).append((-math.log(slow[0]), -math.log(slow[1])))
        shares = [_log_share(side) for side in _sides(mine)]
        if shares[0] is not None and shares[1] is not None:
            found.setdefault("goodput", []).append((shares[0], shares[1]))
    return [
        (
            name,
            paired_difference([a for a, _ in pairs], [b for _, b in pairs]),
            1 if name == "goodput" else -1,
        )
        for name, pairs in found.items()
    ]


def _sides(runs: Sequence[PairedRun]) -> tuple[list[Side], list[Side]]:
    return [run.baseline for run in runs], [run.candidate for run in runs]


def _log_share(sides: Sequence[Side]) -> float | None:
    """Of the good operations; half an operation stands for none at all."""
    offered = sum(side.offered for side in sides)
    return math.log(max(0.5, sum(side.good for side in sides)) / offered) if offered else None


def _figure_flag(name: str, d: PairedDifference, sign: int, rejected: bool) -> FigureFlag:
    ratio = math.exp(sign * d.mean)
    tolerated = FEWER if sign > 0 else SLOWER
    beyond = ratio < FEWER if sign > 0 else ratio > SLOWER
    bounds = [math.exp(sign * bound) for bound in (d.low, d.high) if bound is not None]
    low, high = (min(bounds), max(bounds)) if bounds else (None, None)
    worse = rejected and beyond
    return FigureFlag(name, ratio, low, high, tolerated, worse, beyond and not worse)


def _suite_difference(runs: Sequence[PairedRun], weights: Mapping[str, float]) -> PairedDifference | None:
    """Pairs of weighted suite means, one a seed; a seed that lacks a scenario is left out."""
    scenarios = set(_scenarios(runs))
    pairs: list[tuple[float, float]] = []
    for seed in dict.fromkeys(run.seed for run in runs):
        mine = [run for run in runs if run.seed == seed and _scores([run])]
        if {run.scenario for run in mine} == scenarios:
            shares = [weights.get(run.scenario, 1.0) for run in mine]
            before, now = np.average(_scores(mine), axis=0, weights=shares)
            pairs.append((float(before), float(now)))
    return paired_difference([a for a, _ in pairs], [b for _, b in pairs]) if pairs else None
