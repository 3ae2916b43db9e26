"""A sweep as one page of a few screens, and as tables for a terminal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from experiment.tables import Table
from experiment.units import noun, signed
from experiment.verdict import Verdict
from reports import wording
from reports.html import render_page
from reports.plots_over_runs import Cell, heat_map
from reports.sweep_report import Key, KeyValue, Spread, SweepMap, SweepReport, Variant, range_of

MOST_ROWS = 100  # of a ranking in a terminal
MOST_ACROSS = 16  # columns of a heat map


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure of the ranking: its heading, and how one value is written."""

    title: str
    text: Callable[[float], str]


FIGURES = {
    "score": Shown("score", lambda value: f"{value:.0f}"),
    "fault.good_ratio": Shown("good under the fault", wording.percent),
    "fault.p95_s": Shown("largest p95 under the fault", wording.duration),
    "recovery_s": Shown("time to recover", wording.duration),
    "attempts": Shown("calls between services", wording.number),
}


def render_html(report: SweepReport) -> str:
    """One page without network and scripts."""
    scales = {
        name: range_of([one.figures[name] for one in report.variants if name in one.figures])
        for name in FIGURES
    }
    return render_page(
        "sweep.html",
        report=report,
        figures=FIGURES,
        first=first_said(report),
        heat="" if report.map is None else _heat(report.map),
        cell_text=figure_text,
        bar=lambda name, spread: bar(spread, *scales[name]),
        against=against_text,
        key_bar=lambda spread: bar(spread, *_key_scale(report)),
        breaks=broken_text,
    )


def sweep_said(report: SweepReport) -> list[str | Table]:
    """For a terminal: how the runs ended, the ranking, what each key changes."""
    runs = noun(report.outcomes.runs, "simulated run")
    told: list[str | Table] = [
        f"{runs} of {report.scenario}; magnitudes: {report.magnitudes}",
        f"verdicts: {report.outcomes}",
    ]
    if len(report.variants) > 1:
        told += [_ranking(report)]
        if (left := len(report.variants) - MOST_ROWS) > 0:
            told.append(f"{noun(left, 'more variant')}: --plot, --out and --json have them")
        told += [first_said(report)]
    return [*told, *(_effects(key) for key in report.keys)]


def first_said(report: SweepReport) -> str:
    """Which variant is first, and whether the seeds tell it from the next ones."""
    first = report.variants[0]
    if len(report.variants) == 1:
        return f"{first.label}: {first.outcomes}"
    if report.seeds < 2:
        return f"{first.label} comes first with one seed, which says nothing about others: --seeds 20"
    if report.alike == len(report.variants):
        return f"{report.seeds} seeds tell no variant from the first, {first.label}."
    if report.alike > 1:
        others = noun(report.alike - 1, "other")
        return f"{first.label} comes first; {report.seeds} seeds do not tell it from {others} after it."
    return f"{first.label} comes first, and {report.seeds} seeds tell it from every other variant."


def figure_text(name: str, spread: Spread | None, runs: int, whole: bool = True) -> str:
    """`91 (88 to 94)`, `0.4 s (0.2 s to 0.6 s), 3 of 5 runs`, without the interval where not `whole`; no
    value is a dash."""
    if spread is None:
        return "–"
    text = FIGURES[name].text
    interval = ""
    if whole and spread.low is not None and spread.high is not None:
        interval = f" ({text(_bounded(name, spread.low))} to {text(_bounded(name, spread.high))})"
    some = f", {spread.runs} of {noun(runs, 'run')}" if spread.runs < runs else ""
    return f"{text(spread.mean)}{interval}{some}"


def _bounded(name: str, value: float) -> float:
    """No end of an interval lies where no value can lie."""
    most = {"score": 100.0, "fault.good_ratio": 1.0}.get(name, float("inf"))
    return min(max(value, 0.0), most)


def against_text(spread: Spread | None) -> str:
    """`-7.2 (-9.9 to -4.5)`; of one seed, or where no two seeds differ, the difference alone."""
    if spread is None:
        return "–"
    interval = (
        ""
        if spread.low is None or spread.high is None
        else f" ({signed(spread.low)} to {signed(spread.high)})"
    )
    return f"{signed(spread.mean)}{interval}"


def broken_text(one: Variant) -> str:
    """`no_lost_write (3 of 5 runs)` for each violated property."""
    runs = one.outcomes.runs
    return ", ".join(f"{name} ({count} of {noun(runs, 'run')})" for name, count in one.broken.items())


@dataclass(frozen=True, slots=True)
class Bar:
    """A mean with its interval on the scale of its column, in hundredths."""

    mean: float
    low: float
    high: float


def bar(spread: Spread, low: float, high: float) -> Bar:
    """Where it lies between the ends of its scale; in the middle where all values are alike."""
    if high - low < 1e-12:
        return Bar(50.0, 50.0, 50.0)
    ends = spread.ends
    mean, left, right = (4 + 92 * (value - low) / (high - low) for value in (spread.mean, *ends))
    return Bar(mean, left, right)


def _key_scale(report: SweepReport) -> tuple[float, float]:
    return range_of([value.score for key in report.keys for value in key.values if value.score is not None])


def _ranking(report: SweepReport) -> Table:
    """One row a variant, with its values in columns of their own."""
    head = (
        "place",
        *(report.names or ("variant",)),
        "verdicts",
        "score",
        "against the first",
        "good in fault",
    )
    rows = []
    for one in report.variants[:MOST_ROWS]:
        runs = one.outcomes.runs
        score, good = (figure_text(n, one.figures.get(n), runs) for n in ("score", "fault.good_ratio"))
        values = tuple(one.values.values()) or (one.label,)
        against = "" if one.behind is None else against_text(one.behind)
        rows.append((str(one.place), *values, str(one.outcomes), score, against, good))
    return Table("", head, tuple(rows))


def _effects(key: Key) -> Table:
    head = (key.name, "verdicts", "score", f"against {key.values[0].value}")
    return Table("", head, tuple(_effect(value) for value in key.values))


def _effect(value: KeyValue) -> tuple[str, ...]:
    against = "" if value.against is None else against_text(value.against)
    score = figure_text("score", value.score, value.score.runs if value.score else 0)
    return value.value, str(value.outcomes), score, against


def _heat(shown: SweepMap) -> str:
    """Coloured by the worst verdict of its runs, then by the mean score."""
    rows = list(dict.fromkeys(cell.row for cell in shown.cells))
    columns = list(dict.fromkeys(cell.column for cell in shown.cells))
    cells = {}
    for one in shown.cells:
        if not one.outcomes.runs:
            continue
        worst = one.outcomes.worst
        text = f"{wording.VERDICT_MARKS[Verdict(worst)]} {'–' if one.score is None else f'{one.score:.0f}'}"
        cells[one.row, one.column] = Cell(one.score, text, one.outcomes.vetoed > 0, worst)
    if len(columns) > MOST_ACROSS:
        rows, columns = columns, rows
        cells = {(column, row): cell for (row, column), cell in cells.items()}
    return heat_map(rows, columns, cells, "sweep-map")
