"""Results of suites over time: a table and plots on a page, Markdown and JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from experiment.tables import Table
from reports import html
from reports.markdown import code, table, text
from reports.plots_over_runs import trend
from reports.schemas import document_text
from reports.wording import duration
from trend.report import TrendLine, TrendPoint, TrendReport

HEAD = ("when", "commit", "runs", "score", "p95", "recovered in", "vetoes", "formula", "remarks")


def rows(line: TrendLine) -> list[list[str]]:
    """The figures of a line as text, in the order of HEAD."""
    return [
        [
            point.recorded_at[:19].replace("T", " "),
            point.git or "–",
            str(point.runs),
            _score(point),
            duration(point.p95_s),
            duration(point.recovery_s) + (f" ({point.never} never)" if point.never else ""),
            _vetoes(point),
            ", ".join(point.formulas),
            "; ".join(_remarks(line, place)),
        ]
        for place, point in enumerate(line.points)
    ]


def _score(point: TrendPoint) -> str:
    """`71.2 (codeblue-1: 84.0)`: what an earlier formula gives stands beside."""
    if point.score is None:
        return "–"
    before = ", ".join(f"{name}: {value:.1f}" for name, value in point.scores_before)
    return f"{point.score:.1f} ({before})" if before else f"{point.score:.1f}"


def _by_formula(line: TrendLine) -> dict[str, list[float | None]]:
    """Every formula to its figure at each point, the latest first: a line of a plot holds one formula only.
    Where there is one formula, or a point mixes them, it is the score."""
    named = [name for point in line.points for name in (*point.formulas, *dict(point.scores_before))]
    if len(set(named)) < 2:
        return {"score": [point.score for point in line.points]}
    found: dict[str, list[float | None]] = {}
    for name in dict.fromkeys(reversed(named)):
        found[f"score by {name}"] = [
            point.score if point.formulas == (name,) else dict(point.scores_before).get(name)
            for point in line.points
        ]
    return {name: found[name] for name in sorted(found, reverse=True)}


def _vetoes(point: TrendPoint) -> str:
    """`3 (no_lost_write in 2, conservation in 1)`: runs, and the properties that they violated."""
    named = ", ".join(f"{name} in {runs}" for name, runs in point.violated)
    return f"{point.vetoes} ({named})" if named else str(point.vetoes)


def _remarks(line: TrendLine, place: int) -> list[str]:
    named = (("score", line.score_changes), ("p95", line.p95_changes), ("recovery", line.recovery_changes))
    found = [f"{name} changed" for name, places in named if place in places]
    found += [f"another {name}" for name, *_ in conditions(line).get(place, ())]
    return [*found, *([line.points[place].lacking] if line.points[place].lacking else [])]


def conditions(line: TrendLine) -> dict[int, list[tuple[str, str, str]]]:
    """Position to (what, before, now) where another machine or formula than before it made the figures: what
    changes there may be theirs. (Another runtime is a line of its own.)"""
    found: dict[int, list[tuple[str, str, str]]] = {}
    for place, (before, now) in enumerate(pairwise(line.points), start=1):
        told = (
            ("machine", before.machine or "not known", now.machine or "not known"),
            ("formula", " and ".join(before.formulas), " and ".join(now.formulas)),
        )
        if changed := [one for one in told if one[1] != one[2]]:
            found[place] = changed
    return found


_Figure = tuple[str, Sequence[int], Callable[[TrendPoint], float | None], Callable[[float], str]]


def changes(line: TrendLine) -> list[str]:
    """One sentence for each change of level, and of what figures were made with."""
    figures: tuple[_Figure, ...] = (
        ("score", line.score_changes, lambda point: point.score, lambda value: f"{value:.1f}"),
        ("p95", line.p95_changes, lambda point: point.p95_s, duration),
        ("time to recover", line.recovery_changes, lambda point: point.recovery_s, duration),
    )
    found = []
    for name, places, figure, shown in figures:
        edges = [0, *places, len(line.points)]
        for before, place, after in zip(edges, places, edges[2:], strict=False):
            sides = (line.points[before:place], line.points[place:after])
            left, right = (_mean([figure(point) for point in side]) for side in sides)
            where = line.points[place].label
            found.append(f"{line.name}: {name} changed at {where} from {shown(left)} to {shown(right)}")
    for place, changed in conditions(line).items():
        where = line.points[place].label
        found += [
            f"{line.name}: another {what} from {where} on ({old}; now {new})" for what, old, new in changed
        ]
    return found


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known)


def render_json(report: TrendReport) -> str:
    return document_text(report)


def render_markdown(report: TrendReport) -> str:
    """A table a design, the changes first."""
    lines = [f"## Trend of suite {text(_title(report))}", ""]
    lines += [f"- **{text(change)}**" for line in report.lines for change in changes(line)]
    for line in report.lines:
        lines += [
            "",
            f"### {text(line.name)}",
            "",
            *table(HEAD, [[text(v) for v in row] for row in rows(line)]),
        ]
    return "\n".join([*lines, "", f"Again: {code(report.command)}", ""])


def _title(report: TrendReport) -> str:
    return f"{report.suite}, {report.scenario}" if report.scenario else report.suite


def render_html(report: TrendReport) -> str:
    """The page. Each design has three plots, because their scales differ."""
    drawn = []
    for number, line in enumerate(report.lines):
        labels = [point.label for point in line.points]
        series: tuple[tuple[str, str, dict[str, list[float | None]], tuple[int, ...]], ...] = (
            ("score", "score", _by_formula(line), line.score_changes),
            ("p95", "seconds", {"p95": [p.p95_s for p in line.points]}, line.p95_changes),
            (
                "time to recover",
                "seconds",
                {"time to recover": [p.recovery_s for p in line.points]},
                line.recovery_changes,
            ),
        )
        plots = [
            (
                name,
                trend(lines, labels, unit, places, f"trend-{number}-{place}", tuple(conditions(line))),
            )
            for place, (name, unit, lines, places) in enumerate(series)
            if any(value is not None for values in lines.values() for value in values)
        ]
        drawn.append((line.name, changes(line), plots, rows(line)))
    return html.render_page(
        "trend.html", title=_title(report), drawn=drawn, head=HEAD, command=report.command
    )


def said(report: TrendReport) -> list[str | Table]:
    """For the terminal."""
    found: list[str | Table] = []
    for line in report.lines:
        found.append(Table(f"{line.name}:", HEAD, tuple(tuple(row) for row in rows(line))))
        found += [f"  ! {change}" for change in changes(line)]
    return found


TREND_FORMATS = {"trend.html": render_html, "trend.md": render_markdown, "trend.json": render_json}
