"""The page of a run and of a suite: one file each, which loads nothing from elsewhere.

The page of a run has one script, allowed by its digest; without it the page shows drawings."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from experiment.plain_text import clean
from experiment.units import noun
from experiment.verdict import CheckResult, Verdict, Violation, worst
from reports import buckets, plot_data, svg, wording
from reports.cases import Case, Outcome, count_text
from reports.objective_lines import objective_lines
from reports.plots_over_runs import Cell, heat_map
from reports.repeats import REPEATED_HEAD, repeated_row
from reports.report import RunReport, SuiteEntry, SuiteReport
from reports.sequences import KeySequence, sequence_chart
from reports.system_map import drawing
from reports.timeline_plots import journeys, timelines
from reports.traces import waterfall

MAX_FAULTS = 8
MAX_VIOLATIONS = 10
OPEN_VIOLATIONS = 3
MAX_CHECK_EVIDENCE_COLUMNS = 14
SPAN_COLOURS = {"operation": svg.MUTED, "client": svg.SKY, "producer": svg.GREEN, "consumer": svg.GREEN}
CLASSES = {  # of the style sheet
    Outcome.PASSED: "pass",
    Outcome.FAILED: "fail",
    Outcome.ERROR: "invalid",
    Outcome.NOT_EXERCISED: "inconclusive",
    Outcome.INFORMATION: "information",
}
WORDING = (
    *("at", "by_phase", "duration", "errors_text", "evidence_value", "figure", "headline", "moment"),
    *(
        "interval_text",
        "number",
        "percent",
        "localisation_text",
        "pressure_text",
        "recovery_text",
        "score_text",
        "score_short",
        "scores_before_text",
        "waiver_text",
        "worst_text",
        "calibration_text",
        "wall",
    ),
)


@cache
def _pages() -> Environment:
    """Escapes everything but our own drawings. An unknown name is an error, not an empty text."""
    environment = Environment(
        loader=FileSystemLoader([Path(__file__).parent / "templates", Path(__file__).parent / "vendor"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: clean(value) if type(value) is str else value,
    )
    environment.filters["unbroken"] = wording.unbroken
    environment.globals.update(
        marks=wording.VERDICT_MARKS,
        classes=CLASSES,
        sources=wording.SOURCES,
        time_columns=("t", "intended", "sent", "ended"),
        evidence_tables=evidence_tables,
        noun=noun,
        svg=svg,
        span_colours=SPAN_COLOURS,
        plot_rules=svg.rules(),
        policy=policy,
        **{name: getattr(wording, name) for name in WORDING},
    )
    return environment


@cache
def script() -> str:
    """The one script of a page: the plotting library with its licence, and what draws with it."""
    folder = Path(__file__).parent
    texts = (
        f"/*\n{(folder / 'vendor' / 'uPlot.LICENSE').read_text(encoding='utf-8')}\n*/",
        (folder / "vendor" / "uPlot.iife.min.js").read_text(encoding="utf-8"),
        (folder / "templates" / "plots.js").read_text(encoding="utf-8"),
    )
    return "\n".join(texts)


def policy(*scripts: str) -> str:
    """What a page may do: nothing but show itself, and run these very scripts."""
    hashes = (b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts)
    runs = " ".join(f"'sha256-{one}'" for one in hashes)
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src data:{'; script-src ' if runs else ''}{runs}"
    )


def render_page(template: str, **values: Any) -> str:
    """Any other page of ours, from the template of that name."""
    return _pages().get_template(template).render(**values)


def render_run(report: RunReport) -> str:
    """The page of one run."""
    analysis = report.analysis
    whole = next((line for line in analysis.timelines if line.journey == "all"), None)
    objectives = objective_lines(analysis, report.phases)
    drawn = (analysis.timelines, analysis.faults, report.phases, objectives)
    figures = plot_data.figures(*drawn)
    ordered = ordered_checks(report)
    return (
        _pages()
        .get_template("run.html")
        .render(
            report=report,
            timeline=timelines(*drawn),
            journey_plot=journeys(*drawn),
            stride=buckets.stride(len(whole.offered)) if whole else 1,
            validity=[case for case in report.cases if case.kind == "validity"],
            objectives=[case for case in report.cases if case.kind == "objective"],
            checks=[one for one in ordered if not aside(*one)],
            aside=[one for one in ordered if aside(*one)],
            counted=count_text(report.cases),
            waterfalls=[(trace, waterfall(trace)) for trace in report.traces],
            place_of=_place_of(report),
            figures=None if figures is None else plot_data.block(figures),
            script=None if figures is None else script(),
            map_drawing="" if report.map is None else drawing(report.map),
            charts=_charts(report),
            provenance=run_provenance(report),
            part_names=wording.PART_NAMES,
            max_faults=MAX_FAULTS,
            max_violations=MAX_VIOLATIONS,
            open_violations=OPEN_VIOLATIONS,
        )
    )


@dataclass(frozen=True, slots=True)
class Chart:
    """What happened to the key of one violation, as a drawing, and what stands beside it."""

    sequence: KeySequence
    picture: str
    traces: tuple[int, ...]  # places of its traces on the page


def _charts(report: RunReport) -> dict[tuple[str, str], Chart]:
    """By property and key, with those of its traces that the page shows."""
    places: dict[str, int] = {}
    for place, trace in enumerate(report.traces, 1):
        places.setdefault(trace.operation.trace, place)
    found: dict[tuple[str, str], Chart] = {}
    for one in report.sequences:
        picture = sequence_chart(one, report.analysis.faults, places)
        kept = tuple(places[name] for name in one.traces if name in places)
        found[one.checker, one.key] = Chart(one, picture, kept)
    return found


def _place_of(report: RunReport) -> Callable[[Violation], int]:
    """The place, from 1, of the trace shown of a violation: by its evidence, else by its key; 0 where none
    is."""
    shown = list(enumerate((trace.operation for trace in report.traces), 1))
    by_trace = {one.trace: place for place, one in reversed(shown)}
    by_key = {one.key: place for place, one in reversed(shown) if one.why.startswith("violates ")}

    def place_of(violation: Violation) -> int:
        named = (by_trace.get(str(row.get("trace")), 0) for row in violation.evidence)
        return next(filter(None, named), by_key.get(violation.key, 0))

    return place_of


@cache
def _polling() -> str:
    return (Path(__file__).parent / "templates" / "live.js").read_text(encoding="utf-8")


@cache
def live_policy() -> str:
    """As a header, too: no other page may frame this one, so that somebody presses its button unseen."""
    own = policy(script(), _polling())
    return f"{own}; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


@cache
def render_live() -> str:
    """The page, which asks for its figures once a second."""
    rules = live_policy().removesuffix("; frame-ancestors 'none'")  # a header alone may say so
    return render_page("live.html", script=script(), polling=_polling(), rules=rules)


def render_suite(suite: SuiteReport) -> str:
    """The page of one suite, with links to the pages of its runs."""
    grid: dict[tuple[str, str], list[SuiteEntry]] = {}
    titles: dict[str, str] = {}
    for entry in suite.entries:
        grid.setdefault((entry.scenario, entry.design), []).append(entry)
        titles[entry.scenario] = titles.get(entry.scenario) or (entry.summary.title if entry.summary else "")
    designs = list(dict.fromkeys(entry.design for entry in suite.entries))
    cells = {pair: _cell(entries) for pair, entries in grid.items()}
    return (
        _pages()
        .get_template("suite.html")
        .render(
            suite=suite,
            verdict_word=suite.verdict.value,
            heat=heat_map(list(titles), designs, cells),
            scenarios=list(titles.items()),
            designs=designs,
            grid=grid,
            grouped=grouped,
            repeated_head=REPEATED_HEAD,
            repeated_rows=[repeated_row(entry) for entry in suite.repeated],
            simulated=sum(1 for e in suite.entries if e.summary and e.summary.source == "simulation"),
            provenance=_provenance(suite.git, suite.versions, suite.machine),
        )
    )


def grouped(entries: Iterable[SuiteEntry]) -> list[list[SuiteEntry]]:
    """Repeats that came out alike in one group each, the unexpected ones first."""
    alike: dict[tuple[object, ...], list[SuiteEntry]] = {}
    for entry in entries:
        run = entry.summary
        alike.setdefault((entry.met, run and run.verdict, run and run.vetoed), []).append(entry)
    return sorted(alike.values(), key=lambda group: group[0].met)


def _cell(entries: Sequence[SuiteEntry]) -> Cell:
    runs = [entry.summary for entry in entries if entry.summary is not None]
    scores = [run.score for run in runs if run.score is not None]
    vetoed = any(run.vetoed for run in runs)
    verdict = worst(run.verdict for run in runs).value
    if not scores:
        return Cell(None, "not run" if not runs else runs[0].verdict.value)
    mean = sum(scores) / len(scores)
    mark = wording.VERDICT_MARKS[Verdict(verdict)]
    return Cell(mean, f"{mark} {mean:.0f}" + (" veto" if vetoed else ""), vetoed, verdict)


def evidence_tables(
    rows: Iterable[Mapping[str, Any]],
) -> list[tuple[str, list[str], list[Mapping[str, Any]]]]:
    """One table for each type of row (records of a store, operations of the client): title, columns, rows."""
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        kinds.setdefault(str(row.get("type", "")), []).append(row)
    return [(kind, [c for c in evidence_columns(held) if c != "type"], held) for kind, held in kinds.items()]


def evidence_columns(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The columns of evidence in order of first appearance, without those that are empty throughout."""
    names: dict[str, None] = {}
    for row in rows:
        names.update(dict.fromkeys(name for name, value in row.items() if value is not None))
    return list(names)[:MAX_CHECK_EVIDENCE_COLUMNS]


def ordered_checks(report: RunReport) -> list[tuple[Case, CheckResult]]:
    """What went wrong first, then what the scenario asks for, safety before the rest."""
    checks = {check.checker: check for check in report.analysis.checks}
    asked = set(report.facts.scenario.invariants)
    place = {outcome: number for number, outcome in enumerate(Outcome)}

    def rank(case: Case) -> tuple[object, ...]:
        wrong = case.outcome in (Outcome.ERROR, Outcome.FAILED)
        return not wrong, case.name not in asked, place[case.outcome], case.kind != "safety", case.name

    cases = [case for case in report.cases if case.kind in ("safety", "liveness")]
    return [(case, checks[case.name]) for case in sorted(cases, key=rank)]


def aside(case: Case, check: CheckResult) -> bool:
    """Whether nothing of the run could have gone against it and nobody asked for it: it is folded away."""
    return case.outcome is Outcome.INFORMATION and check.exposed == 0 and not check.violations


def run_provenance(report: RunReport) -> dict[str, str]:
    """Where and with what a run was made, for its last table."""
    header = report.header
    machine = report.analysis.machine
    own = {
        "run": header.run_id,
        "started": header.started_at,
        "system": header.system,
        "scenario file": report.facts.scenario.file,
        "population": header.population,
        "clock scale": "" if header.clock_scale == 1 else f"{header.clock_scale:g}",
        "use of the machine": "" if machine is None else wording.machine_text(machine),
        "ended": "cut off" if report.end is None else f"{report.end.reason} at {wording.at(report.end.t)}. "
        + report.end.statement,
    }  # fmt: skip
    shown = {name: value for name, value in own.items() if value}
    return shown | _provenance(header.git, header.versions, report.facts.machine)


def _provenance(git: str, versions: Mapping[str, str], machine: Mapping[str, str]) -> dict[str, str]:
    rows = {"commit": git} if git else {}
    rows |= dict(machine)
    if versions:
        rows["versions"] = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    return rows
