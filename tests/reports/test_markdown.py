from __future__ import annotations

import re
from dataclasses import replace

from experiment.verdict import Verdict
from reports import markdown
from reports.report import SuiteEntry, SuiteReport, summarise
from tests.reports import builder


def test_the_verdict_the_veto_and_both_charges_are_there() -> None:
    """A CI summary says what broke, with the evidence."""
    text = markdown.render_run(builder.fragile_fail())
    assert text.startswith("## ✗ fail, safety veto: charge\\_response\\_lost on fragile\n")
    assert "**0 (vetoed: 3 duplicate charges; would have been 91)**" in text
    assert "`store payments, kind charge, key inv-3fa2c1-000001, id ch-0003, t 15.900 s" in text
    assert "| fault | pay | 240 | 71.2% |" in text


def test_what_holds_is_said_in_one_line() -> None:
    """A pass does not list what is well."""
    text = markdown.render_run(builder.resilient_pass())
    assert "Every condition, property and objective that was judged held." in text
    assert "Not held" not in text


def test_untrusted_text_is_no_markup() -> None:
    """Pipes, brackets, backticks, HTML and mentions lose their meaning; table rows keep their cells."""
    text = markdown.render_run(builder.hostile())
    outside_code = re.sub(r"(`+) ?.*?\1", "", text.split("```sh")[0].replace("\\`", ""))
    assert "<" not in outside_code
    rows = [line for line in text.splitlines() if line.startswith("| fault |")]
    assert [len(re.findall(r"(?<!\\)\|", row)) for row in rows] == [6, 10]
    assert markdown.text("a\n\nb | @team [x](y) <b>") == "a b \\| @\u200bteam \\[x\\](y) &lt;b&gt;"


def test_inline_code_survives_backticks() -> None:
    """The fence is longer than any run of backticks inside."""
    assert markdown.code("a`b") == "``a`b``"
    assert markdown.code("`") == "`` ` ``"
    assert markdown.code("") == "` `"


def test_a_command_cannot_close_its_block() -> None:
    """A command with a fence in it stays inside the code block."""
    run = builder.resilient_pass()
    text = markdown.render_run(replace(run, header=replace(run.header, command="x ``` # owned")))
    assert text.split("```sh")[1].count("```") == 1


def test_a_suite_marks_the_run_that_was_not_expected() -> None:
    """The odd run is bold and named in the headline."""
    entries = tuple(
        SuiteEntry("charge_response_lost", run.facts.design.name, Verdict.PASS, summarise(run))
        for run in (builder.resilient_pass(), builder.fragile_fail())
    )
    text = markdown.render_suite(SuiteReport("smoke", "2026-11-20", "make run", entries))
    assert "1 of 2 runs came out as expected" in text
    assert "| **✗ fail** | pass | 0 (vetoed" in text
    assert "| ✓ pass | pass | 93 |" in text
