"""Single scenarios and figures of paired runs, all of them tested together (Holm 1979): score, how often runs
fail, the p95 before any fault, and the goodput."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from experiment.units import noun
from gate.pairs import CONFIRMED, Look, PairedRun, Side, by_scenario, scores
from measurement.histogram import merge, quantile
from measurement.statistics import PairedDifference, holm, more_often, paired_difference

SLOWER = 1.25  # a p95 that grew by less is within what the gate tolerates
FEWER = 0.9  # a goodput above this share of the baseline's too


@dataclass(frozen=True, slots=True)
class ScenarioFlag:
    """One scenario on its own, after Holm's correction: its score, and how many runs failed of how many
    that were valid. `unclear`: more runs failed, which may be chance."""

    scenario: str  # the name of the scenario
    difference: PairedDifference  # the difference of its scores
    worse: bool  # whether its score is shown to be worse
    failed_baseline: int = 0  # how many valid runs of the baseline failed
    failed_candidate: int = 0  # how many valid runs of the candidate failed
    fails_more: bool = False  # whether the candidate is shown to fail more often
    unclear: bool = False  # whether more runs failed, which may be chance


@dataclass(frozen=True, slots=True)
class FigureFlag:
    """Candidate / baseline of a figure of all scenarios together, with the 95% interval of the ratio.
    `unclear`: it looks worse than tolerated and is not shown to be."""

    figure: str  # the name of the figure
    ratio: float  # the candidate's figure as a multiple of the baseline's
    low: float | None  # lower end of the 95% interval of the ratio
    high: float | None  # upper end of the 95% interval of the ratio
    tolerated: float  # the ratio that is tolerated
    worse: bool  # whether it is shown to be worse than tolerated
    unclear: bool  # whether it looks worse and is not shown to be


def figure_text(figure: FigureFlag) -> str:
    """`p95 before the fault is 2.02 times the baseline's (95%: 1.80 to 2.27)`."""
    interval = "" if figure.low is None else f" (95%: {figure.low:.2f} to {figure.high:.2f})"
    return f"{figure.figure} is {figure.ratio:.2f} times the baseline's{interval}"


def failing_text(flag: ScenarioFlag) -> str:
    """`control: the candidate failed in 7 of 7 runs, the baseline in 0`."""
    n, before, now = flag.difference.n, flag.failed_baseline, flag.failed_candidate
    return f"{flag.scenario}: the candidate failed in {now} of {noun(n, 'run')}, the baseline in {before}"


def flags_of(
    runs: Sequence[PairedRun], margin: float, look: Look
) -> tuple[tuple[ScenarioFlag, ...], tuple[FigureFlag, ...]]:
    """Scenarios and figures, tested together."""
    scenarios: dict[str, PairedDifference] = {}
    for scenario, mine in by_scenario(runs).items():
        if pairs := scores(mine):
            scenarios[scenario] = paired_difference([a for a, _ in pairs], [b for _, b in pairs])
    figures = _figures(runs)
    failures = {name: _failures(by_scenario(runs)[name]) for name in scenarios}
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
    mine = [run for run in runs if scores([run])]
    return sum(r.baseline.failed for r in mine), sum(r.candidate.failed for r in mine), len(mine)


def _figures(runs: Sequence[PairedRun]) -> list[tuple[str, PairedDifference, int]]:
    """(name, difference of logarithms in which less is worse, direction of the figure itself)."""
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in dict.fromkeys(run.seed for run in runs):
        mine = [run for run in runs if run.seed == seed and run.measured and run.whole]
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
