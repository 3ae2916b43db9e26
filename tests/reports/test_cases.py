"""Every format tells what the exit code tells, for every way in which a run can be judged."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from xml.etree import ElementTree

import pytest

from experiment.errors import ExitCode
from experiment.verdict import CheckResult, Verdict, exit_code
from measurement import judge
from measurement.analysis import ExpectationResult, ValidityCheck, WaiverUse
from reports.cases import Outcome, cases_of, count_text, having
from reports.formats import RUN_FORMATS
from reports.report import RunReport
from tests.reports import builder

VALIDITY = (
    ValidityCheck("complete", True, "the run completed"),
    ValidityCheck("complete", False, "the history was cut off"),
    ValidityCheck("enough_operations", False, "3 operations", Verdict.INCONCLUSIVE),
)
OBJECTIVES: tuple[tuple[ExpectationResult, ...], ...] = (
    (),
    (ExpectationResult("fault", "pay", "p95", "<= 2s", 0.1, "met"),),
    (ExpectationResult("fault", "pay", "p95", "<= 2s", 3.0, "not met"),),
    (ExpectationResult("fault", "pay", "p95", "<= 2s", None, "no data"),),
)
CODES = {
    Outcome.ERROR: ExitCode.INVALID,
    Outcome.FAILED: ExitCode.FAIL,
    Outcome.NOT_EXERCISED: ExitCode.INCONCLUSIVE,
    Outcome.PASSED: ExitCode.PASS,
}


def checks() -> Iterator[CheckResult]:
    """A property of each kind, with each verdict, asked for and not."""
    for safety, verdict, asked in product(
        (True, False), (Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE), (True, False)
    ):
        # Safety that saw something is always judged.
        judged = asked or (safety and verdict is not Verdict.INCONCLUSIVE)
        count = 2 if verdict is Verdict.FAIL else 0
        statement = f"{count} of 9 things went wrong"
        yield CheckResult("holds", "It holds.", safety, verdict, statement, 9, (), count, judged=judged)


def runs() -> Iterator[RunReport]:
    """Every combination of a condition, a property (waived or not) and an objective, judged as runs are."""
    base = builder.analysis()
    for condition, check, objectives, waived in product(VALIDITY, checks(), OBJECTIVES, (False, True)):
        lifts = waived and check.verdict is Verdict.FAIL
        names = frozenset({"holds"}) if lifts else frozenset()
        score, verdict, vetoed = judge._verdict(base.score, (condition,), (check,), objectives, names)
        waivers = (WaiverUse("holds", "ops", "2026-12-31", "known", True, lifts),) if waived else ()
        judged = replace(
            base, verdict=verdict, vetoed=vetoed, reasons=("the reason",), validity=(condition,),
            checks=(check,), expectations=objectives, waivers=waivers, score=score,
        )  # fmt: skip
        yield builder.report(judged, traces=(), notes=())


RUNS = tuple(runs())


def code_of(run: RunReport) -> ExitCode:
    return exit_code(run.analysis.verdict, run.analysis.vetoed, run.end)


def test_the_list_agrees_with_the_exit_code() -> None:
    """The worst outcome is the verdict."""
    for run in RUNS:
        cases = [case for case in run.cases if case.outcome is not Outcome.INFORMATION]
        judged = [case for case in cases if case.kind != "validity" or case.outcome is not Outcome.PASSED]
        found = next((one for one in Outcome if having(judged, one)), Outcome.PASSED)  # all was waived
        code = ExitCode.FAIL if code_of(run) is ExitCode.SAFETY_VETO else code_of(run)
        assert CODES[found] is code, (run.analysis, cases)


def wrong_of(name: str, text: str) -> bool:
    """Whether a rendering has anything that is no pass."""
    if name == "report.json":
        outcomes = {case["outcome"] for case in json.loads(text)["cases"]}
        return bool(outcomes & {"error", "failed", "not exercised"})
    if name == "junit.xml":
        suite = ElementTree.fromstring(text.encode())[0]
        return (suite.attrib["failures"], suite.attrib["errors"]) != ("0", "0")
    if name == "report.html":
        return bool(re.search(r'<span class="badge (?:fail|invalid|inconclusive)">(?!<)', text))
    if name == "report.txt":
        (line,) = [line for line in text.splitlines() if line.startswith("  judged ")]
        return bool(re.search(r"\d (?:failed|error|not exercised)", line))
    return "Not held:" in text or "Not exercised:" in text


@pytest.mark.parametrize("name", [name for name in RUN_FORMATS if name != "report.html"])
def test_every_format_agrees_with_the_exit_code(name: str) -> None:
    """Something is red, or was not exercised, exactly when the exit code is not 0."""
    for run in RUNS:
        assert wrong_of(name, RUN_FORMATS[name](run)) == (code_of(run) != ExitCode.PASS), run.analysis


def test_the_page_agrees_with_the_exit_code() -> None:
    """The page too; its plots are slow, so each verdict is shown once for each list of outcomes."""
    seen: dict[tuple[object, ...], RunReport] = {}
    for run in RUNS:
        seen.setdefault((code_of(run), *(case.outcome for case in run.cases)), run)
    for (code, *_), run in seen.items():
        bare = replace(run, analysis=replace(run.analysis, timelines=()))
        assert wrong_of("report.html", RUN_FORMATS["report.html"](bare)) == (code != ExitCode.PASS)


def test_what_nobody_asked_for_is_no_failure() -> None:
    """A property that is violated and not asked for passes in JUnit, and Markdown tells it as information."""
    check = CheckResult("slow", "Quick.", False, Verdict.FAIL, "7 slow", 9, (), 7, judged=False)
    run = builder.report(replace(builder.analysis(), checks=(check,)))
    case = ElementTree.fromstring(RUN_FORMATS["junit.xml"](run).encode()).find(".//*[@name='liveness: slow']")
    assert case is not None and [child.tag for child in case] == ["system-out"]
    text = RUN_FORMATS["report.md"](run)
    assert "Not held" not in text and "- slow: 7 slow" in text.partition("For information")[2]


def test_a_waived_violation_is_told_with_its_date() -> None:
    """It is lifted, not hidden."""
    waiver = WaiverUse("no_duplicate_charge", "ops", "2026-12-31", "known", True, True)
    judged = replace(builder.fragile_fail().analysis, verdict=Verdict.PASS, vetoed=False, waivers=(waiver,))
    (case,) = [case for case in cases_of(judged) if case.name == "no_duplicate_charge"]
    assert case.outcome is Outcome.INFORMATION and case.statement.endswith("(waived until 2026-12-31)")


def test_what_did_not_hold_stands_apart_from_what_was_not_exercised() -> None:
    """Two lists, each only with its own."""
    silent = CheckResult("silent", "It speaks.", True, Verdict.INCONCLUSIVE, "not exercised: no word", 0)
    base = builder.fragile_fail().analysis
    run = builder.report(replace(base, checks=(*base.checks, silent)))
    held, apart = RUN_FORMATS["report.md"](run).split("Not exercised:")
    assert "- silent" not in held and "- silent: not exercised" in apart.partition("###")[0]
    assert "1 not exercised (silent)" in count_text(run.cases)


def test_a_vetoed_zero_has_no_interval() -> None:
    """It was not measured, in any format."""
    score = replace(builder.fragile_fail().analysis.score, interval=(88.0, 93.0))
    run = builder.report(replace(builder.fragile_fail().analysis, score=score))
    for name in ("report.md", "report.txt", "report.html"):
        assert "within this run" not in RUN_FORMATS[name](run)
