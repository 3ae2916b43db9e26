from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from experiment.verdict import Verdict
from reports import junit
from reports.report import RunReport, SuiteEntry, SuiteReport, summarise
from tests.reports import builder

RUNS = (
    builder.resilient_pass, builder.fragile_fail, builder.invalid, builder.inconclusive,
    builder.interrupted, builder.simulated, builder.hostile,
)  # fmt: skip


def check_structure(text: str) -> ElementTree.Element:
    """The structure that CI servers read, with right counts and one result a case at most."""
    root = ElementTree.fromstring(text.encode())
    assert root.tag == "testsuites"
    for suite in root:
        assert suite.tag == "testsuite"
        cases = suite.findall("testcase")
        assert {child.tag for child in suite} <= {"properties", "testcase"}
        assert int(suite.attrib["tests"]) == len(cases)
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.attrib[attribute]) == len(suite.findall(f"testcase/{tag}"))
        for case in cases:
            assert {"name", "classname", "time"} == set(case.attrib)
            assert len(case) <= 1
            assert {child.tag for child in case} <= {"failure", "error", "skipped", "system-out"}
    return root


@pytest.mark.parametrize("build", RUNS, ids=lambda build: build.__name__)
def test_every_run_is_well_formed_and_green_only_when_it_passed(build: Callable[[], RunReport]) -> None:
    """Only a pass has neither failures nor errors."""
    run = build()
    suite = check_structure(junit.render_run(run))[0]
    green = suite.attrib["failures"] == "0" and suite.attrib["errors"] == "0"
    assert green == (run.analysis.verdict is Verdict.PASS)


def test_a_violation_is_a_failure_with_its_evidence() -> None:
    """The failure text names both charges."""
    root = check_structure(junit.render_run(builder.fragile_fail()))
    failure = root.find(".//testcase[@name='safety: no_duplicate_charge']/failure")
    assert failure is not None
    assert failure.attrib["message"] == "3 duplicate charges on 214 invoices"
    assert "id ch-0002" in (failure.text or "")
    assert "id ch-0003" in (failure.text or "")


def test_a_broken_validity_condition_is_an_error_not_a_failure() -> None:
    """The experiment is at fault, not the system."""
    root = check_structure(junit.render_run(builder.invalid()))
    assert root.find(".//testcase[@name='validity: fault_observed']/error") is not None
    assert root.find(".//failure") is None


def test_what_could_not_be_judged_is_skipped() -> None:
    """No data is no pass."""
    root = check_structure(junit.render_run(builder.inconclusive()))
    assert root.find(".//testcase[@name='safety: no_duplicate_charge']/skipped") is not None
    assert root.find(".//testcase[@name='verdict']/failure") is not None


def test_control_characters_do_not_break_the_document() -> None:
    """What XML forbids is replaced, the rest arrives as written."""
    root = check_structure(junit.render_run(builder.hostile()))
    names = [case.attrib["name"] for case in root.iter("testcase")]
    assert any("<script>alert(1)</script> \"'&\ufffd\ufffd[31m\ufffd]]>" in name for name in names)


def suite() -> SuiteReport:
    passing, failing = summarise(builder.resilient_pass()), summarise(builder.fragile_fail())
    entries = (
        SuiteEntry("charge_response_lost", "resilient", Verdict.PASS, passing),
        SuiteEntry(
            "charge_response_lost", "fragile", Verdict.FAIL, failing, violates=("no_duplicate_charge",)
        ),
        SuiteEntry("payer_blackhole", "fragile", Verdict.FAIL, failing, violates=("bounded_waiting",)),
        SuiteEntry("payer_blackhole", "resilient", Verdict.PASS, None),
    )
    return SuiteReport("smoke", "2026-11-20T09:30:00+00:00", "codeblue suite smoke", entries)


def test_a_suite_counts_expected_failures_as_passed() -> None:
    """A fragile design that fails as it must is green; a wrong reason is a failure, no run an error."""
    root = check_structure(junit.render_suite(suite()))
    fragile, resilient = (
        next(s for s in root if s.attrib["name"] == f"smoke.{d}") for d in ("fragile", "resilient")
    )
    assert (fragile.attrib["failures"], fragile.attrib["errors"]) == ("1", "0")
    assert (resilient.attrib["failures"], resilient.attrib["errors"]) == ("0", "1")
