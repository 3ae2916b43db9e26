"""What a release gate says, in every form that a pipeline reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

import msgspec

from measurement.gate import Decision, GateResult
from reports.wording import clean

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
COLOURS = {Decision.PASS: "#2e7d32", Decision.REGRESSION: "#c62828", Decision.INCONCLUSIVE: "#b26a00"}
LEVELS = {Decision.PASS: "notice", Decision.REGRESSION: "error", Decision.INCONCLUSIVE: "warning"}


@dataclass(frozen=True, slots=True)
class GateViolation:
    """One violated safety invariant of the candidate, with the scenario's file and line."""

    invariant: str
    scenario: str
    seed: int
    statement: str
    file: str
    line: int = 1


@dataclass(frozen=True, slots=True)
class GateReport:
    """`score` is the candidate's mean; `refusals` are broken floors such as --min-score."""

    baseline: str
    candidate: str
    suite: str
    result: GateResult
    pairs: int
    score: float | None
    refusals: tuple[str, ...]
    violations: tuple[GateViolation, ...]
    warnings: tuple[str, ...]
    command: str
    started_at: str
    format: int = 1

    @property
    def decision(self) -> Decision:
        """A broken floor is a regression whatever the pairs say."""
        return Decision.REGRESSION if self.refusals else self.result.decision

    @property
    def sentence(self) -> str:
        return self.refusals[0] if self.refusals else self.result.sentence


def render_json(report: GateReport) -> str:
    """Schema: docs/schemas/gate_report.schema.json."""
    plain = {"decision": report.decision, "sentence": report.sentence, **msgspec.to_builtins(report)}
    return msgspec.json.format(msgspec.json.encode(plain), indent=1).decode()


def render_markdown(report: GateReport) -> str:
    """For the summary of a pipeline."""
    lines = [
        f"## Resilience gate: {report.decision.value}",
        "",
        f"**{report.sentence}**",
        "",
        f"Candidate `{report.candidate}` against baseline `{report.baseline}` over suite `{report.suite}`, "
        f"{report.pairs} pairs.",
        "",
        "| scenario | difference (points) | 95% interval | pairs | worse |",
        "|---|---|---|---|---|",
    ]
    for flag in report.result.scenarios:
        d = flag.difference
        interval = "–" if d.low is None else f"{d.low:+.1f} to {d.high:+.1f}"
        lines.append(
            f"| {flag.scenario} | {d.mean:+.1f} | {interval} | {d.n} | {'yes' if flag.worse else ''} |"
        )
    lines += ["", *(f"- {text}" for text in (*report.refusals, *report.result.evidence, *report.warnings))]
    lines += [f"- {v.scenario}, seed {v.seed}: {v.invariant}: {v.statement}" for v in report.violations]
    return "\n".join([*lines, "", f"Again: `{report.command}`", ""])


def render_junit(report: GateReport) -> str:
    """One test case a scenario and one for the whole; a regression is a failure, inconclusive is skipped."""
    root = ElementTree.Element("testsuites", name="resilience gate")
    suite = ElementTree.SubElement(root, "testsuite", name=clean(report.suite))
    whole = ElementTree.SubElement(suite, "testcase", classname="gate", name="decision")
    if report.decision is Decision.REGRESSION:
        ElementTree.SubElement(whole, "failure", message=clean(report.sentence))
    elif report.decision is Decision.INCONCLUSIVE:
        ElementTree.SubElement(whole, "skipped", message=clean(report.sentence))
    for flag in report.result.scenarios:
        case = ElementTree.SubElement(suite, "testcase", classname="gate", name=clean(flag.scenario))
        if flag.worse:
            ElementTree.SubElement(case, "failure", message=f"{flag.difference.mean:+.1f} points")
    failures = len(suite.findall("testcase/failure"))
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(failures))
    suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def render_sarif(report: GateReport) -> str:
    """Violations with the scenario's file and line, SARIF 2.1.0."""
    rules = [
        {"id": name, "shortDescription": {"text": name.replace("_", " ")}}
        for name in dict.fromkeys(violation.invariant for violation in report.violations)
    ]
    log = {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "Code Blue", "rules": rules}},
                "results": [_sarif_result(violation) for violation in report.violations],
            }
        ],
    }
    return msgspec.json.format(msgspec.json.encode(log), indent=1).decode()


def _sarif_result(violation: GateViolation) -> dict[str, object]:
    place = {
        "physicalLocation": {
            "artifactLocation": {"uri": violation.file},
            "region": {"startLine": violation.line},
        }
    }
    text = f"{violation.scenario}, seed {violation.seed}: {violation.statement}"
    return {
        "ruleId": violation.invariant,
        "level": "error",
        "message": {"text": text},
        "locations": [place],
    }


def workflow_commands(report: GateReport) -> list[str]:
    """Workflow commands that GitHub shows beside the files."""
    lines = [f"::{LEVELS[report.decision]} title=Resilience gate::{_escaped(report.sentence)}"]
    lines += [
        f"::error file={v.file},line={v.line},title={v.invariant}::{_escaped(v.statement)}"
        for v in report.violations
    ]
    return lines


def _escaped(text: str) -> str:
    """Workflow commands end at a line's end; percent signs start an escape."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def render_badge(report: GateReport) -> str:
    """A small SVG for a README: the decision and the candidate's score."""
    score = "" if report.score is None else f" {report.score:.0f}"
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
    text = [f"gate {report.decision.value.upper()}: {report.sentence}"]
    text += [f"  {evidence}" for evidence in (*report.refusals[1:], *report.result.evidence)]
    return [*text, *(f"  warning: {warning}" for warning in report.warnings)]


GATE_FORMATS = {
    "gate.json": render_json,
    "gate.md": render_markdown,
    "junit.xml": render_junit,
    "gate.sarif": render_sarif,
    "badge.svg": render_badge,
}
