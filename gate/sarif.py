"""What a release gate found as SARIF 2.1.0, for services that show results beside the code.

A result is one violated property in one scenario, at the line of the scenario's file that names it. A gate
that does not know says so: its execution was not successful, so that an empty list of results is not read as
"all is well".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from experiment.plain_text import json_text
from gate.decide import Decision
from gate.report import GateReport, GateViolation, gate_exit_code

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
HELP = (
    "The safety property {name} of the system under test was violated in a run of the candidate. A violation "
    "is a veto: it counts whatever the score. Open the page of the run for the operations and records that "
    "show it, and play it again with `codeblue run SCENARIO --design DESIGN --seed SEED`. Only a dated "
    "waiver in the scenario's file lifts it."
)


def render_sarif(report: GateReport) -> str:
    """SARIF 2.1.0: one rule a property, one result a property and scenario and seed, how the gate ended."""
    names = list(dict.fromkeys(violation.invariant for violation in report.violations))
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "Code Blue",
                **({"version": report.version} if report.version else {}),
                "rules": [_rule(name) for name in names],
            }
        },
        "automationDetails": {"id": f"resilience-gate/{report.suite}/"},
        "invocations": [_invocation(report)],
        "results": list(_results(report, names)),
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json_text(msgspec.json.format(msgspec.json.encode(log), indent=1).decode())


def _rule(name: str) -> dict[str, Any]:
    said = HELP.format(name=name)
    return {
        "id": name,
        "name": "".join(word.title() for word in name.split("_")),
        "shortDescription": {"text": f"Violated: {name.replace('_', ' ')}"},
        "fullDescription": {"text": said},
        "help": {"text": said, "markdown": said},
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": ["resilience", "safety"]},
    }


def _invocation(report: GateReport) -> dict[str, Any]:
    """How the gate ended. Not known is no success of it, also where the policy is to go on with a warning."""
    known = report.decision is not Decision.INCONCLUSIVE
    level = "note" if report.decision is Decision.PASS else "warning" if report.tolerated else "error"
    return {
        "executionSuccessful": known,
        "exitCode": int(gate_exit_code(report)),
        "exitCodeDescription": report.decision.value,
        "toolExecutionNotifications": [
            {"level": level, "message": {"text": f"gate {report.decision.value}: {report.sentence}"}},
            *({"level": "warning", "message": {"text": warning}} for warning in report.warnings),
        ],
    }


def _results(report: GateReport, names: list[str]) -> Iterator[dict[str, Any]]:
    for violation in report.violations:
        yield {
            "ruleId": violation.invariant,
            "ruleIndex": names.index(violation.invariant),
            "level": "error",
            "message": {"text": f"{violation.scenario}, seed {violation.seed}: {violation.statement}"},
            "locations": [_place(violation)],
            "partialFingerprints": {"violation/v1": _fingerprint(violation)},
        }


def _place(violation: GateViolation) -> dict[str, Any]:
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": _uri(violation.file)},
            "region": {"startLine": violation.line},
        }
    }


def _fingerprint(violation: GateViolation) -> str:
    """The same for one promise, scenario and seed, wherever the line has moved."""
    told = "\n".join((violation.invariant, violation.scenario, str(violation.seed)))
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _uri(file: str) -> str:
    return Path(file).as_uri() if file.startswith("/") else quote(file)
