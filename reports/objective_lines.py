"""The latency objectives of a run as lines of its plots: over the phase that each holds for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from experiment.history import PhaseEvent
from experiment.units import Bound, parse_latency_bound
from measurement.analysis import Analysis

ALL = "all"
UNTIL = {"fault": "recovery", "recovery": "settle", "after": "settle"}


@dataclass(frozen=True, slots=True)
class ObjectiveLine:
    """A bound of one journey from `start` to `end`, in seconds since the run's zero."""

    journey: str
    figure: str  # p50, p95 or p99
    limit_s: float
    start: float
    end: float
    text: str  # such as `pay p95 <= 2s`


def objective_lines(analysis: Analysis, phases: Sequence[PhaseEvent]) -> tuple[ObjectiveLine, ...]:
    """One for each bound of a latency; a bound beside the baseline stands where the baseline's figure puts
    it, and is left out where the baseline has none."""
    return tuple(_lines(analysis, {phase.name: phase for phase in phases}))


def _lines(analysis: Analysis, played: dict[str, PhaseEvent]) -> Iterator[ObjectiveLine]:
    usual = {row.journey: row for row in analysis.journeys if row.phase == "baseline"}
    for one in analysis.expectations:
        phase = played.get(one.phase)
        if one.figure not in ("p50", "p95", "p99") or phase is None:
            continue
        try:
            bound = parse_latency_bound(one.bound)
        except ValueError:
            continue
        if isinstance(bound, Bound):
            limit = bound.limit
        elif (before := getattr(usual.get(one.journey), one.figure, None)) is not None:
            limit = bound.limits(before)[1]
        else:
            continue
        end = phase.start + 1.0 if phase.end is None else phase.end
        text = f"{one.journey} {one.figure} {one.bound}"
        yield ObjectiveLine(one.journey, one.figure, limit, phase.start, end, text)
