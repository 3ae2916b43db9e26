"""What happened over time in one run, with the faults as they were measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from experiment.history import PhaseEvent
from experiment.units import noun
from measurement.analysis import FaultWindow, Timeline
from reports import buckets, svg
from reports.objective_lines import ALL, ObjectiveLine
from reports.plots import DASHES, board, log_durations

PERCENTILES = {"p50": svg.GREEN, "p95": svg.ORANGE, "p99": svg.PURPLE}
TOLD = 5  # fault windows in the text alternative


def timelines(
    series: Sequence[Timeline],
    faults: Sequence[FaultWindow],
    phases: Sequence[PhaseEvent],
    objectives: Sequence[ObjectiveLine] = (),
    name: str = "timeline",
) -> str:
    """Rate, latency, errors and quality over time on one axis of seconds since the run's zero.

    Faults are shaded from their measured start to their measured end, phases are named on top. The timeline
    called `all` gives the first three panels; every other one gives a line of quality.
    """
    whole = next((line for line in series if line.journey == "all"), None)
    if whole is None or not whole.offered:
        return ""
    step = buckets.stride(len(whole.offered))
    with board(7.4, name, _alt(whole, faults, step)) as drawn:
        figure = drawn.figure
        axes = figure.subplots(4, 1, sharex=True, height_ratios=[2, 2, 1, 2])
        figure.subplots_adjust(left=0.085, right=0.87, top=0.965, bottom=0.06, hspace=0.16)
        _rate(axes[0], whole, step)
        _latency(axes[1], whole, step)
        _scale(axes[1:2], [whole], objectives)
        _objectives(axes[1], objectives)
        _errors(axes[2], whole, step)
        _quality(axes[3], series, step)
        for axis in axes:
            axis.set_title("", y=1.0)  # else its place is worked out anew, at great cost
            _mark(axis, faults, phases, len(whole.offered))
            axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.03), borderaxespad=0.3, handlelength=2.2)
        _name_phases(axes[0], phases, len(whole.offered))
        axes[3].set_xlim(0, len(whole.offered))
        axes[3].set_xlabel("seconds since the run's zero")
    return drawn.svg


def journeys(
    series: Sequence[Timeline],
    faults: Sequence[FaultWindow],
    phases: Sequence[PhaseEvent],
    objectives: Sequence[ObjectiveLine] = (),
    name: str = "journeys",
) -> str:
    """Latency of each journey in a panel of its own, on common axes."""
    lines = [line for line in series if line.journey != "all" and line.offered]
    if not lines:
        return ""
    rows = -(-len(lines) // 2)
    height = 0.6 + 1.5 * rows
    named = ", ".join(line.journey for line in lines)
    with board(height, name, f"Latency over time of each journey ({named}), log scale.") as drawn:
        figure = drawn.figure
        grid = figure.subplots(rows, 2, sharex=True, sharey=True, squeeze=False)
        edge = 0.42 / height
        figure.subplots_adjust(
            left=0.07, right=0.99, top=1 - 0.7 * edge, bottom=edge, hspace=0.35, wspace=0.06
        )
        for axis, line in zip(grid.flat, lines, strict=False):
            _latency(axis, line, buckets.stride(len(line.offered), buckets.MAX_POINTS // 2))
            _mark(axis, faults, phases, len(line.offered))
            _objectives(axis, [one for one in objectives if one.journey in (ALL, line.journey)], named=False)
            axis.set_ylabel("")
            axis.set_title(line.journey, loc="left", fontsize=9, pad=3, y=1.0, color=svg.INK)
        _scale([grid[0][0]], lines, objectives)
        for axis in list(grid.flat)[len(lines) :]:
            axis.set_visible(False)
        grid[0][0].set_xlim(0, max(len(line.offered) for line in lines))
        handles, labels = grid[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="upper right", ncols=3, borderaxespad=0.0)
    return drawn.svg


def beside(
    runs: Sequence[Mapping[str, Timeline]],
    names: Sequence[str],
    faults: Sequence[FaultWindow],
    phases: Sequence[PhaseEvent],
    objectives: Sequence[ObjectiveLine] = (),
    name: str = "beside",
) -> str:
    """Quality, good operations, p95 and errors of several runs, one line a run in each panel."""
    wholes = [run.get(ALL) for run in runs]
    length = max((len(one.offered) for one in wholes if one is not None), default=0)
    if not length:
        return ""
    step = buckets.stride(length)
    panels = (("q", "quality Q"), ("good", "good/s"), ("p95", "p95 (log)"), ("errors", "errors/s"))
    seen = [one for one in wholes if one is not None]
    alt = f"{', '.join(label for _, label in panels)} of {', '.join(names)} over {noun(length, 'second')}."
    with board(7.4, name, alt) as drawn:
        axes = drawn.figure.subplots(4, 1, sharex=True, height_ratios=[2, 2, 2, 1])
        drawn.figure.subplots_adjust(left=0.085, right=0.85, top=0.965, bottom=0.06, hspace=0.16)
        for axis, (figure, label) in zip(axes, panels, strict=True):
            for place, (one, run) in enumerate(zip(wholes, names, strict=True)):
                if one is not None:
                    _of_run(axis, one, figure, step, place, run)
            axis.set_ylabel(label)
            axis.set_title("", y=1.0)
            _mark(axis, faults, phases, length)
        _scale(axes[2:3], seen, objectives)
        _objectives(axes[2], objectives)
        for axis in (axes[1], axes[3]):
            axis.set_ylim(bottom=0)
        axes[0].set_ylim(-0.03, 1.08)
        axes[0].legend(loc="upper left", bbox_to_anchor=(1.0, 1.03), borderaxespad=0.3, handlelength=2.2)
        _name_phases(axes[0], phases, length)
        axes[3].set_xlim(0, length)
        axes[3].set_xlabel("seconds since the run's zero")
    return drawn.svg


def _of_run(axis: Any, one: Timeline, figure: str, step: int, place: int, name: str) -> None:
    worst: Literal["min", "max"] = "min" if figure == "q" else "max"
    values = buckets.thin(buckets.as_values(getattr(one, figure)), step, worst)
    seen = np.isfinite(values) if figure == "q" else np.full(len(values), True)
    axis.plot(
        buckets.middles(len(one.offered), step)[: len(values)][seen],
        values[seen],
        color=svg.SERIES[place % len(svg.SERIES)],
        linestyle=DASHES[place % len(DASHES)],
        label=name,
    )


def _rate(axis: Any, line: Timeline, step: int) -> None:
    t = buckets.times(len(line.offered), step)
    offered = buckets.thin(buckets.as_values(line.offered), step, "mean")
    good = buckets.thin(buckets.as_values(line.good), step, "mean")
    t, offered, good = buckets.closed(t, step), buckets.held(offered), buckets.held(good)
    axis.fill_between(t, good, step="post", color=svg.BLUE, alpha=0.25, linewidth=0)
    axis.plot(t, offered, color=svg.MUTED, linestyle=DASHES[1], drawstyle="steps-post", label="offered")
    axis.plot(t, good, color=svg.BLUE, drawstyle="steps-post", label="good")
    axis.set_ylabel("operations/s")
    axis.set_ylim(bottom=0)


def _latency(axis: Any, line: Timeline, step: int) -> None:
    t = buckets.middles(len(line.offered), step)
    for number, (label, colour) in enumerate(PERCENTILES.items()):
        values = buckets.thin(buckets.as_values(getattr(line, label)), step, "max")
        values = np.where(values > 0, values, np.nan)
        shown = label if np.isfinite(values).any() else f"{label}: too few"
        axis.plot(t, values, color=colour, linestyle=DASHES[number], label=shown)
    axis.set_ylabel("latency (log)")


def _objectives(axis: Any, objectives: Sequence[ObjectiveLine], *, named: bool = True) -> None:
    """A line at each bound, over the phase that it holds for; its text stands below it once, with the journey
    where the plot is of several."""
    told: set[tuple[str, float]] = set()
    for one in objectives:
        colour = PERCENTILES.get(one.figure, svg.INK)
        axis.hlines(one.limit_s, one.start, one.end, color=colour, linewidth=1.1, linestyle=DASHES[3])
        if (one.figure, one.limit_s) not in told:
            told.add((one.figure, one.limit_s))
            axis.annotate(
                one.text if named else one.text.removeprefix(f"{one.journey} "),
                (one.start, one.limit_s),
                (2, -8),
                textcoords="offset points",
                fontsize=7.5,
                color=colour,
                annotation_clip=False,
            )


def _scale(axes: Sequence[Any], lines: Sequence[Timeline], objectives: Sequence[ObjectiveLine] = ()) -> None:
    """One logarithmic scale for all latencies of the lines and their objectives."""
    seen = [v for line in lines for v in (*line.p50, *line.p95, *line.p99) if v is not None and v > 0]
    seen += [one.limit_s for one in objectives]
    for axis in axes:
        log_durations(axis, min(seen, default=0.01), max(seen, default=0.1))


def _errors(axis: Any, line: Timeline, step: int) -> None:
    t = buckets.times(len(line.errors), step)
    errors = buckets.thin(buckets.as_values(line.errors), step, "mean")
    t, errors = buckets.closed(t, step), buckets.held(errors)
    axis.fill_between(t, errors, step="post", color=svg.VERMILLION, alpha=0.85, linewidth=0, label="errors")
    axis.set_ylabel("errors/s")
    axis.set_ylim(0, max(1.0, float(np.nanmax(errors, initial=0.0)) * 1.1))


def _quality(axis: Any, series: Sequence[Timeline], step: int) -> None:
    ordered = sorted(series, key=lambda line: line.journey == "all")
    for number, line in enumerate(ordered):
        whole = line.journey == "all"
        values = buckets.thin(buckets.as_values(line.q), step, "min")
        seen = ~np.isnan(values)  # a second without operations is passed over: it says nothing
        axis.plot(
            buckets.middles(len(line.q), step)[seen],
            values[seen],
            color=svg.INK if whole else svg.SERIES[number % len(svg.SERIES)],
            linestyle="-" if whole else DASHES[number % len(DASHES)],
            linewidth=2.2 if whole else 1.2,
            label=line.journey,
        )
    axis.set_ylabel("quality Q")
    axis.set_ylim(-0.03, 1.08)


def _mark(axis: Any, faults: Sequence[FaultWindow], phases: Sequence[PhaseEvent], length_s: float) -> None:
    """Shades what acted, up to the end when it never healed, and dots the starts of the phases.

    One artist each: a flapping fault can have hundreds of windows.
    """
    upwards = axis.get_xaxis_transform()
    windows = [(f.start, length_s if f.end is None else f.end) for f in faults if f.start is not None]
    spans = [(start, end - start) for start, end in buckets.merged(windows)]
    axis.broken_barh(spans, (0, 1), transform=upwards, color=svg.FAULT, alpha=0.16, linewidth=0)
    edges = [edge for window in windows for edge in window]
    axis.vlines(edges, 0, 1, transform=upwards, color=svg.FAULT, linewidth=0.8)
    starts = [phase.start for phase in phases]
    axis.vlines(starts, 0, 1, transform=upwards, color=svg.MUTED, linewidth=0.7, linestyle=DASHES[2])


def _name_phases(axis: Any, phases: Sequence[PhaseEvent], length_s: float) -> None:
    """A name above each phase that is long enough to hold it."""
    for phase in phases:
        following = min((other.start for other in phases if other.start > phase.start), default=math.inf)
        if following - phase.start < 0.0095 * len(phase.name) * length_s:
            continue
        axis.annotate(
            phase.name.replace("_", " "),
            (phase.start, 1.0),
            (2, 3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            fontsize=8,
            color=svg.MUTED,
            annotation_clip=False,
        )


def _alt(line: Timeline, faults: Sequence[FaultWindow], step: int) -> str:
    told = [
        f"{fault.kind} on {fault.target} from {fault.start:.1f} s"
        + (f" to {fault.end:.1f} s" if fault.end is not None else ", never healed")
        for fault in faults
        if fault.start is not None
    ]
    windows = "; ".join(told[:TOLD]) + (f"; and {len(told) - TOLD} more" if len(told) > TOLD else "")
    lowest = min((value for value in line.q if value is not None), default=None)
    quality = "" if lowest is None else f" Lowest quality of all journeys: {lowest:.2f}."
    thinned = f" Each point covers {step} s: mean rate, worst latency and quality." if step > 1 else ""
    return (
        f"Rate, latency, errors and quality over {noun(len(line.offered), 'second')}. "
        f"Faults: {windows or 'none was active'}.{quality}{thinned}"
    )
