"""Runs of one scenario on several designs in one page: what differs first, on the same axes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from experiment.scenario import PHASES
from experiment.verdict import Verdict
from measurement.analysis import JourneyPhase, Timeline
from reports import buckets, plot_data, svg, wording
from reports.cases import Case, Outcome
from reports.html import render_page, script
from reports.objective_lines import ALL, ObjectiveLine, objective_lines
from reports.report import RunReport
from reports.timeline_plots import beside

SHOWN = {"good share": 0.01, "p50": 0.1, "p95": 0.1, "p99": 0.1}  # least difference: absolute, or relative


@dataclass(frozen=True, slots=True)
class Side:
    """One run of the page."""

    report: RunReport
    link: str  # from the page to the page of the run
    switches: tuple[str, ...] = ()  # in what its design differs from that of the first run

    @property
    def name(self) -> str:
        return self.report.facts.design.name


@dataclass(frozen=True, slots=True)
class Row:
    """One figure or judgement of every run. `apart`: how far apart they are; 0: they agree."""

    what: str
    cells: tuple[str, ...]
    apart: float
    classes: tuple[str, ...] = ()  # of the style sheet, one a cell


def named(sides: Sequence[Side]) -> list[str]:
    """The designs; with a number where two runs are of the same one."""
    names = [side.name for side in sides]
    return [f"{name} ({place})" if names.count(name) > 1 else name for place, name in enumerate(names, 1)]


def render_beside(sides: Sequence[Side]) -> str:
    """The page of two runs or more of one scenario."""
    names = named(sides)
    reports = [side.report for side in sides]
    judged = list(_judged(reports))
    figures = sorted(_figures(reports), key=lambda row: -row.apart)
    lines = [{one.journey: one for one in report.analysis.timelines} for report in reports]
    first = reports[0]
    objectives = objective_lines(first.analysis, first.phases)
    faults = [window for report in reports for window in report.analysis.faults]
    journeys = list(dict.fromkeys(one.journey for run in lines for one in run.values() if one.journey != ALL))
    drawn = _panels(lines, journeys, names, objectives)
    length = max((len(run[ALL].offered) for run in lines if ALL in run), default=0)
    data = plot_data.document(drawn, faults, first.phases, float(length))
    return render_page(
        "beside.html",
        sides=list(zip(sides, names, strict=True)),
        title=first.facts.scenario.title or first.facts.scenario.name,
        scenario=first.facts.scenario.name,
        warnings=list(_warnings(reports)),
        summary=list(_summary(reports)),
        differing=[row for row in judged if row.apart],
        agreeing=[row for row in judged if not row.apart],
        figures=[row for row in figures if row.apart],
        same=[row for row in figures if not row.apart],
        names=names,
        data=plot_data.block(data) if length else None,
        script=script() if length else None,
        plot=beside(lines, names, faults, first.phases, objectives),
    )


def _warnings(reports: Sequence[RunReport]) -> Iterable[str]:
    """What makes a difference between runs mean less than it seems."""
    sources = dict.fromkeys(report.header.source for report in reports)
    if len(sources) > 1:
        yield f"The runs are of different kinds ({', '.join(sources)}): a prediction beside a measurement"
    if len({report.header.seed for report in reports}) > 1:
        yield "The runs have different seeds: their loads and faults are not the same"
    if len({report.facts.scenario.load for report in reports}) > 1:
        yield "The runs had different loads"
    if any(report.analysis.verdict is Verdict.INVALID for report in reports):
        yield "An invalid run shows nothing: its figures are no ground to choose a design"
    yield "One run of each design: codeblue compare plays several, and says how sure a difference is"


def _summary(reports: Sequence[RunReport]) -> Iterable[Row]:
    analyses = [report.analysis for report in reports]
    verdicts = tuple(one.verdict.value for one in analyses)
    yield Row("why", tuple(wording.headline(one) for one in analyses), 1.0)
    yield Row("score", tuple(wording.score_short(one.score) for one in analyses), 1.0, verdicts)
    yield Row("recovery", tuple(wording.recovery_text(one.recovery) for one in analyses), 1.0)
    parts = ", ".join(wording.PART_NAMES)
    yield Row(f"parts of the score ({parts})", tuple(_parts(report) for report in reports), 1.0)


def _parts(report: RunReport) -> str:
    parts = report.analysis.score.parts
    told = ("–" if parts.get(name) is None else f"{parts[name]:.2f}" for name in wording.PART_NAMES)
    return ", ".join(told)


def _judged(reports: Sequence[RunReport]) -> Iterable[Row]:
    """Properties and objectives, those on which the runs differ in the order of gravity."""
    cases: list[Mapping[str, Case]] = [
        {case.name: case for case in report.cases if case.kind != "validity"} for report in reports
    ]
    place = {outcome: number for number, outcome in enumerate(Outcome)}
    names = dict.fromkeys(name for held in cases for name in held)

    def row(name: str) -> Row:
        found = [held.get(name) for held in cases]
        outcomes = [case.outcome if case else None for case in found]
        told = tuple(
            f"{case.outcome}: {case.statement}" if case else "not part of this run" for case in found
        )
        worst = min(place[one] for one in outcomes if one is not None)
        apart = 0.0 if len(set(outcomes)) == 1 else float(len(place) - worst)
        return Row(name, told, apart, tuple(CLASSES.get(one, "information") for one in outcomes))

    return sorted(map(row, names), key=lambda one: -one.apart)


CLASSES: dict[Outcome | None, str] = {
    Outcome.PASSED: "pass",
    Outcome.FAILED: "fail",
    Outcome.ERROR: "invalid",
    Outcome.NOT_EXERCISED: "inconclusive",
}


def _figures(reports: Sequence[RunReport]) -> Iterable[Row]:
    """Good answers and latencies of each journey in each phase."""
    rows = [{(one.phase, one.journey): one for one in report.analysis.journeys} for report in reports]
    order = {name: place for place, name in enumerate(PHASES)}
    keys = sorted({key for held in rows for key in held}, key=lambda key: (order.get(key[0], 99), key[1]))
    wanted: list[tuple[str, Callable[[JourneyPhase], float | None], Callable[[float], str]]] = [
        ("good share", lambda one: one.good / one.offered if one.offered else None, wording.percent),
        ("p50", lambda one: one.p50, wording.duration),
        ("p95", lambda one: one.p95, wording.duration),
        ("p99", lambda one: one.p99, wording.duration),
    ]
    for phase, journey in keys:
        for name, value, told in wanted:
            held = [one.get((phase, journey)) for one in rows]
            values = [None if one is None else value(one) for one in held]
            if all(one is None for one in values):
                continue
            cells = tuple("–" if one is None else told(one) for one in values)
            yield Row(f"{journey} {name}, {phase.replace('_', ' ')}", cells, _apart(name, values))


def _apart(name: str, values: Sequence[float | None]) -> float:
    """How far the largest is from the smallest, between 0 and 1; below what is worth a look it is 0."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return 0.0
    low, high = min(known), max(known)
    apart = high - low if name == "good share" else (high - low) / high if high else 0.0
    return apart if apart >= SHOWN[name] else 0.0


def _panels(
    lines: Sequence[Mapping[str, Timeline]],
    journeys: Sequence[str],
    names: Sequence[str],
    objectives: Sequence[ObjectiveLine],
) -> list[dict[str, object]]:
    """One line a run in each panel, each run in its own colour and dash."""
    length = max((len(run[ALL].offered) for run in lines if ALL in run), default=0)
    step = buckets.stride(max(1, length))
    middles = [float(t) for t in buckets.middles(length, step)]

    def of(
        title: str, unit: plot_data.Unit, journey: str, figure: str, *, half: bool = False
    ) -> dict[str, object]:
        series = [
            plot_data.line(
                name,
                plot_data.thinned(getattr(run[journey], figure), step, "min" if figure == "q" else "max"),
                svg.SERIES[place % len(svg.SERIES)],
                dash=plot_data.DASHED[place % len(plot_data.DASHED)],
                spans=figure == "q",
            )
            for place, (run, name) in enumerate(zip(lines, names, strict=True))
            if journey in run
        ]
        bounds = [
            one for one in objectives if figure == "p95" == one.figure and journey in (ALL, one.journey)
        ]
        padded = [_padded(one, len(middles)) for one in series]
        return plot_data.panel(title, unit, middles, padded, bounds, half=half)

    whole = [
        of("quality Q", "share", ALL, "q"),
        of("good operations/s", "rate", ALL, "good"),
        of("p95", "seconds", ALL, "p95"),
        of("errors/s", "rate", ALL, "errors"),
    ]
    return whole + [of(f"p95 of {name}", "seconds", name, "p95", half=True) for name in journeys]


def _padded(series: Mapping[str, Any], length: int) -> dict[str, Any]:
    """A run that ended sooner has no figures where the other goes on."""
    return {**series, "values": [*series["values"], *[None] * length][:length]}
