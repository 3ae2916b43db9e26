from __future__ import annotations

from dataclasses import replace

from experiment.history import Operation, Record, build
from experiment.verdict import Violation
from measurement.analysis import Analysis
from reports.sequences import MOST_STEPS, sequence_chart, sequences
from tests.reports import builder

KEY = "inv-3fa2c1-000001"
PAY = Operation(1, "pay", KEY, 15.2, 15.2, 16.1, "acknowledged", trace="ab" * 16)
RETRY = replace(PAY, id=2, intended=15.6, ended=17.0, outcome="indeterminate", error="timeout")
CHARGES = [
    Record("payments", "charge", KEY, f"ch-{n}", 15.3 + n, status="captured", value="a name") for n in (1, 2)
]
READ = Operation(3, "final_read", KEY, 48.0, 48.0, 48.1, "acknowledged", label="paid")


def judged(*violations: Violation) -> Analysis:
    run = builder.fragile_fail()
    (check,) = [one for one in run.analysis.checks if one.violations]
    return replace(run.analysis, checks=(replace(check, violations=violations or check.violations[:1]),))


def test_what_happened_to_a_key_stands_in_the_order_of_time() -> None:
    """Its operations and its rows in all stores, also those that the violation does not name; what was read
    when all was over stands apart, and other keys are left out."""
    other = replace(PAY, id=4, key="inv-9", intended=15.0, ended=15.1)
    (found,) = sequences(build([builder.report().header, READ, *CHARGES, RETRY, PAY, other]), judged())
    assert [(step.t, step.where, step.what) for step in found.steps] == [
        (15.2, "user", "pay acknowledged"),
        (15.6, "user", "pay timeout"),
        (16.3, "payments", "charge ch-1 captured"),
        (17.3, "payments", "charge ch-2 captured"),
    ]
    assert [(step.t, step.what) for step in found.reads] == [(48.0, "final_read paid")]
    assert (found.steps[0].trace, found.left_out) == ("ab" * 16, 0)


def test_keys_that_the_evidence_names_belong_to_it() -> None:
    """A violation of one thing may show in the rows of another."""
    named = Violation("odd", "enc-1", 16.0, ({"type": "record", "key": KEY},))
    (found,) = sequences(build([builder.report().header, PAY]), judged(named))
    assert (found.key, len(found.steps)) == ("enc-1", 1)


def test_a_chart_shows_the_fault_the_steps_and_the_moment() -> None:
    """Ids and states alone: what a row holds besides is not drawn."""
    (found,) = sequences(build([builder.report().header, PAY, RETRY, *CHARGES]), judged())
    drawn = sequence_chart(found, (builder.window(),), {"ab" * 16: 2})
    for text in ("lost_response on billing -&gt; payments", "charge ch-1 captured", "(trace 2)", "1.4 s ✗"):
        assert text in drawn
    assert "violated" in drawn and "a name" not in drawn
    assert f"What happened to {KEY}: user pay acknowledged at 15.200 s" in drawn


def test_a_key_with_many_steps_says_how_many_are_left_out() -> None:
    """Nobody reads a hundred rows."""
    many = [replace(PAY, id=n, intended=15 + n / 100, ended=15.5 + n / 100) for n in range(1, 101)]
    (found,) = sequences(build([builder.report().header, *many]), judged())
    assert (len(found.steps), found.left_out) == (MOST_STEPS, 100 - MOST_STEPS)


def test_a_key_of_which_nothing_is_known_has_no_chart() -> None:
    """A violation of a property that watches counters has no operations of its own."""
    assert sequences(build([builder.report().header, PAY]), judged(Violation("many", "a -> b", None))) == ()
