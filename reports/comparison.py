"""What a comparison of designs is made of, and its renderers: a page, Markdown and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from measurement.statistics import Estimate, MedianTime, PairedDifference, Share
from reports import html
from reports.comparison_plots import Cell, Interval, Point, heat_map, interval_plot, pareto
from reports.repeats import mean_text, rate_text, recovery_text, score_text, time_text
from reports.wording import clean, duration, percent


@dataclass(frozen=True, slots=True)
class DesignInScenario:
    """One design in one scenario over all seeds. `score` is None when no run was scored. `duplicates` counts
    charges, `duplicated` the runs that have any; `stale_s` is the largest lag of all runs, `staleness` the
    mean of the runs' largest. Costs are as in `DesignSummary`."""

    scenario: str
    design: str
    runs: int
    invalid: int
    vetoes: int
    score: Estimate | None
    recovery: MedianTime | None
    duplicates: int
    duplicated: Share | None
    stale_s: float | None
    staleness: Estimate | None
    calls: Estimate | None
    cpu_ms: Estimate | None
    baseline_p95_s: Estimate | None


@dataclass(frozen=True, slots=True)
class DesignSummary:
    """One design over all scenarios. Costs: calls between services and CPU for each client operation, and p95
    in the baseline (of merged runs). The unit of every interval but that of `duplicated` (runs) is the seed,
    as of the score: costs differ between scenarios, which is no uncertainty."""

    design: str
    title: str
    score: Estimate | None
    vetoes: int
    invalid: int
    duplicates: int
    duplicated: Share | None
    stale_s: float | None
    staleness: Estimate | None
    calls: Estimate | None
    cpu_ms: Estimate | None
    baseline_p95_s: Estimate | None


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

    format: Literal[2]
    kind: Literal["comparison"]
    report: ComparisonReport


def render_json(report: ComparisonReport) -> str:
    """Schema: docs/schemas/comparison.schema.json."""
    document = ComparisonDocument(2, "comparison", report)
    return msgspec.json.format(msgspec.json.encode(document), indent=1).decode() + "\n"


def comparison_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of what `render_json` writes."""
    schema = msgspec.json.schema(ComparisonDocument)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _figures(of: DesignInScenario | DesignSummary) -> list[str]:
    """Safety and costs, in the order of FIGURES."""
    return [
        _duplicates(of.duplicates, of.duplicated),
        _staleness(of.stale_s, of.staleness),
        mean_text(of.calls, digits=2),
        mean_text(of.cpu_ms, " ms"),
        time_text(of.baseline_p95_s),
    ]


def _duplicates(count: int, share: Share | None) -> str:
    """`3 in 2 of 5 runs (5.3% to 85.3%)`."""
    if share is None:
        return "–"
    return f"{count} in {share.runs} of {share.n} runs ({percent(share.low)} to {percent(share.high)})"


def _staleness(largest: float | None, mean: Estimate | None) -> str:
    """`120 ms (80 ms to 160 ms), at most 170 ms`."""
    return "–" if largest is None else f"{time_text(mean)}, at most {duration(largest)}"


def cell_row(cell: DesignInScenario) -> list[str]:
    """The figures of one cell as text, in the order of CELL_HEAD."""
    return [
        cell.scenario,
        cell.design,
        str(cell.runs),
        score_text(cell.score),
        rate_text(cell.vetoes, cell.runs),
        str(cell.invalid),
        recovery_text(cell.recovery),
        *_figures(cell),
    ]


FIGURES = (
    *("duplicates (95%)", "staleness (95%)", "calls / op (95%)", "CPU / op (95%)"),
    "baseline p95 (95%)",
)
CELL_HEAD = (
    *("scenario", "design", "runs", "score (95%)", "vetoes (95%)", "invalid", "recovered in (95%)"),
    *FIGURES,
)
DESIGN_HEAD = ("design", "score (95%)", "vetoes", "invalid", *FIGURES)


def design_row(design: DesignSummary) -> list[str]:
    """The figures of one design as text, in the order of DESIGN_HEAD."""
    return [
        design.design,
        score_text(design.score),
        str(design.vetoes),
        str(design.invalid),
        *_figures(design),
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
        Point(d.design, paid.mean, d.score.mean, d.score.low, d.score.high, d.vetoes > 0)
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
