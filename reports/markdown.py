"""A run or a suite as Markdown, for a CI summary or a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from experiment.plain_text import line
from experiment.units import noun
from experiment.verdict import CheckResult
from measurement.analysis import FaultWindow
from reports import wording
from reports.cases import Outcome, having
from reports.repeats import REPEATED_HEAD, repeated_row
from reports.report import FourNumbers, RunReport, SuiteReport

MAX_VIOLATIONS = 5
_SPECIAL = re.compile(r"([\\`*_\[\]#|~$])")
_LINKED = re.compile(r"://|www\.|@", re.IGNORECASE)  # what Markdown makes a link or a mention of, unasked


def text(value: object) -> str:
    """Untrusted text as one line of Markdown in which nothing is a mark, a link, a mention or HTML."""
    flat = " ".join(line(value).split())
    escaped = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    unlinked = _LINKED.sub("\\g<0>\u200b", escaped)
    return _SPECIAL.sub(r"\\\1", unlinked)


def code(value: object) -> str:
    """Untrusted text as inline code, with a fence longer than any run of backticks in it."""
    flat = " ".join(line(value).split()) or " "
    longest = max((len(run) for run in re.findall("`+", flat)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{fence}{pad}{flat}{pad}{fence}".replace("|", "\\|")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Rows whose cells are Markdown already."""
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def render_run(report: RunReport) -> str:
    """Verdict and why, score, faults, what did not hold, violations with their evidence, the command."""
    analysis, facts, header = report.analysis, report.facts, report.header
    mark = wording.VERDICT_MARKS[analysis.verdict]
    veto = ", safety veto" if analysis.vetoed else ""
    lines = [
        f"## {mark} {analysis.verdict.value}{veto}: {text(facts.scenario.name)} on {text(facts.design.name)}",
        "",
        f"**{text(wording.headline(analysis))}**",
        "",
        *[f"- {text(reason)}" for reason in analysis.reasons[1:]],
        *([""] if analysis.reasons[1:] else []),
        f"Score: **{text(wording.score_text(analysis.score))}**"
        + (f", {interval}" if (interval := wording.interval_text(analysis.score)) else ""),
        "",
        f"Source: {text(wording.source_text(header))}. "
        f"Seed {header.seed}, started {text(header.started_at)}.",
        "",
    ]
    lines += [f"Waiver: {text(wording.waiver_text(waiver))}\n" for waiver in analysis.waivers]
    if pressure := wording.pressure_text(analysis.machine):
        lines += [f"Machine: {text(pressure)}.", ""]
    if located := wording.localisation_text(analysis.localisation):
        lines += [f"By telemetry alone: {text(located)}.", ""]
    lines += _faults(analysis.faults) + _journeys(report) + _conditions(report)
    for check in analysis.checks:
        lines += _violations(check)
    lines += ["```sh", line(header.command).replace("```", "` ` `"), "```", ""]
    return "\n".join(lines)


def _faults(faults: Sequence[FaultWindow]) -> list[str]:
    if not faults:
        return []
    rows = []
    for fault in faults:
        seen = "" if fault.observed else "**not observed** "
        healed = "yes" if fault.healed else "**no**"
        measured = f"{wording.at(fault.start)} to {wording.at(fault.end)}"
        name = text(f"{fault.fault} {fault.kind}")
        rows.append((name, code(fault.target), measured, seen + text(fault.effect), healed))
    return [*table(("fault", "on", "measured", "effect", "healed"), rows), ""]


def _journeys(report: RunReport) -> list[str]:
    kept = [row for row in report.analysis.journeys if row.phase in ("baseline", "fault", "recovery")]
    rows = wording.by_phase(kept)
    if not rows:
        return []
    heads = ("phase", "journey", "offered", "success", "p50", "p95", "p99", "labels", "errors")
    return table(
        heads,
        [
            (
                text(row.phase), text(row.journey), str(row.offered),
                "–" if row.success_ratio is None else wording.percent(row.success_ratio),
                wording.duration(row.p50), wording.duration(row.p95), wording.duration(row.p99),
                text(wording.errors_text(row.labels)),
                text(wording.errors_text(row.errors)),
            )
            for row in rows
        ],
    ) + [""]  # fmt: skip


def _conditions(report: RunReport) -> list[str]:
    """Every case that did not pass, in one list for each outcome."""
    cases = report.cases
    parts = (
        ("Not held", having(cases, Outcome.ERROR, Outcome.FAILED)),
        ("Not exercised", having(cases, Outcome.NOT_EXERCISED)),
        ("For information, not part of the verdict", having(cases, Outcome.INFORMATION)),
    )
    lines: list[str] = []
    for title, found in parts:
        if found:
            lines += [f"{title}:", "", *[f"- {text(f'{case.name}: {case.statement}')}" for case in found], ""]
    if not any(found for _, found in parts[:2]) and cases:
        lines = ["Every condition, property and objective that was judged held.", "", *lines]
    return lines


def _violations(check: CheckResult) -> list[str]:
    if not check.violations:
        return []
    shown = check.violations[:MAX_VIOLATIONS]
    lines = [
        f"### {text(check.checker)}: {noun(check.violation_count, 'violation')}",
        "",
        text(check.property),
        "",
    ]
    for violation in shown:
        lines.append(f"- {text(violation.statement)} (at {wording.at(violation.t)})")
        for row in violation.evidence:
            cells = [
                f"{name} {wording.evidence_value(name, value)}"
                for name, value in row.items()
                if value is not None
            ]
            lines.append(f"  - {code(', '.join(cells))}")
    return [*lines, ""]


def render_suite(suite: SuiteReport) -> str:
    """Whether all came out as expected, the four numbers of each design, one row a run."""
    lines = [
        f"## {wording.VERDICT_MARKS[suite.verdict]} {suite.verdict.value}: suite {text(suite.name)}",
        "",
        f"**{text(suite.headline)}**",
        "",
        *([f"Hint: {text(suite.hint)}.", ""] if suite.hint else []),
    ]
    if suite.numbers:
        heads = ("design", "weighted mean", "worst", "coverage", "vetoes")
        rows = [
            (
                text(n.design), _mean(n),
                text(wording.worst_text(n.worst, n.worst_scenario, n.unscored)),
                f"{n.covered} of {n.coverable}", str(n.vetoes),
            )
            for n in suite.numbers
        ]  # fmt: skip
        lines += [*table(heads, rows), ""]
    if suite.repeated:
        cells = [[text(value) for value in repeated_row(entry)] for entry in suite.repeated]
        lines += [*table(REPEATED_HEAD, cells), ""]
    runs = []
    for entry in suite.entries:
        run = entry.summary
        word = "not run" if run is None else f"{wording.VERDICT_MARKS[run.verdict]} {run.verdict.value}"
        word = word if entry.met else f"**{word}**"
        score, why = (text(run.score_text), text(run.headline)) if run else ("–", "")
        runs.append((text(entry.scenario), text(entry.design), word, text(entry.wanted), score, why))
    lines += [*table(("scenario", "design", "verdict", "expected", "score", "why"), runs), ""]
    lines += ["```sh", line(suite.command).replace("```", "` ` `"), "```", ""]
    return "\n".join(lines)


def _mean(numbers: FourNumbers) -> str:
    if numbers.interval is None:
        return _score(numbers.mean)
    return f"{_score(numbers.mean)} ({numbers.interval[0]:.0f} to {numbers.interval[1]:.0f})"


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"
