"""A run or a suite as JSON for programs, to the schema published in docs/schemas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from reports.cases import Case
from reports.report import RunReport, SuiteReport
from reports.schemas import document_schema, document_text
from reports.wording import score_text

FORMAT: Literal[2] = 2


@dataclass(frozen=True, slots=True)
class RunDocument:
    """A whole run. `format` counts up when a reader would have to change. `score` is what people read: a
    number with the veto or the failures beside which it stands. `cases` are what was judged, in agreement
    with the verdict."""

    format: Literal[2]  # the version of this format; it counts up when a reader would have to change
    kind: Literal["run"]  # always `run`, which tells documents apart
    score: str  # the score as people read it, with the veto or the failures beside it
    cases: tuple[Case, ...]  # what was judged, in agreement with the verdict
    report: RunReport  # the whole report


@dataclass(frozen=True, slots=True)
class SuiteDocument:
    """A whole suite; `passed` is true when every entry came out as expected."""

    format: Literal[2]  # the version of this format; it counts up when a reader would have to change
    kind: Literal["suite"]  # always `suite`, which tells documents apart
    passed: bool  # whether every entry came out as expected
    verdict: Literal["pass", "inconclusive", "fail", "aborted", "invalid"]
    """What the suite says as a whole: whether its runs came out as expected."""
    headline: str  # the result in one sentence
    report: SuiteReport  # the whole report


def render_run(report: RunReport) -> str:
    return document_text(RunDocument(FORMAT, "run", score_text(report.analysis.score), report.cases, report))


def render_suite(suite: SuiteReport) -> str:
    return document_text(
        SuiteDocument(FORMAT, "suite", suite.passed, suite.verdict.value, suite.headline, suite)
    )


def run_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of what `render_run` writes."""
    return document_schema(RunDocument)


def suite_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of what `render_suite` writes."""
    return document_schema(SuiteDocument)
