"""Violations beside the files of a repository: SARIF and GitHub's workflow commands."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import msgspec

from measurement.gate import Decision
from reports.gate_report import GateReport, GateViolation

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS = {Decision.PASS: "notice", Decision.REGRESSION: "error", Decision.INCONCLUSIVE: "error"}


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
            "artifactLocation": {"uri": _uri(violation.file)},
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


def _uri(file: str) -> str:
    return Path(file).as_uri() if file.startswith("/") else quote(file)


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
    return lines


def _escaped(words: str) -> str:
    """Workflow commands end at a line's end; percent signs start an escape."""
    return words.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(words: str) -> str:
    """In a property, colons and commas end it too."""
    return _escaped(words).replace(":", "%3A").replace(",", "%2C")
