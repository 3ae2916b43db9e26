"""What a comparison of designs is made of, and its renderers: a page, Markdown and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from measurement.statistics import Estimate, MedianTime, PairedDifference
from reports import html
from reports.comparison_plots import Cell, Interval, Point, heat_map, interval_plot, pareto
from reports.repeats import recovery_text, score_text
from reports.wording import clean, duration


@dataclass(frozen=True, slots=True)
class DesignInScenario:
    """One design in one scenario over all seeds. `score` is None when no run was scored."""

    scenario: str
    design: str
    runs: int
    invalid: int
    vetoes: int
    score: Estimate | None
    recovery: MedianTime | None
    duplicates: int
    stale_s: float | None
    calls: float | None
    cpu_ms: float | None
    baseline_p95_s: float | None


@dataclass(frozen=True, slots=True)
class DesignSummary:
    """One design over all scenarios. Costs are means over runs: calls between services and CPU for each
    client
    operation, p95 in the baseline."""

    design: str
    title: str
    score: Estimate | None
    vetoes: int
    invalid: int
    calls: float | None
    cpu_ms: float | None
    baseline_p95_s: float | None


@dataclass(frozen=True, slots=True)
class EffectSize:
    """A design against the first one, in points of score, paired by seed; `scenario` "all" is the mean of
    all."""

    scenario: str
    design: str
    against: str
    difference: PairedDifference


@dataclass(frozen=True, slots=True)
class ComparisonReport:
    """`words` say what the winner wins and pays. `sources` are the runtimes of the runs."""

    name: str
    started_at: str
    command: str
    sources: tuple[str, ...]
    scenarios: tuple[str, ...]
    designs: tuple[DesignSummary, ...]
    cells: tuple[DesignInScenario, ...]
    effects: tuple[EffectSize, ...]
    words: tuple[str, ...]
    screened: tuple[str, ...] = ()  # designs that the simulation left out, with why
    machine: Mapping[str, str] | None = None
    git: str = ""
    unclean: tuple[str, ...] = ()  # folders of runs after which something was left injected


@dataclass(frozen=True, slots=True)
class ComparisonDocument:
    """comparison.json. `format` counts up when a reader would have to change."""

    format: Literal[1]
    kind: Literal["comparison"]
    report: ComparisonReport


def render_json(report: ComparisonReport) -> str:
    """Schema: docs/schemas/comparison.schema.json."""
    document = ComparisonDocument(1, "comparison", report)
    return msgspec.json.format(msgspec.json.encode(document), indent=1).decode() + "\n"


def comparison_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of what `render_json` writes."""
    schema = msgspec.json.schema(ComparisonDocument)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _figure(value: float | None, unit: str = "", digits: int = 1) -> str:
    return "–" if value is None else f"{value:.{digits}f}{unit}"


def cell_row(cell: DesignInScenario) -> list[str]:
    """The figures of one cell as text, in the order of CELL_HEAD."""
    return [
        cell.scenario,
        cell.design,
        str(cell.runs),
        score_text(cell.score),
        str(cell.vetoes),
        str(cell.invalid),
        recovery_text(cell.recovery),
        str(cell.duplicates),
        "–" if cell.stale_s is None else duration(cell.stale_s),
        _figure(cell.calls, digits=2),
        _figure(cell.cpu_ms, " ms"),
        "–" if cell.baseline_p95_s is None else duration(cell.baseline_p95_s),
    ]


CELL_HEAD = (
    *("scenario", "design", "runs", "score (95%)", "vetoes", "invalid", "recovered in", "duplicates"),
    *("staleness", "calls / op", "CPU / op", "baseline p95"),
)
DESIGN_HEAD = ("design", "score (95%)", "vetoes", "invalid", "calls / op", "CPU / op", "baseline p95")


def design_row(design: DesignSummary) -> list[str]:
    """The figures of one design as text, in the order of DESIGN_HEAD."""
    return [
        design.design,
        score_text(design.score),
        str(design.vetoes),
        str(design.invalid),
        _figure(design.calls, digits=2),
        _figure(design.cpu_ms, " ms"),
        "–" if design.baseline_p95_s is None else duration(design.baseline_p95_s),
    ]


def effect_text(effect: EffectSize) -> str:
    """`resilient against fragile in all: +31.0 points (95%: +28.0 to +34.0), d 6.1 over 5 pairs`."""
    d = effect.difference
    interval = "" if d.low is None else f" (95%: {d.low:+.1f} to {d.high:+.1f})"
    size = "" if d.effect_size is None else f", d {d.effect_size:.1f}"
    where = f"{effect.design} against {effect.against} in {effect.scenario}"
    return f"{where}: {d.mean:+.1f} points{interval}{size} over {d.n} pairs"


def render_markdown(report: ComparisonReport) -> str:
    """For a pull request or a wiki."""
    said = (*report.screened, *report.words, *_left(report))
    lines = [f"# Comparison {report.name}", "", *(f"- {words}" for words in said), ""]
    lines += _table(DESIGN_HEAD, [design_row(design) for design in report.designs])
    lines += ["", *_table(CELL_HEAD, [cell_row(cell) for cell in report.cells]), ""]
    lines += [f"- {effect_text(effect)}" for effect in report.effects]
    lines += ["", f"Runtime: {', '.join(report.sources)}. Again: `{report.command}`", ""]
    return "\n".join(lines)


def _left(report: ComparisonReport) -> list[str]:
    return [f"Clean-up was not complete after {', '.join(report.unclean)}."] if report.unclean else []


def _table(head: tuple[str, ...], rows: list[list[str]]) -> list[str]:
    def line(fields: list[str]) -> str:
        return "| " + " | ".join(field.replace("|", "\\|") for field in fields) + " |"

    return [line(list(head)), "|" + "---|" * len(head), *(line(row) for row in rows)]


def _points(report: ComparisonReport) -> tuple[str, list[Point]]:
    """Cost with its unit, and a point a design; where CPU is not measured (simulated runs), calls are the
    cost."""
    measured = any(design.cpu_ms is not None for design in report.designs)
    cost = (
        "CPU of all services per client operation (ms)"
        if measured
        else "calls between services per operation"
    )
    return cost, [
        Point(d.design, paid, d.score.mean, d.score.low, d.score.high, d.vetoes > 0)
        for d in report.designs
        if d.score is not None and (paid := d.cpu_ms if measured else d.calls) is not None
    ]


def render_html(report: ComparisonReport) -> str:
    """One self-contained page: heat map, Pareto plot, intervals, tables."""
    cells = {
        (cell.scenario, cell.design): Cell(
            cell.score.mean if cell.score else None, score_text(cell.score), cell.vetoes > 0
        )
        for cell in report.cells
    }
    names = [design.design for design in report.designs]
    cost, points = _points(report)
    intervals = [
        Interval(effect.design, d.mean, d.low, d.high)
        for effect in report.effects
        if effect.scenario == "all" and (d := effect.difference).low is not None and d.high is not None
    ]
    return html.render_page(
        "comparison.html",
        report=report,
        heat=heat_map(list(report.scenarios), names, cells),
        pareto=pareto(points, cost) if points else "",
        intervals=interval_plot(intervals, "points of score") if intervals else "",
        design_head=DESIGN_HEAD,
        design_rows=[design_row(design) for design in report.designs],
        cell_head=CELL_HEAD,
        cell_rows=[cell_row(cell) for cell in report.cells],
        effects=[effect_text(effect) for effect in report.effects],
    )


def lines(report: ComparisonReport) -> list[str]:
    """For the terminal: designs, cells, words."""
    heads = [list(DESIGN_HEAD), list(CELL_HEAD)]
    blocks = [[design_row(d) for d in report.designs], [cell_row(cell) for cell in report.cells]]
    found: list[str] = []
    for head, rows in zip(heads, blocks, strict=True):
        wide = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
        found += ["  ".join(f"{v:<{w}}" for v, w in zip(row, wide, strict=True)) for row in (head, *rows)]
        found.append("")
    return [clean(line.rstrip()) for line in (*found, *report.screened, *report.words, *_left(report))]


COMPARISON_FORMATS = {
    "comparison.html": render_html,
    "comparison.md": render_markdown,
    "comparison.json": render_json,
}
