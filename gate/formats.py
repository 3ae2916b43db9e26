"""What a release gate says, in every form that a pipeline reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote
from xml.etree import ElementTree

from experiment.plain_text import Ours
from experiment.units import noun, signed
from gate.decide import Decision, Finding
from gate.flags import FigureFlag, figure_text
from gate.report import GateReport, GateRun
from gate.sarif import render_sarif
from measurement.statistics import Estimate
from reports import html
from reports.markdown import code, table, text
from reports.plots_over_runs import Interval, interval_plot
from reports.repeats import score_text
from reports.schemas import document_schema, document_text

COLOURS = {Decision.PASS: "#2e7d32", Decision.REGRESSION: "#c62828", Decision.INCONCLUSIVE: "#b26a00"}
MARKS = {Decision.PASS: "✓", Decision.REGRESSION: "✗", Decision.INCONCLUSIVE: "?"}
CLASSES = {Decision.PASS: "pass", Decision.REGRESSION: "fail", Decision.INCONCLUSIVE: "inconclusive"}
LEVELS = {Decision.PASS: "notice", Decision.REGRESSION: "error", Decision.INCONCLUSIVE: "error"}


@dataclass(frozen=True, slots=True)
class GateDocument:
    """The file gate.json; `format` counts up when a reader would have to change."""

    format: Literal[1]  # the version of this format; it counts up when a reader would have to change
    kind: Literal["gate"]  # always `gate`, which tells documents apart
    decision: Decision  # the answer of the gate
    sentence: str  # the reason in one sentence
    report: GateReport  # the whole report


def render_json(report: GateReport) -> str:
    """Schema: docs/schemas/gate_report.schema.json."""
    document = GateDocument(1, "gate", report.decision, report.sentence, report)
    return document_text(document)


def gate_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of what `render_json` writes."""
    return document_schema(GateDocument)


def render_markdown(report: GateReport) -> str:
    """For the summary of a pipeline."""
    lines = [
        f"## {MARKS[report.decision]} Resilience gate: {report.decision.value}",
        "",
        f"**{text(report.sentence)}**",
        "",
        f"Candidate {code(report.candidate)} against baseline {code(report.baseline)}, suite "
        f"{code(report.suite)}, {noun(report.pairs, 'complete pair')}. "
        f"Candidate's score {estimate(report.score)}.",
        "",
        *table(
            ("scenario", "points", "95% interval", "pairs", "status"),
            [_marked(_scenario_row(report, name)) for name in _names(report)],
        ),
        "",
    ]
    if report.result.figures:
        heads = ("figure", "candidate / baseline", "95% interval", "tolerated", "worse")
        lines += [*table(heads, [_marked(_figure_row(figure)) for figure in report.result.figures]), ""]
    lines += [f"- {text(line)}" for line in report.evidence]
    lines += [f"- {text(rate.text)}" for rate in report.rates]
    lines += [
        f"- {text(v.scenario)}, seed {v.seed}: {text(v.statement)} ({code(f'{v.file}:{v.line}')})"
        for v in report.violations
    ]
    lines += [f"- ⚠ {text(warning)}" for warning in report.warnings]
    if report.runs:
        lines += ["", *table(("scenario", "seed", "side", "verdict", "score"), map(_run_row, report.runs))]
    return "\n".join([*lines, "", f"Again: {code(report.command)}", ""])


def _run_row(run: GateRun) -> tuple[str, ...]:
    """With a link to its page, which leads there from the gate's folder."""
    word = "vetoed" if run.vetoed else run.verdict.value
    shown = f"[{word}]({quote(run.link)})" if run.link else word
    score = "–" if run.score is None else f"{run.score:.0f}"
    return (text(run.scenario), str(run.seed), run.side, shown, score)


def estimate(score: Estimate | None) -> str:
    """`91 (95%: 88 to 94)`."""
    return "not known" if score is None else score_text(score, "95%: ")


def _names(report: GateReport) -> list[str]:
    """Every scenario that was scored or has a finding."""
    result = report.result
    named = [flag.scenario for flag in result.scenarios] + [found.scenario for found in result.findings]
    return [name for name in dict.fromkeys(named) if name]


def _status(report: GateReport, scenario: str) -> Finding | None:
    """The gravest finding about the scenario; None: nothing speaks against it."""
    mine = [found for found in report.result.findings if found.scenario == scenario]
    return next((found for found in mine if found.unknown is None), mine[0] if mine else None)


def _scenario_row(report: GateReport, scenario: str) -> tuple[str, ...]:
    """Name, points, interval, pairs, and what speaks against it; as plain text."""
    flag = next((flag for flag in report.result.scenarios if flag.scenario == scenario), None)
    status = _status(report, scenario)
    word = "" if status is None else status.decision.value if status.unknown is None else "not known"
    if flag is None:
        return (scenario, "–", "–", "0", word)
    d = flag.difference
    interval = "–" if d.low is None or d.high is None else f"{signed(d.low)} to {signed(d.high)}"
    return (scenario, signed(d.mean), interval, str(d.n), word)


def _marked(row: tuple[str, ...]) -> tuple[str, ...]:
    """In Markdown: a decision in bold."""
    bold = row[-1] in (Decision.REGRESSION.value, "yes")
    return (*map(text, row[:-1]), f"**{row[-1]}**" if bold else row[-1])


def _figure_row(flag: FigureFlag) -> tuple[str, ...]:
    interval = "–" if flag.low is None else f"{flag.low:.2f} to {flag.high:.2f}"
    worse = "yes" if flag.worse else ("not known" if flag.unclear else "")
    return (flag.figure, f"{flag.ratio:.2f}", interval, f"{flag.tolerated:g}", worse)


def render_junit(report: GateReport) -> str:
    """One test case a scenario, as long as its runs were together, one a figure and one for the whole. A
    regression is a failure; inconclusive is an error, or skipped where the policy is to warn."""
    took = f"{report.seconds():.3f}"
    root = ElementTree.Element("testsuites", name="resilience gate", time=took)
    suite = ElementTree.SubElement(
        root, "testsuite", name=report.suite, time=took, timestamp=report.started_at[:19]
    )
    whole = ElementTree.SubElement(suite, "testcase", classname="gate", name="decision", time="0")
    unknown = "skipped" if report.tolerated else "error"
    if report.decision is Decision.REGRESSION:
        ElementTree.SubElement(whole, "failure", message=report.sentence)
    elif report.decision is Decision.INCONCLUSIVE:
        ElementTree.SubElement(whole, unknown, message=report.sentence)
    for name in _names(report):
        seconds = f"{report.seconds(name):.3f}"
        case = ElementTree.SubElement(suite, "testcase", classname="gate", name=name, time=seconds)
        if status := _status(report, name):
            kind = "failure" if status.unknown is None else unknown
            ElementTree.SubElement(case, kind, message=status.sentence)
    for figure in report.result.figures:
        case = ElementTree.SubElement(suite, "testcase", classname="gate", name=figure.figure, time="0")
        if figure.worse or figure.unclear:
            kind = "failure" if figure.worse else unknown
            ElementTree.SubElement(case, kind, message=figure_text(figure))
    suite.set("tests", str(len(suite)))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(len(suite.findall(f"testcase/{tag}"))))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def render_badge(report: GateReport) -> str:
    """A small SVG for a README: the decision and the candidate's score."""
    score = "" if report.score is None else f" {report.score.mean:.0f}"
    return badge("resilience", f"{report.decision.value}{score}", COLOURS[report.decision])


def badge(left: str, right: str, colour: str) -> str:
    """Two fields side by side. Widths are estimated: 6.5 pixels a letter at 11 pixels."""
    widths = [round(6.5 * len(text) + 12) for text in (left, right)]
    total = sum(widths)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="20" role="img" '
        f'aria-label="{left}: {right}">'
        f'<rect width="{widths[0]}" height="20" fill="#555"/>'
        f'<rect x="{widths[0]}" width="{widths[1]}" height="20" fill="{colour}"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{widths[0] / 2:g}" y="14">{left}</text>'
        f'<text x="{widths[0] + widths[1] / 2:g}" y="14">{right}</text></g></svg>\n'
    )


def lines(report: GateReport) -> Sequence[str]:
    """For the terminal."""
    found = [f"gate {report.decision.value.upper()}: {report.sentence}"]
    for name in _names(report):
        points, interval, pairs = _scenario_row(report, name)[1:4]
        between = "" if interval == "–" else f" (95%: {interval})"
        found.append(f"  {name}: {points} points{between}, {noun(int(pairs), 'pair')}")
    found += [f"  {figure_text(figure)}" for figure in report.result.figures]
    found += [f"  {evidence}" for evidence in report.evidence]
    found += [f"  {rate.text}" for rate in report.rates]
    return [*found, *(f"  warning: {warning}" for warning in report.warnings)]


def render_html(report: GateReport) -> str:
    """One self-contained page: the decision, each scenario, each figure, and every run with its page."""
    return html.render_page(
        "gate.html",
        report=report,
        mark=MARKS[report.decision],
        colour=CLASSES[report.decision],
        estimate=estimate(report.score),
        scenarios=[_scenario_row(report, name) for name in _names(report)],
        figures=[_figure_row(figure) for figure in report.result.figures],
        plot=interval_plot(
            [
                Interval(flag.scenario, d.mean, max(-100.0, d.low), min(100.0, d.high))
                for flag in report.result.scenarios
                if (d := flag.difference).low is not None and d.high is not None
            ],
            "points of score",
            report.margin,
        ),
        runs=_by_scenario(report),
    )


def _by_scenario(report: GateReport) -> dict[str, dict[str, list[GateRun]]]:
    """Scenario to side to its runs."""
    found: dict[str, dict[str, list[GateRun]]] = {}
    for run in report.runs:
        found.setdefault(run.scenario, {}).setdefault(run.side, []).append(run)
    return found


def workflow_commands(report: GateReport) -> list[str]:
    """Workflow commands that GitHub shows beside the files. Violations of a gate that finds no regression are
    the baseline's too: warnings, for an error beside a green gate would be taken for its reason."""
    level = "warning" if report.tolerated else LEVELS[report.decision]
    found = "error" if report.decision is Decision.REGRESSION else "warning"
    lines = [f"::{level} title=Resilience gate::{_escaped(report.sentence)}"]
    lines += [
        f"::{found} file={_property(v.file)},line={v.line},title={_property(v.invariant)}::"
        + _escaped(f"{v.scenario}, seed {v.seed}: {v.statement}")
        for v in report.violations
    ]
    return [Ours(line) for line in lines]


def _escaped(words: str) -> str:
    """Workflow commands end at a line's end; percent signs start an escape."""
    return words.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(words: str) -> str:
    """In a property, colons and commas end it too."""
    return _escaped(words).replace(":", "%3A").replace(",", "%2C")


GATE_FORMATS = {
    "gate.json": render_json,
    "gate.html": render_html,
    "gate.md": render_markdown,
    "junit.xml": render_junit,
    "gate.sarif": render_sarif,
    "badge.svg": render_badge,
}
