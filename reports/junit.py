"""A run or a suite as JUnit XML, for CI servers.

A run is one test suite: each validity condition, check and objective is a test case. A broken condition is an
`error` (the experiment is at fault), a violation a `failure`; what could not be judged is `skipped`, and the
run's verdict is a case of its own, so that a run which is not a pass never looks green.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree

from experiment.verdict import CheckResult, Verdict
from reports import wording
from reports.report import RunReport, SuiteReport

Outcome = Literal["passed", "failure", "error", "skipped"]
OUTCOMES: dict[Verdict, Outcome] = {
    Verdict.PASS: "passed",
    Verdict.FAIL: "failure",
    Verdict.INCONCLUSIVE: "failure",
    Verdict.INVALID: "error",
}


@dataclass(frozen=True, slots=True)
class Case:
    """One test case; `message` is one line, `details` the text below it."""

    name: str
    classname: str
    outcome: Outcome
    message: str = ""
    details: str = ""


def render_run(report: RunReport) -> str:
    """One test suite with a case for everything that was judged."""
    analysis, header = report.analysis, report.header
    classname = f"{report.facts.scenario.name}.{report.facts.design.name}"
    cases = [
        Case(
            "verdict",
            classname,
            OUTCOMES[analysis.verdict],
            wording.headline(analysis),
            "\n".join(analysis.reasons),
        ),
        *(
            Case(f"validity: {v.name}", classname, "passed" if v.ok else "error", v.statement)
            for v in analysis.validity
        ),
        *(_check_case(check, classname) for check in analysis.checks),
    ]
    outcomes: dict[str, Outcome] = {"met": "passed", "not met": "failure", "no data": "skipped"}
    cases += [
        Case(
            f"{item.phase}: {item.journey} {item.figure} {item.bound}", classname, outcomes[item.status],
            wording.expectation_text(item),
        )
        for item in analysis.expectations
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


def _check_case(check: CheckResult, classname: str) -> Case:
    kind = "safety" if check.safety else "liveness"
    outcome = "skipped" if check.verdict is Verdict.INCONCLUSIVE else OUTCOMES[check.verdict]
    lines = [check.property]
    for violation in check.violations:
        lines.append(f"{violation.statement} (at {wording.at(violation.t)})")
        lines += [
            "    " + ", ".join(f"{name} {wording.evidence_value(name, value)}" for name, value in row.items())
            for row in violation.evidence
        ]
    return Case(f"{kind}: {check.checker}", classname, outcome, check.statement, "\n".join(lines))


def render_suite(suite: SuiteReport) -> str:
    """One test suite a design; a case fails when its verdict is not the expected one."""
    root = ElementTree.Element("testsuites")
    for design in dict.fromkeys(entry.design for entry in suite.entries):
        cases = []
        for entry in suite.entries:
            if entry.design != design:
                continue
            run = entry.summary
            outcome: Outcome = "passed"
            if not entry.met:
                outcome = "failure" if run is not None and run.verdict is not Verdict.INVALID else "error"
            found = "not run" if run is None else f"{run.verdict.value}: {run.headline}"
            details = "\n".join(run.failures) if run is not None else ""
            name = entry.scenario if run is None else f"{entry.scenario} (seed {run.seed})"
            message = f"expected {entry.expected.value}, found {found}"
            cases.append(Case(name, f"{suite.name}.{design}", outcome, message, details))
        properties = {"suite": suite.name, "command": suite.command}
        root.append(_suite(f"{suite.name}.{design}", cases, suite.started_at, 0.0, properties))
    return _text(root)


def _suite(
    name: str, cases: Sequence[Case], started_at: str, length_s: float, properties: dict[str, str]
) -> ElementTree.Element:
    counts = {kind: sum(case.outcome == kind for case in cases) for kind in ("failure", "error", "skipped")}
    element = ElementTree.Element(
        "testsuite",
        {
            "name": wording.clean(name),
            "tests": str(len(cases)),
            "failures": str(counts["failure"]),
            "errors": str(counts["error"]),
            "skipped": str(counts["skipped"]),
            "time": f"{length_s:.3f}",
            "timestamp": wording.clean(started_at),
        },
    )
    listed = ElementTree.SubElement(element, "properties")
    for key, value in properties.items():
        ElementTree.SubElement(listed, "property", {"name": key, "value": wording.clean(value)})
    for case in cases:
        child = ElementTree.SubElement(
            element,
            "testcase",
            {"name": wording.clean(case.name), "classname": wording.clean(case.classname), "time": "0"},
        )
        if case.outcome != "passed":
            result = ElementTree.SubElement(child, case.outcome, {"message": wording.clean(case.message)})
            result.text = wording.clean(case.details) if case.outcome != "skipped" else None
        elif case.message:
            ElementTree.SubElement(child, "system-out").text = wording.clean(case.message)
    return element


def _text(root: ElementTree.Element) -> str:
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"
