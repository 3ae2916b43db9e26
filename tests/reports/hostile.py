"""Texts that try to act where they are shown, and documents that hold them in every field."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Literal, TypeVar, get_origin

from comparison.formats import COMPARISON_FORMATS
from comparison.formats import said as comparison_said
from experiment.decoding import hints_of
from experiment.tables import flat
from experiment.verdict import Verdict
from gate.formats import GATE_FORMATS, workflow_commands
from gate.formats import lines as gate_lines
from reports import console
from reports.formats import RUN_FORMATS, SUITE_FORMATS
from reports.report import FourNumbers, SuiteEntry, SuiteReport, summarise
from tests.comparison.test_comparison import compared, runs
from tests.gate.test_formats import unsafe
from tests.reports import builder
from trend.formats import TREND_FORMATS
from trend.formats import said as trend_said
from trend.report import TrendLine, TrendPoint, TrendReport

T = TypeVar("T")

PAYLOADS = {
    "github": "##[error]owned",
    "azure": "x ##vso[task.setvariable variable=a]b",
    "stop": "::stop-commands::token",
    "stop in a later line": "x\n  ::set-output name=a::b",
    "escapes": "\x1b[2J\x1b]0;owned\x07\x1b[31mred",
    "one-byte escapes": "\x9b2J\x9d0;owned\x9c",
    "direction": "\u202egnp.exe\u2066",
    "unseen": "a\u200bb\U000e0041\ufeff",
    "returns": "good\rbad\x08\x08",
    "lone surrogate": "\ud800",
    "nul": "a\x00b",
    "script": "<script>alert(1)</script>",
    "image": "<img src=http://198.51.100.1/x.png onerror=alert(1)>",
    "attribute": '" onmouseover="alert(1)" x=\'',
    "address": "javascript:alert(1)",
    "template": "{{ 7*7 }}{% raw %}",
    "xml": "]]><!ENTITY x SYSTEM 'file:///etc/passwd'>&x;",
    "markdown": "![x](http://198.51.100.1/y.png) [a](javascript:alert(1)) | @team #1 `x` **b** <b>",
    "fence": "```\n# owned\n```",
    "formula": '=HYPERLINK("http://198.51.100.1")',
    "mathtext": r"$\frac{a}{$ ^_{}",
    "long": "x" * 200_000,
}

FIRST = ("stop", "address", "formula", "long")  # those that act at the begin of a text only, or are large
TOGETHER = {name: PAYLOADS[name] for name in FIRST}
TOGETHER["all others"] = "\n".join(text for name, text in PAYLOADS.items() if name not in FIRST)


def filled(value: T, payload: str) -> T:
    """The value with the payload in every text, keys of mappings included."""
    result: Any = _filled(value, payload)
    found: T = result
    return found


def _filled(value: Any, payload: str) -> Any:
    if isinstance(value, str):
        return value if isinstance(value, Enum) else payload
    if isinstance(value, tuple | list):
        return type(value)(_filled(item, payload) for item in value)
    if isinstance(value, Mapping):
        return {f"{payload}{n}": _filled(item, payload) for n, item in enumerate(value.values())}
    if is_dataclass(value) and not isinstance(value, type):
        made = copy.copy(value)
        hints = hints_of(type(value))
        for field in fields(value):
            if get_origin(hints[field.name]) is Literal:
                continue  # one of our own words
            object.__setattr__(made, field.name, _filled(getattr(value, field.name), payload))
        again = getattr(made, "__post_init__", None)
        if again is not None and type(value).__module__.split(".")[0] != "experiment":
            again()  # what a document does when it is made
        return made
    return value


@cache
def documents(payload: str) -> dict[str, str]:
    """Format to text of every kind of document in every format, with the payload in every field."""
    return dict(_documents(payload))


def _documents(payload: str) -> Iterator[tuple[str, str]]:
    for run in (builder.fragile_fail(), builder.invalid(), builder.simulated()):
        made = filled(run, payload)
        for name, render in RUN_FORMATS.items():
            yield f"run {name}", render(made)
        yield "run lines.txt", "\n".join(console.run_lines(made))
    suite = filled(suite_report(), payload)
    for name, of_suite in SUITE_FORMATS.items():
        yield f"suite {name}", of_suite(suite)
    gate = filled(unsafe(), payload)
    for name, of_gate in GATE_FORMATS.items():
        yield f"gate {name}", of_gate(gate)
    yield "gate lines.txt", "\n".join(gate_lines(gate))
    yield "gate annotations", "\n".join(workflow_commands(gate))
    trend = filled(trend_report(), payload)
    for name, of_trend in TREND_FORMATS.items():
        yield f"trend {name}", of_trend(trend)
    yield "trend lines.txt", "\n".join(flat(trend_said(trend)))
    comparison = filled(compared(*runs("a", 80), *runs("b", 90)), payload)
    for name, of_comparison in COMPARISON_FORMATS.items():
        yield f"comparison {name}", of_comparison(comparison)
    yield "comparison lines.txt", "\n".join(flat(comparison_said(comparison)))


def suite_report() -> SuiteReport:
    entries = tuple(
        SuiteEntry(
            run.facts.scenario.name, run.facts.design.name, Verdict.PASS, summarise(run), 1.0, "x.html"
        )
        for run in (builder.resilient_pass(), builder.fragile_fail())
    )
    numbers = (FourNumbers("resilient", 90.0, 80.0, "charge_response_lost", 1, 9, 0),)
    started = "2026-11-20T09:30:00+00:00"
    return SuiteReport(
        "smoke", started, "codeblue suite smoke", entries, "Smoke", numbers, machine={"cpu": "2 cores"}
    )


def trend_report() -> TrendReport:
    points = tuple(
        TrendPoint(
            f"2026-11-{day}T09:30:00", "1a2b3c", "c1", 3, 90.0, 0.1, 2.0, 0, 1, (("a", 1),), ("1",), "w", "m"
        )
        for day in (18, 19, 20)
    )
    return TrendReport(
        "smoke", "control", (TrendLine("resilient", "processes", points, (1,)),), "codeblue trend"
    )
