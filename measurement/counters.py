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
    """(seconds after `heal` until every backlog was drained for good, what was left at the end).

    While load is on some work is always under way: a backlog counts as drained once two readings running are
    at their usual level, see `_usual`, and as grown again once two running are above it. One that was not
    drained under load must be empty after it, and none may be left at the end. None when never, or when
    nothing was sampled after the heal (then nothing is left either).
    """
    gauges = group(history.samples, frozenset({"backlog"}))
    first_fault = min((event.t for event in history.faults), default=heal)
    drained: list[float] = []
    left: dict[str, float] = {}
    for (source, _, about), readings in gauges.items():
        usual = _usual([value for t, value in readings if t <= first_fault])
        after = [(t, value) for t, value in readings if t >= heal]
        if not after:
            continue
        since = _drained_since(after, usual, load_end)
        if since is None or after[-1][1] > (usual if after[-1][0] < load_end else 0.0):
            left[f"{source} {about}".strip()] = after[-1][1]
        else:
            drained.append(since - heal)
    return (max(drained) if drained and not left else None), left


def _drained_since(readings: list[tuple[float, float]], usual: float, load_end: float) -> float | None:
    """From when on the backlog was at its usual level to the end of its readings."""
    since: float | None = None
    for number, (t, value) in enumerate(readings):
        level = usual if t < load_end or since is not None else 0.0
        coming = readings[number + 1][1] if number + 1 < len(readings) else value
        if since is None and value <= level and coming <= level:
            since = t
        elif since is not None and value > level and coming > level:
            since = None
    return since


def _usual(before: list[float]) -> float:
    """The highest level that work under way explains: what was read before the fault, and for so small a
    sample three standard deviations of a count (Poisson) above its mean."""
    mean = sum(before) / len(before) if before else 0.0
    return max([mean + 3 * math.sqrt(max(1.0, mean)), *before])
