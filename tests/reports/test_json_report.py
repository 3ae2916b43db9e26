from __future__ import annotations

import json
from collections.abc import Callable

import jsonschema
import pytest

from experiment.verdict import Verdict
from reports import json_report
from reports.report import FourNumbers, RunReport, SuiteEntry, SuiteReport, summarise
from tests.reports import builder


@pytest.mark.parametrize(
    "build",
    [builder.resilient_pass, builder.fragile_fail, builder.invalid, builder.interrupted, builder.hostile],
    ids=lambda build: build.__name__,
)
def test_every_run_satisfies_the_schema(build: Callable[[], RunReport]) -> None:
    """What is written is what is published."""
    document = json.loads(json_report.render_run(build()))
    jsonschema.Draft202012Validator(json_report.run_schema()).validate(document)
    assert document["report"]["analysis"]["verdict"] == str(build().analysis.verdict)


def test_a_suite_satisfies_the_schema() -> None:
    """The suite's own verdict stands at the top."""
    entries = (SuiteEntry("a", "b", Verdict.FAIL, summarise(builder.fragile_fail())),)
    suite = SuiteReport(
        "smoke", "2026", "make run", entries, numbers=(FourNumbers("b", 1.0, 1.0, "a", 1, 2, 1),)
    )
    document = json.loads(json_report.render_suite(suite))
    jsonschema.Draft202012Validator(json_report.suite_schema()).validate(document)
    assert (document["passed"], document["verdict"]) == (True, "pass")


def test_the_schema_refuses_a_document_without_a_verdict() -> None:
    """The schema is strict enough to notice what is missing."""
    document = json.loads(json_report.render_run(builder.resilient_pass()))
    del document["report"]["analysis"]["verdict"]
    with pytest.raises(jsonschema.ValidationError, match="verdict"):
        jsonschema.Draft202012Validator(json_report.run_schema()).validate(document)
