from __future__ import annotations

from dataclasses import replace

from experiment.verdict import Verdict
from measurement.analysis import MachineUse, ValidityCheck
from reports import console, html, markdown
from reports.report import FourNumbers, SuiteEntry, SuiteReport, summarise
from tests.reports import builder


def test_the_first_line_is_the_verdict_and_the_reason() -> None:
    """A hurried reader needs one line."""
    lines = console.run_lines(builder.fragile_fail())
    assert (
        lines[0]
        == "FAIL (veto)  charge_response_lost on fragile (seed 1): 3 duplicate charges on 214 invoices"
    )
    assert "  score    0, vetoed; would have been 91" in lines
    assert any("lost_response on billing -> payments, 13.021 s to 28.034 s" in line for line in lines)
    assert any("pay          fault  71.2% good of 240" in line for line in lines)


def test_plain_text_has_no_escapes_whatever_the_run_says() -> None:
    """Text from services cannot colour or move a terminal."""
    for text in console.run_lines(builder.hostile()):
        assert "\x1b" not in text
        assert "\x00" not in text


def test_colour_paints_the_verdict_only() -> None:
    """Two escapes, both ours, even when the run's own text holds escapes."""
    lines = console.run_lines(builder.hostile(), colour=True)
    assert lines[0].startswith("\x1b[1;31mFAIL (veto)\x1b[0m  ")
    assert sum(line.count("\x1b") for line in lines) == 2


def test_text_of_a_run_cannot_pass_for_our_colours() -> None:
    """A reason that holds our own escape codes is cleaned as well."""
    run = builder.fragile_fail()
    judged = replace(run.analysis, reasons=("\x1b[1;32mPASS\x1b[0m",))
    first = console.run_lines(replace(run, analysis=judged), colour=True)[0]
    assert first.count("\x1b") == 2
    assert first.startswith("\x1b[1;31mFAIL")


def test_a_simulated_run_says_so() -> None:
    """Never a pass without its source."""
    assert any("a prediction, not evidence" in line for line in console.run_lines(builder.simulated()))


def test_a_suite_ends_with_its_own_verdict() -> None:
    """One line a run, the four numbers, then the suite."""
    run = summarise(builder.fragile_fail())
    entries = (
        SuiteEntry("charge_response_lost", "fragile", Verdict.FAIL, run),
        SuiteEntry("payer_blackhole", "resilient", Verdict.PASS, None),
    )
    numbers = (FourNumbers("fragile", 0.0, 0.0, "charge_response_lost", 1, 54, 1),)
    lines = console.suite_lines(SuiteReport("smoke", "2026", "make run", entries, numbers=numbers))
    assert lines[0].startswith("charge_response_lost  fragile    FAIL (veto)")
    assert "EXPECTED pass" in lines[1]
    assert lines[2] == "fragile: weighted mean 0, worst 0 (charge_response_lost), coverage 1 of 54, vetoes 1"
    assert lines[3].startswith("suite INCONCLUSIVE: 1 of 2 runs came out as expected")


def test_a_suite_with_an_invalid_run_ends_with_what_to_do() -> None:
    """Each cause once, in the last line, the Markdown and the page; a suite without one has no such line."""

    def of(name: str, broken: str, pressed: float = 0.0) -> SuiteEntry:
        report = builder.invalid()
        checks = (ValidityCheck(broken, False, "seen"),)
        machine = MachineUse(2.0, 0.3, 1.7, 2.0, 0.9, pressed)
        spoilt = replace(report, analysis=replace(report.analysis, validity=checks, machine=machine))
        return SuiteEntry(name, "fragile", Verdict.PASS, summarise(spoilt))

    late = [of("a", "generator_kept_up"), of("b", "generator_kept_up"), of("c", "baseline_met", 0.9)]
    suite = SuiteReport("smoke", "2026", "make run", (*late, of("d", "baseline_met"), of("e", "a_new_one")))
    last = console.suite_lines(suite)[-1]
    assert last.startswith("hint: a on fragile and 1 more: free some cores (`codeblue doctor` shows")
    assert "; c on fragile: others kept the machine busy: run it again when it is quiet" in last
    assert "; d on fragile: make the system meet its objectives without a fault first" in last
    assert "; e on fragile: its page says which condition did not hold" in last
    assert "Hint: a on fragile and 1 more: free some cores" in markdown.render_suite(suite)
    assert "Hint: a on fragile and 1 more: free some cores" in html.render_suite(suite)
    expected = replace(late[0], expected=Verdict.INVALID)
    assert console.suite_lines(replace(suite, entries=(expected,)))[-1].startswith("suite PASS")
