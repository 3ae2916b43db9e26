"""What a gate says in each form that a pipeline reads."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from experiment.verdict import Verdict
from gate.decide import Decision, decide
from gate.formats import (
    GATE_FORMATS,
    badge,
    gate_schema,
    lines,
    render_badge,
    render_html,
    render_json,
    render_junit,
    render_markdown,
    workflow_commands,
)
from gate.pairs import PairedRun, Side
from gate.report import GateReport, GateRun, GateViolation, Rate, gate_exit_code
from gate.sarif import render_sarif
from measurement.statistics import Estimate, score_estimate

VETO = frozenset({"no_duplicate_charge"})


def report(candidate: list[Side], **known: Any) -> GateReport:
    base = [Side(90 + n % 2, latency=((400, 50),), good=99, offered=100) for n in range(len(candidate))]
    runs = [PairedRun("lost", n, a, b) for n, (a, b) in enumerate(zip(base, candidate, strict=True))]
    result = decide(runs)
    values: dict[str, Any] = {
        "baseline": "resilient", "candidate": "new", "suite": "smoke", "result": result,
        "pairs": len(runs), "score": Estimate(88.2, 85.0, 91.0, 5, "t on logit"), "refusals": (),
        "violations": (), "warnings": (), "command": "codeblue gate", "started_at": "2026-11-20",
        "rates": (Rate("candidate vetoed", 0, 5),),
    }  # fmt: skip
    return GateReport(**{**values, **known})


def passing() -> GateReport:
    return report([Side(90 + n % 2, latency=((400, 50),), good=99, offered=100) for n in range(5)])


def unsafe() -> GateReport:
    found = GateViolation(
        "no_duplicate_charge", "lost", 3, "2 charges: 100% more\nthan one", "scenarios/a,b.yaml", 9
    )
    return report([Side(0, VETO) for _ in range(5)], violations=(found,))


def unclear() -> GateReport:
    return report([Side(60 + 12 * n) for n in range(5)])


@pytest.mark.parametrize("made", [passing(), unsafe(), unclear()], ids=["pass", "unsafe", "unclear"])
def test_json_satisfies_its_schema(made: GateReport) -> None:
    """Decision and sentence stand at the top, the evidence below."""
    document = json.loads(render_json(made))
    jsonschema.Draft202012Validator(gate_schema()).validate(document)
    assert document["decision"] == made.decision.value and document["sentence"]


def test_a_broken_floor_is_a_regression() -> None:
    """--min-score decides whatever the pairs say, and the sentence is its own."""
    made = replace(passing(), refusals=("the candidate's mean score is 50.0, expected at least 80",))
    assert made.decision is Decision.REGRESSION
    assert "at least 80" in lines(made)[0]


def test_a_broken_floor_hides_no_other_reason() -> None:
    """What the pairs say stands below it; a new veto, which is graver, stands above it."""
    floor = "the candidate's mean score is 50.0, expected at least 80"
    low = replace(passing(), refusals=(floor,))
    assert (low.sentence, low.evidence) == (floor, (low.result.sentence,))
    vetoed = replace(unsafe(), refusals=(floor,))
    assert "violates no_duplicate_charge" in vetoed.sentence and floor in vetoed.evidence
    unclean = replace(vetoed, unclean=("run-7",))
    assert "run-7" in unclean.sentence and unclean.evidence == (vetoed.sentence, *vetoed.evidence)
    for made in (low, vetoed, unclean):
        for shown in (render_markdown(made), "\n".join(lines(made))):
            for reason in (made.sentence, *made.evidence):
                assert shown.replace("\\", "").count(reason) == 1


def test_junit_tells_failures_from_errors() -> None:
    """A regression is a failure, not known is an error, and skipped where the policy is to warn."""
    counts = {}
    for name, made in {
        "pass": passing(), "unsafe": unsafe(), "fail": unclear(),
        "warn": replace(unclear(), on_inconclusive="warn"),
    }.items():  # fmt: skip
        suite = ElementTree.fromstring(render_junit(made).split("\n", 1)[1])[0]
        counts[name] = tuple(int(suite.get(key) or 0) for key in ("failures", "errors", "skipped"))
    assert counts == {"pass": (0, 0, 0), "unsafe": (2, 0, 0), "fail": (0, 1, 0), "warn": (0, 0, 1)}


def strict(required: str, **properties: Any) -> dict[str, Any]:
    """An object of which these properties are known, and `required` (names with blanks) must be there."""
    known = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**known, "required": required.split()}


def many(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, "uniqueItems": True}


TEXT = {"type": "string", "minLength": 1}
WHOLE = {"type": "integer", "minimum": 0}
LEVEL = {"enum": ["none", "note", "warning", "error"]}
MESSAGE = strict("text", text=TEXT, markdown=TEXT)
PLACE = strict(
    "physicalLocation",
    physicalLocation=strict(
        "artifactLocation",
        artifactLocation=strict("uri", uri={"pattern": r"^[\w.~%/:-]+$"}),
        region=strict("startLine", startLine={"type": "integer", "minimum": 1}),
    ),
)
RULE = strict(
    "id",
    id=TEXT,
    name=TEXT,
    shortDescription=MESSAGE,
    fullDescription=MESSAGE,
    help=MESSAGE,
    defaultConfiguration=strict("", level=LEVEL),
    properties=strict("", tags=many(TEXT)),
)
SARIF = strict(  # what we write of it, after the JSON schema of the OASIS standard, errata 01
    "version runs",
    version={"const": "2.1.0"},
    runs=many(
        strict(
            "tool",
            tool=strict("driver", driver=strict("name", name=TEXT, version=TEXT, rules=many(RULE))),
            automationDetails=strict("", id=TEXT),
            invocations=many(
                strict(
                    "executionSuccessful",
                    executionSuccessful={"type": "boolean"},
                    exitCode={"type": "integer"},
                    exitCodeDescription=TEXT,
                    toolExecutionNotifications={
                        "type": "array",
                        "items": strict("message", level=LEVEL, message=MESSAGE),
                    },
                )
            ),
            results={
                "type": "array",
                "items": strict(
                    "message ruleId locations",  # the last two a code host demands, not the standard
                    message=MESSAGE,
                    ruleId=TEXT,
                    ruleIndex=WHOLE,
                    level=LEVEL,
                    locations=many(PLACE),
                    partialFingerprints={"type": "object", "additionalProperties": TEXT},
                ),
            },
        )
    ),
) | {"patternProperties": {"^[$]schema$": {"const": "https://json.schemastore.org/sarif-2.1.0.json"}}}


@pytest.mark.parametrize("made", [passing(), unsafe(), unclear()], ids=["pass", "unsafe", "unclear"])
def test_sarif_has_what_the_standard_demands(made: GateReport) -> None:
    """Every object has what 2.1.0 requires of it, and nothing that it does not know."""
    jsonschema.Draft202012Validator(SARIF).validate(json.loads(render_sarif(made)))


def test_sarif_has_a_rule_for_each_result_and_its_place() -> None:
    """Rules are told once; the place is a relative address with a line from 1, whatever the name holds."""
    run = json.loads(render_sarif(unsafe()))["runs"][0]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    (result,) = run["results"]
    assert rules == [result["ruleId"]] == ["no_duplicate_charge"]
    place = result["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "scenarios/a%2Cb.yaml"}, "region": {"startLine": 9}}


def test_sarif_of_a_pass_is_an_empty_run() -> None:
    """No violation is no result, which a service reads as all fixed."""
    (run,) = json.loads(render_sarif(passing()))["runs"]
    assert run["results"] == [] and run["tool"]["driver"]["rules"] == []
    assert run["invocations"][0]["executionSuccessful"] is True


@pytest.mark.parametrize("policy", ["fail", "warn"])
def test_sarif_of_a_gate_that_does_not_know_is_not_that_of_a_pass(policy: str) -> None:
    """Its execution was not successful, whatever the policy makes of it; the reason stands beside."""
    made = replace(unclear(), on_inconclusive=policy)
    (run,) = json.loads(render_sarif(made))["runs"]
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False and run["results"] == []
    assert made.sentence in invocation["toolExecutionNotifications"][0]["message"]["text"]
    assert invocation["exitCode"] == int(gate_exit_code(made))


def test_sarif_names_its_version_helps_and_recognises_results() -> None:
    """The tool's version, help for each rule, and a fingerprint that a moved line does not change."""
    made = replace(unsafe(), version="0.1.0, commit 1a2b")
    (run,) = json.loads(render_sarif(made))["runs"]
    driver = run["tool"]["driver"]
    assert (
        driver["version"] == "0.1.0, commit 1a2b"
        and "no_duplicate_charge" in driver["rules"][0]["help"]["text"]
    )
    moved = replace(made, violations=(replace(made.violations[0], line=70),))
    other = replace(made, violations=(replace(made.violations[0], seed=4),))
    prints = [
        json.loads(render_sarif(one))["runs"][0]["results"][0]["partialFingerprints"]
        for one in (made, moved, other)
    ]
    assert prints[0] == prints[1] != prints[2]


RUNS = (
    GateRun("baseline", "lost", 1, Verdict.PASS, False, 91.0, "../b-1/report.html", 40.5),
    GateRun("candidate", "lost", 1, Verdict.FAIL, True, 0.0, "../c 1/report.html", 41.0),
)


def test_every_run_is_a_click_away() -> None:
    """From the page and from Markdown, with its verdict."""
    made = replace(unsafe(), runs=RUNS)
    page, markdown = render_html(made), render_markdown(made)
    assert 'href="../b-1/report.html"' in page and 'href="../c%201/report.html"' in page
    assert "REGRESSION" in page and "scenarios/a,b.yaml:9" in page
    assert "[vetoed](../c%201/report.html)" in markdown


def test_junit_has_the_times_of_the_runs() -> None:
    """Of each scenario what its runs took together, and of all."""
    root = ElementTree.fromstring(render_junit(replace(unsafe(), runs=RUNS)).split("\n", 1)[1])
    times = {case.get("name"): case.get("time") for case in root.iter("testcase")}
    assert times["lost"] == "81.500" and root.get("time") == root[0].get("time") == "81.500"
    assert all(case.get("time") is not None for case in root.iter("testcase"))


def test_annotations_escape_what_ends_them() -> None:
    """Percent signs, line ends, and the commas of a file's name."""
    first, second = workflow_commands(unsafe())
    assert first.startswith("::error title=Resilience gate::")
    assert second == (
        "::error file=scenarios/a%2Cb.yaml,line=9,title=no_duplicate_charge::"
        "lost, seed 3: 2 charges: 100%25 more%0Athan one"
    )
    assert workflow_commands(passing())[0].startswith("::notice ")
    assert workflow_commands(unclear())[0].startswith("::error ")
    assert workflow_commands(replace(unclear(), on_inconclusive="warn"))[0].startswith("::warning ")


def test_a_violation_of_both_sides_is_a_warning_beside_a_green_gate() -> None:
    """An error there would be taken for the gate's own."""
    old = replace(passing(), violations=unsafe().violations)
    assert [command.partition(" ")[0] for command in workflow_commands(old)] == ["::notice", "::warning"]


@pytest.mark.parametrize(("policy", "tag"), [("fail", "error"), ("warn", "skipped")])
def test_a_figure_that_is_not_known_is_no_pass(policy: str, tag: str) -> None:
    """A p95 that looks worse and is not shown to be has a case that is not green."""
    slow = [Side(90, latency=((400 + 30 * n, 50),), good=99, offered=100) for n in range(5)]
    made = report(slow, on_inconclusive=policy)
    assert any(figure.unclear for figure in made.result.figures)
    cases = {c.get("name"): c for c in ElementTree.fromstring(render_junit(made)).iter("testcase")}
    assert cases["p95 before the fault"].find(tag) is not None
    assert cases["goodput"].find(tag) is None


def test_markdown_has_the_reason_and_the_evidence() -> None:
    """Decision, sentence, a row a scenario, a row a figure, rates with exact intervals."""
    text = render_markdown(unsafe())
    assert "## ✗ Resilience gate: regression" in text
    assert "| lost | -90" in text
    assert "candidate vetoed: 0 of 5 runs (95%: 0% to 52.2%)" in text


def test_one_pair_is_told_in_the_singular() -> None:
    """In Markdown, on the terminal and in the rates."""
    one = report([Side(0, VETO)], rates=(Rate("candidate vetoed", 1, 1),), score=score_estimate([0.0, 0.0]))
    shown = render_markdown(one) + "\n".join(lines(one))
    assert not re.search(r"\b1 (complete )?(pairs|runs)\b", shown)
    assert "1 complete pair." in shown and "1 of 1 run (" in shown and ", 1 pair\n" in shown
    assert "score 0 (all 2 alike)" in shown


def test_badge_is_svg_with_a_text_alternative() -> None:
    """Decision and score."""
    root = ElementTree.fromstring(render_badge(passing()))
    assert root.get("aria-label") == "resilience: pass 88"
    assert ElementTree.fromstring(badge("a", "b", "#000")).get("height") == "20"


def test_every_format_renders_every_decision() -> None:
    """No format fails on a gate that has seen nothing."""
    empty = report([], rates=(), score=None)
    assert all(rendering(empty) for rendering in GATE_FORMATS.values())
