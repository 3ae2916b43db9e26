"""Counters and gauges that services reported about themselves, from the samples of a history."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from experiment.history import History, Sample

BOUNDARY_SLACK_S = 0.5  # a sample at a boundary is taken a little after it


@dataclass(frozen=True, slots=True)
class Increase:
    """By how much a counter grew. `resets`: how often it fell, as after a crash; what was counted between
    the last sample and the crash is lost, so the figure is then a lower bound."""

    value: float
    resets: int


Key = tuple[str, str, str]  # source, name, about


def group(samples: Iterable[Sample], names: frozenset[str]) -> dict[Key, list[tuple[float, float]]]:
    """(source, name, about) to its (t, value) pairs in time order."""
    grouped: dict[Key, list[tuple[float, float]]] = defaultdict(list)
    for sample in samples:
        if sample.name in names:
            grouped[sample.source, sample.name, sample.about].append((sample.t, sample.value))
    return grouped


def increase(readings: list[tuple[float, float]], start: float, end: float) -> Increase | None:
    """Growth of a counter in [start, end]; None when fewer than two readings bracket anything of it.

    A reading below the one before means that the counter began again at zero.
    """
    before = [r for r in readings if r[0] <= start + BOUNDARY_SLACK_S]
    inside = [r for r in readings if start + BOUNDARY_SLACK_S < r[0] <= end + BOUNDARY_SLACK_S]
    chain = before[-1:] + inside
    if len(chain) < 2:
        return None
    total, resets = 0.0, 0
    for (_, previous), (_, value) in pairwise(chain):
        if value < previous:
            resets += 1
            total += value
        else:
            total += value - previous
    return Increase(total, resets)


def backlog_drained(history: History, heal: float, load_end: float) -> tuple[float | None, dict[str, float]]:
    """(seconds after `heal` until every backlog was drained, what was left at the end).

    While load is on some work is always under way: a backlog counts as drained once two readings running are
    at their usual level, see `_usual`. After the load it must be zero. None when never, or when nothing was
    sampled after the heal (then nothing is left either).
    """
    gauges = group(history.samples, frozenset({"backlog"}))
    first_fault = min((event.t for event in history.faults), default=heal)
    drained_at = 0.0
    left: dict[str, float] = {}
    seen = False
    for (source, _, about), readings in gauges.items():
        usual = _usual([value for t, value in readings if t <= first_fault])
        after = [(t, value) for t, value in readings if t >= heal]
        if not after:
            continue
        seen = True
        calm = [value <= (usual if t < load_end else 0.0) for t, value in after]
        if not calm[-1]:
            left[f"{source} {about}".strip()] = after[-1][1]
            continue
        twice = (i for i in range(len(calm)) if calm[i] and (i + 1 == len(calm) or calm[i + 1]))
        drained_at = max(drained_at, after[next(twice)][0] - heal)
    return (None if left or not seen else drained_at), left


def _usual(before: list[float]) -> float:
    """The highest level that work under way explains: what was read before the fault, and for so small a
    sample three standard deviations of a count (Poisson) above its mean."""
    mean = sum(before) / len(before) if before else 0.0
    return max([mean + 3 * math.sqrt(max(1.0, mean)), *before])
