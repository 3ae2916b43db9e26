"""A design over a suite in four numbers: weighted mean score, worst scenario, coverage, vetoes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from experiment.topology import System
from experiment.verdict import Verdict
from reports.report import FourNumbers

LINK_CLASSES = ("slow", "cut", "lost reply")
NODE_CLASSES = ("crash", "pause")
CLASS_OF_KIND = {
    "latency": "slow",
    "bandwidth": "slow",
    "slow_processing": "slow",
    "blackhole": "cut",
    "refusal": "cut",
    "reset": "cut",
    "lost_response": "lost reply",
    "error_share": "lost reply",
}


@dataclass(frozen=True, slots=True)
class Scored:
    """One judged run as a suite counts it: `exercised` holds (target, fault kind) of faults whose effect was
    seen."""

    design: str
    scenario: str
    weight: float
    verdict: Verdict
    vetoed: bool
    score: float | None
    exercised: frozenset[tuple[str, str]]


def coverable(system: System) -> int:
    """Pairs of place and fault class that exist: slow and cut on every link, a lost reply on every http link,
    crash and pause of every service and instrument."""
    links = sum(3 if link.protocol == "http" else 2 for link in system.links)
    nodes = sum(len(NODE_CLASSES) for service in system.services.values() if service.module)
    return links + nodes


def four_numbers(runs: Sequence[Scored], system: System) -> tuple[FourNumbers, ...]:
    """One row a design, in the order of appearance. An unscored run (invalid) makes the mean unknown."""
    designs = list(dict.fromkeys(run.design for run in runs))
    return tuple(
        _of_design(design, [run for run in runs if run.design == design], system) for design in designs
    )


def _of_design(design: str, runs: Sequence[Scored], system: System) -> FourNumbers:
    scored = [run for run in runs if run.score is not None]
    worst = min(scored, key=lambda run: run.score or 0.0, default=None)
    return FourNumbers(
        design=design,
        mean=weighted_mean(runs),
        worst=worst.score if worst else None,
        worst_scenario=worst.scenario if worst else "",
        covered=len(_classes(pair for run in runs for pair in run.exercised)),
        coverable=coverable(system),
        vetoes=sum(run.vetoed for run in runs),
    )


def weighted_mean(runs: Sequence[Scored]) -> float | None:
    """None when a run has no score: an unknown part leaves the whole unknown."""
    if not runs or any(run.score is None for run in runs):
        return None
    total = sum(run.weight for run in runs)
    return sum(run.weight * (run.score or 0.0) for run in runs) / total


def _classes(pairs: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    return {(target, CLASS_OF_KIND.get(kind, kind)) for target, kind in pairs}
