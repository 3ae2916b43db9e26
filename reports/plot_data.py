"""The figures of the plots as plain data, for the script that lets a reader point, zoom and choose."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from experiment.history import PhaseEvent
from experiment.plain_text import clean
from measurement.analysis import FaultWindow, Timeline
from reports import buckets, svg
from reports.objective_lines import ALL, ObjectiveLine
from reports.timeline_plots import PERCENTILES

Unit = Literal["rate", "seconds", "share"]
DASHED: tuple[list[int], ...] = ([], [7, 3], [2, 2], [8, 3, 2, 3])
WINDOWS = 200  # of faults that are shaded


def line(
    label: str, values: Sequence[float | None], colour: str, *, dash: Sequence[int] = (), steps: bool = False,
    filled: bool = False, spans: bool = False, wide: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """One series of a panel. `spans`: a gap says nothing, so that the line goes on behind it."""
    kept = [None if value is None else float(f"{value:.4g}") for value in values]
    return {
        "label": label, "values": kept, "colour": svg.VARIABLES[colour], "dash": list(dash), "steps": steps,
        "filled": filled, "spans": spans, "width": 2.2 if wide else 1.4,
    }  # fmt: skip


def panel(
    title: str, unit: Unit, times: Sequence[float], series: Sequence[Mapping[str, Any]],
    objectives: Iterable[ObjectiveLine] = (), *, half: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """One plot: `unit` says how its figures are written, and that durations stand on a logarithmic scale.
    `times` are the middles of its points, or the starts of its steps; `half` as wide as the page."""
    bounds = [
        {"from": one.start, "to": one.end, "at": one.limit_s, "text": one.text,
         "colour": svg.VARIABLES[PERCENTILES[one.figure]]}
        for one in objectives
    ]  # fmt: skip
    return {
        "title": title, "unit": unit, "t": list(times), "series": list(series), "objectives": bounds,
        "half": half,
    }  # fmt: skip


def document(
    panels: Sequence[Mapping[str, Any]],
    faults: Sequence[FaultWindow],
    phases: Sequence[PhaseEvent],
    end: float,
) -> dict[str, Any]:
    """What the script draws: panels on one axis of seconds, the windows of the faults and the phases."""
    acted = ((one.start, end if one.end is None else one.end) for one in faults if one.start is not None)
    windows = [[round(edge, 3) for edge in window] for window in buckets.merged(acted)]
    named = [[round(phase.start, 3), phase.name.replace("_", " ")] for phase in phases]
    return {
        "panels": list(panels),
        "windows": windows[:WINDOWS],
        "phases": named,
        "end": end,
    }


def figures(
    series: Sequence[Timeline],
    faults: Sequence[FaultWindow],
    phases: Sequence[PhaseEvent],
    objectives: Sequence[ObjectiveLine] = (),
) -> dict[str, Any] | None:
    """The panels of one run, as `timeline_plots` draws them; None where nothing was measured."""
    whole = next((one for one in series if one.journey == ALL), None)
    if whole is None or not whole.offered:
        return None
    length = len(whole.offered)
    step = buckets.stride(length)
    others = [one for one in series if one.journey != ALL and one.offered]
    middles = [float(t) for t in buckets.middles(length, step)]
    starts = [float(t) for t in buckets.closed(buckets.times(length, step), step)]
    panels = [
        panel("operations/s", "rate", starts, [
            line("offered", _held(whole.offered, step), svg.MUTED, dash=DASHED[1], steps=True),
            line("good", _held(whole.good, step), svg.BLUE, steps=True, filled=True),
        ]),
        panel("latency", "seconds", middles, percentiles(whole, step), objectives),
        panel("errors/s", "rate", starts, [
            line("errors", _held(whole.errors, step), svg.VERMILLION, steps=True, filled=True)
        ]),
        panel("quality Q", "share", middles, [
            line(one.journey, thinned(one.q, step, "min"), svg.INK if one is whole else svg.SERIES[place % 7],
                 dash=DASHED[0] if one is whole else DASHED[place % 4], spans=True, wide=one is whole)
            for place, one in enumerate([*others, whole])
        ]),
        *(
            panel(f"latency of {one.journey}", "seconds", middles, percentiles(one, step),
                  [bound for bound in objectives if bound.journey in (ALL, one.journey)], half=True)
            for one in others
        ),
    ]  # fmt: skip
    return document(panels, faults, phases, float(length))


def percentiles(one: Timeline, step: int) -> list[dict[str, Any]]:
    """p50, p95 and p99 in their colours."""
    return [
        line(name, thinned(getattr(one, name), step, "max"), colour, dash=DASHED[place])
        for place, (name, colour) in enumerate(PERCENTILES.items())
    ]


def thinned(
    values: Sequence[float | int | None], step: int, how: Literal["mean", "max", "min"]
) -> list[float | None]:
    """Every `step` seconds as one, None where all of them are empty."""
    return [None if v != v else float(v) for v in buckets.thin(buckets.as_values(values), step, how)]


def _held(values: Sequence[int], step: int) -> list[float | None]:
    """Steps, with the last one held to its end."""
    thin = thinned(values, step, "mean")
    return [*thin, *thin[-1:]]


def block(figures: Mapping[str, Any]) -> str:
    """As the text of a block of data in a page: foreign text through the one door, and no mark of HTML."""
    text = clean(json.dumps(figures, separators=(",", ":"), ensure_ascii=False, allow_nan=False))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
