"""Plots over many runs: designs against scenarios, score against cost, figures over time, intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from experiment.units import noun
from reports import buckets, svg
from reports.plots import DASHES, board, tile


@dataclass(frozen=True, slots=True)
class Cell:
    """One field of a heat map: a value from 0 to 100 (None: nothing was measured), its text, a veto, and the
    verdict, from which it has its colour."""

    value: float | None
    text: str
    vetoed: bool = False
    verdict: str = ""


def heat_map(
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Mapping[tuple[str, str], Cell],
    name: str = "heat-map",
) -> str:
    """Scores from 0 to 100 of every pair (row, column), blue where it passed and orange where it failed; a
    vetoed field is hatched, a missing one is empty."""
    if not rows or not columns:
        return ""
    height = 0.4 + 0.36 * len(rows)
    size = f"{noun(len(columns), 'column')} in {noun(len(rows), 'row')}"
    alt = f"Scores of {size}; the table beside it has the figures."
    with board(height, name, alt) as drawn:
        axis = drawn.figure.add_axes((0.28, 0.02, 0.7, 0.36 * len(rows) / height))
        axis.grid(visible=False)
        for y, row in enumerate(rows):
            for x, column in enumerate(columns):
                cell = cells.get((row, column), Cell(None, "–"))
                share = None if cell.value is None else min(1.0, max(0.0, cell.value / 100))
                tile(axis, x, y, share, cell.text, cell.vetoed, cell.verdict)
        axis.set(xlim=(0, len(columns)), ylim=(len(rows), 0))
        axis.set_xticks(np.arange(len(columns)) + 0.5, list(columns))
        axis.set_yticks(np.arange(len(rows)) + 0.5, list(rows))
        axis.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
        axis.spines[:].set_visible(False)
    return drawn.svg


@dataclass(frozen=True, slots=True)
class Point:
    """One design: its cost and its score, with the score's interval when known."""

    label: str
    cost: float
    score: float
    low: float | None = None
    high: float | None = None
    vetoed: bool = False


def pareto_front(points: Sequence[Point]) -> tuple[Point, ...]:
    """The designs that no other one beats in both cost and score, by rising cost; a vetoed one never."""
    front: list[Point] = []
    for point in sorted((p for p in points if not p.vetoed), key=lambda p: (p.cost, -p.score)):
        if not front or point.score > front[-1].score:
            front.append(point)
    return tuple(front)


def wide_enough(values: Sequence[float], least: float) -> tuple[float, float]:
    """The ends of an axis of these values: wider than they are, and at least that share of the largest, so
    that a difference of a thousandth does not fill it."""
    low, high = min(values), max(values)
    span = max(1.24 * (high - low), least * max(abs(low), abs(high)), 1e-9)
    middle = (low + high) / 2
    return middle - span / 2, middle + span / 2


def pareto(points: Sequence[Point], cost: str, name: str = "pareto") -> str:
    """Score against cost (`cost` names it with its unit), and the designs that no other beats."""
    if not points:
        return ""
    front = pareto_front(points)
    best = ", ".join(point.label for point in front) or "none"
    alt = f"Score against {cost} of {noun(len(points), 'design')}. Beaten by no other: {best}."
    with board(4.2, name, alt) as drawn:
        axis = drawn.figure.add_axes((0.07, 0.12, 0.9, 0.83))
        axis.plot([p.cost for p in front], [p.score for p in front], color=svg.BLUE, drawstyle="steps-post")
        for point in points:
            colour = svg.VERMILLION if point.vetoed else (svg.BLUE if point in front else svg.MUTED)
            axis.plot(point.cost, point.score, "X" if point.vetoed else "o", color=colour, markersize=7)
            if point.low is not None and point.high is not None:
                axis.plot([point.cost] * 2, [point.low, point.high], color=colour, linewidth=1)
            label = point.label + (" (vetoed)" if point.vetoed else "")
            axis.annotate(label, (point.cost, point.score), (7, 4), textcoords="offset points")
        axis.set(xlabel=cost, ylabel="score", ylim=(-4, 106))
        axis.set_xlim(*wide_enough([point.cost for point in points], 0.1))
    return drawn.svg


def trend(
    series: Mapping[str, Sequence[float | None]],
    labels: Sequence[str],
    unit: str,
    changes: Sequence[int] = (),
    name: str = "trend",
    conditions: Sequence[int] = (),
) -> str:
    """Figures over successive runs: `labels` name the runs, `changes` are the positions of change points,
    `conditions` those from which on another machine or formula made the figures."""
    if not series or not labels:
        return ""
    marked = f" Changes before {', '.join(labels[i] for i in changes)}." if changes else ""
    if conditions:
        marked += f" Another machine or formula from {', '.join(labels[i] for i in conditions)} on."
    with board(3.4, name, f"{', '.join(series)} in {unit} over {noun(len(labels), 'run')}.{marked}") as drawn:
        axis = drawn.figure.add_axes((0.1, 0.2, 0.75, 0.74))
        for number, (label, values) in enumerate(series.items()):
            axis.plot(
                np.arange(len(values)),
                buckets.as_values(values),
                marker="o",
                markersize=3.5,
                color=svg.SERIES[number % len(svg.SERIES)],
                linestyle=DASHES[number % len(DASHES)],
                label=label,
            )
        for position in changes:
            axis.axvline(position - 0.5, color=svg.FAULT, linewidth=1)
        for position in conditions:
            axis.axvline(position - 0.5, color=svg.INK, linewidth=1, linestyle=":")
        shown = np.unique(np.linspace(0, len(labels) - 1, min(len(labels), 10)).round().astype(int))
        axis.set_xticks(shown, [labels[i] for i in shown], rotation=20, ha="right")
        axis.set_ylabel(unit)
        axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.03))
    return drawn.svg


LEAST_POINTS = 4.0  # an axis of differences is not narrower


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its interval, all in one unit."""

    label: str
    mean: float
    low: float
    high: float


def interval_plot(
    intervals: Sequence[Interval], unit: str, margin: float | None = None, name: str = "intervals"
) -> str:
    """Means with their intervals; with a `margin`, zero and minus the margin are marked."""
    if not intervals:
        return ""
    height = 0.7 + 0.34 * len(intervals)
    lines = "; ".join(f"{i.label} {i.mean:.1f} ({i.low:.1f} to {i.high:.1f})" for i in intervals)
    with board(height, name, f"Means with 95% intervals, {unit}: {lines}.") as drawn:
        axis = drawn.figure.add_axes((0.28, 0.5 / height, 0.69, 0.34 * len(intervals) / height))
        for y, item in enumerate(intervals):
            axis.plot([item.low, item.high], [y, y], color=svg.BLUE, linewidth=2, solid_capstyle="butt")
            axis.plot(item.mean, y, "o", color=svg.BLUE, markersize=6)
        if margin is not None:
            axis.axvline(0, color=svg.INK, linewidth=0.9)
            axis.axvline(-margin, color=svg.FAULT, linewidth=1.1, linestyle=DASHES[1])
        axis.set_yticks(range(len(intervals)), [item.label for item in intervals])
        axis.set(ylim=(len(intervals) - 0.5, -0.5), xlabel=unit)
        low, high = axis.get_xlim()
        if high - low < LEAST_POINTS:
            axis.set_xlim((low + high - LEAST_POINTS) / 2, (low + high + LEAST_POINTS) / 2)
    return drawn.svg
