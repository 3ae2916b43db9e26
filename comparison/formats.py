"""A comparison of designs as a page, Markdown, JSON and lines for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from comparison.report import ComparedRun, ComparisonReport
from comparison.words import Table as Figures
from comparison.words import effect_text, tables
from experiment.tables import Table
from reports import html
from reports.markdown import code, table, text
from reports.plots_over_runs import Cell, Interval, Point, heat_map, interval_plot, pareto
from reports.repeats import score_text
from reports.schemas import document_schema, document_text
from reports.wording import VERDICT_MARKS

GROUPS = ("All scenarios", "Each scenario")


@dataclass(frozen=True, slots=True)
class ComparisonDocument:
    """The file comparison.json; `format` counts up when a reader would have to change."""

    format: Literal[3]  # the version of this format; it counts up when a reader would have to change
    kind: Literal["comparison"]  # always `comparison`, which tells documents apart
    report: ComparisonReport  # the whole report


def render_json(report: ComparisonReport) -> str:
    """Schema: docs/schemas/comparison.schema.json."""
    document = ComparisonDocument(3, "comparison", report)
    return document_text(document)


def comparison_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of what `render_json` writes."""
    return document_schema(ComparisonDocument)


def render_markdown(report: ComparisonReport) -> str:
    """For a pull request or a wiki."""
    said = (*report.alike, *report.screened, *report.words, *_left(report))
    lines = [f"# Comparison {text(report.name)}", "", *(f"- {text(words)}" for words in said), ""]
    for title, group in zip(GROUPS, tables(report), strict=True):
        for one in _filled(group):
            head = f"## {title}: {one.title.lower()}"
            lines += [head, "", *table(one.head, [tuple(map(text, row)) for row in one.rows]), ""]
    lines += [f"- {text(effect_text(effect))}" for effect in report.effects]
    for other in report.differences:
        shown = [tuple(map(text, (row.what, row.first, row.other))) for row in other.differences]
        title = f"## What {text(other.design)} does otherwise"
        lines += ["", title, "", *table(("", other.against, other.design), shown)]
    lines += ["", "## Runs", "", *table(("scenario", "design", "runs"), _runs(report))]
    sources = text(", ".join(report.sources))
    return "\n".join([*lines, "", f"Runtime: {sources}. Again: {code(report.command)}", ""])


def _runs(report: ComparisonReport) -> list[tuple[str, str, str]]:
    """Each run with its verdict, as a link to its page."""
    return [
        (
            text(cell.scenario),
            text(cell.design),
            ", ".join(map(_link, cell.verdicts)),
        )
        for cell in report.cells
    ]


def _link(run: ComparedRun) -> str:
    veto = " veto" if run.vetoed else ""
    return f"[seed {run.seed} {VERDICT_MARKS[run.verdict]}{veto}]({quote(run.link)})"


def _filled(group: Sequence[Figures]) -> list[Figures]:
    """Without tables that have nothing to say."""
    return [one for one in group if one.rows]


def _left(report: ComparisonReport) -> list[str]:
    return [f"Clean-up was not complete after {', '.join(report.unclean)}."] if report.unclean else []


def _points(report: ComparisonReport) -> tuple[str, list[Point]]:
    """Cost with its unit, and a point a design; where CPU is not measured (simulated runs), calls are the
    cost."""
    scored = [design for design in report.designs if design.score is not None]
    measured = bool(scored) and all(design.cpu_ms is not None for design in scored)
    cost = (
        "CPU of all services per client operation (ms)"
        if measured
        else "calls between services per operation"
    )
    return cost, [
        Point(d.design, paid.mean, d.score.mean, d.score.low, d.score.high, d.vetoes > 0)
        for d in scored
        if d.score is not None and (paid := d.cpu_ms if measured else d.calls) is not None
    ]


def render_html(report: ComparisonReport) -> str:
    """One self-contained page: heat map, Pareto plot, intervals, tables."""
    cells = {
        (cell.scenario, cell.design): Cell(
            cell.score.mean if cell.score else None,
            f"{VERDICT_MARKS[cell.verdict]} {score_text(cell.score)}",
            cell.vetoes > 0,
            cell.verdict.value,
        )
        for cell in report.cells
    }
    names = [design.design for design in report.designs]
    cost, points = _points(report)
    intervals = [
        Interval(f"{effect.design} against {effect.against}", d.mean, d.low, d.high)
        for effect in report.effects
        if effect.scenario == "all" and (d := effect.difference).low is not None and d.high is not None
    ]
    return html.render_page(
        "comparison.html",
        report=report,
        heat=heat_map(list(report.scenarios), names, cells),
        pareto=pareto(points, cost) if points else "",
        not_drawn=[d.design for d in report.designs if d.design not in {point.label for point in points}],
        cells={(cell.scenario, cell.design): cell for cell in report.cells},
        intervals=interval_plot(intervals, "points of score") if intervals else "",
        tables=[_filled(group) for group in tables(report)],
        left=tuple(_left(report)),
        effects=[effect_text(effect) for effect in report.effects],
    )


def said(report: ComparisonReport) -> list[str | Table]:
    """For the terminal: tables, words."""
    titled = [(t, one) for t, group in zip(GROUPS, tables(report), strict=True) for one in _filled(group)]
    found: list[str | Table] = []
    for title, one in titled:
        found += [Table(f"{title}: {one.title.lower()}", tuple(one.head), one.rows), ""]
    return [*found, *report.alike, *report.screened, *report.words, *_left(report)]


COMPARISON_FORMATS = {
    "comparison.html": render_html,
    "comparison.md": render_markdown,
    "comparison.json": render_json,
}
