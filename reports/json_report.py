"""A run or a suite as JSON for programs, to the schema published in docs/schemas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from reports.cases import Case
from reports.report import RunReport, SuiteReport
from reports.wording import score_text

FORMAT: Literal[2] = 2


@dataclass(frozen=True, slots=True)
class RunDocument:
    """A whole run. `format` counts up when a reader would have to change. `score` is what people read: a
    number with the veto or the failures beside which it stands. `cases` are what was judged, in agreement
    with the verdict."""

    format: Literal[2]
    kind: Literal["run"]
    score: str
    cases: tuple[Case, ...]
    report: RunReport


@dataclass(frozen=True, slots=True)
class SuiteDocument:
    """A whole suite; `passed` is true when every entry came out as expected."""

    format: Literal[2]
    kind: Literal["suite"]
    passed: bool
    verdict: Literal["pass", "inconclusive", "fail", "invalid"]
    headline: str
    report: SuiteReport


def render_run(report: RunReport) -> str:
    return _text(RunDocument(FORMAT, "run", score_text(report.analysis.score), report.cases, report))


def render_suite(suite: SuiteReport) -> str:
    return _text(SuiteDocument(FORMAT, "suite", suite.passed, suite.verdict.value, suite.headline, suite))


def run_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of what `render_run` writes."""
    return _schema(RunDocument)


def suite_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of what `render_suite` writes."""
    return _schema(SuiteDocument)


def _schema(cls: type) -> dict[str, Any]:
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(cls)}


def _text(document: RunDocument | SuiteDocument) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=1).decode() + "\n"
