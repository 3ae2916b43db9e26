"""A run or a suite as JUnit XML, for CI servers.

A run is one test suite with a case for everything that was judged, see `reports.cases`. A broken condition is
an `error` (the experiment is at fault), a violation a `failure`, and what was not exercised is `skipped`. The
verdict is a case of its own, so that a run which is not a pass never looks green. What nobody asked for
passes, with its statement as output.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree

from experiment.verdict import CheckResult, Verdict
from reports import wording
from reports.cases import PROPERTY_KINDS, Outcome
from reports.cases import Case as JudgedCase
from reports.report import RunReport, SuiteReport

Tag = Literal["", "failure", "error", "skipped"]
TAGS: dict[Outcome, Tag] = {
    Outcome.PASSED: "",
    Outcome.INFORMATION: "",
    Outcome.FAILED: "failure",
    Outcome.ERROR: "error",
    Outcome.NOT_EXERCISED: "skipped",
}
VERDICTS: dict[Verdict, Tag] = {
    Verdict.PASS: "",
    Verdict.FAIL: "failure",
    Verdict.INCONCLUSIVE: "failure",
    Verdict.ABORTED: "failure",
    Verdict.INVALID: "error",
}


@dataclass(frozen=True, slots=True)
class Case:
    """One test case; an empty tag is a pass. `message` is one line, `details` the text below it."""

    name: str
    classname: str
    tag: Tag
    message: str = ""
    details: str = ""


def render_run(report: RunReport) -> str:
    """One test suite with a case for everything that was judged, after one for the verdict."""
    analysis, header = report.analysis, report.header
    classname = f"{report.facts.scenario.name}.{report.facts.design.name}"
    reasons = "\n".join(analysis.reasons)
    cases = [Case("verdict", classname, VERDICTS[analysis.verdict], wording.headline(analysis), reasons)]
    details = {(PROPERTY_KINDS[c.safety], c.checker): _evidence(c) for c in analysis.checks}
    cases += [
        Case(
            f"{case.kind}: {case.name}", classname, TAGS[case.outcome], _message(case),
            details.get((case.kind, case.name), ""),
        )
        for case in report.cases
    ]  # fmt: skip
    length = report.end.t if report.end is not None else 0.0
    properties = {
        "source": wording.source_text(header),
        "seed": str(header.seed),
        "run": header.run_id,
        "score": wording.score_text(analysis.score),
        "command": header.command,
    }
    root = ElementTree.Element("testsuites")
    root.append(_suite(classname, cases, header.started_at, length, properties))
    return _text(root)


def _message(case: JudgedCase) -> str:
    return f"{case.outcome}: {case.statement}" if case.outcome is Outcome.INFORMATION else case.statement


def _evidence(check: CheckResult) -> str:
    lines = [check.property]
    for violation in check.violations:
        lines.append(f"{violation.statement} (at {wording.at(violation.t)})")
        lines += [
            "    " + ", ".join(f"{name} {wording.evidence_value(name, value)}" for name, value in row.items())
            for row in violation.evidence
        ]
    return "\n".join(lines)


def render_suite(suite: SuiteReport) -> str:
    """One test suite a design; a case fails when its verdict is not the expected one."""
    root = ElementTree.Element("testsuites")
    for design in dict.fromkeys(entry.design for entry in suite.entries):
        cases = []
        for entry in suite.entries:
            if entry.design != design:
                continue
            run = entry.summary
            tag: Tag = ""
            if not entry.met:
                known = run is not None and run.verdict is not Verdict.INVALID and not entry.unanswered
                tag = "failure" if known else "error"
            found = "not run" if run is None else f"{run.verdict.value}: {run.headline}"
            details = "\n".join(run.failures) if run is not None else ""
            name = entry.scenario if run is None else f"{entry.scenario} (seed {run.seed})"
            message = f"expected {entry.wanted}, found {found}"
            cases.append(Case(name, f"{suite.name}.{design}", tag, message, details))
        properties = {"suite": suite.name, "command": suite.command}
        root.append(_suite(f"{suite.name}.{design}", cases, suite.started_at, 0.0, properties))
    return _text(root)


def _suite(
    name: str, cases: Sequence[Case], started_at: str, length_s: float, properties: dict[str, str]
) -> ElementTree.Element:
    counts = {kind: sum(case.tag == kind for case in cases) for kind in ("failure", "error", "skipped")}
    element = ElementTree.Element(
        "testsuite",
        {
            "name": name,
            "tests": str(len(cases)),
            "failures": str(counts["failure"]),
            "errors": str(counts["error"]),
            "skipped": str(counts["skipped"]),
            "time": f"{length_s:.3f}",
            "timestamp": started_at,
        },
    )
    listed = ElementTree.SubElement(element, "properties")
    for key, value in properties.items():
        ElementTree.SubElement(listed, "property", {"name": key, "value": value})
    for case in cases:
        child = ElementTree.SubElement(
            element,
            "testcase",
            {"name": case.name, "classname": case.classname, "time": "0"},
        )
        if case.tag:
            result = ElementTree.SubElement(child, case.tag, {"message": case.message})
            result.text = case.details if case.tag != "skipped" else None
        elif case.message:
            ElementTree.SubElement(child, "system-out").text = case.message
    return element


def _text(root: ElementTree.Element) -> str:
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"
