from __future__ import annotations

import json
from dataclasses import replace

import pytest

from measurement.analysis import MachineUse, WaiverUse
from reports import console, html, json_report, junit, markdown, wording
from tests.reports import builder


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100%"), (0.9999, "> 99.9%"), (0.9931, "99.3%"), (0.5, "50%"), (0.0, "0%"), (0.0004, "0%")],
)
def test_only_a_whole_share_is_printed_as_all(share: float, text: str) -> None:
    """Rounding never turns one failure in ten thousand into 100%."""
    assert wording.percent(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.0, "0 s"),
        (0.0213456, "21.3 ms"),
        (1.23456, "1.23 s"),
        (90.0, "90 s"),
        (3600.0, "60 min"),
    ],
)
def test_durations_have_three_digits(seconds: float | None, text: str) -> None:
    """No figure is a dash, never a nought."""
    assert wording.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.004, "+4 ms"), (-1.5, "-1.5 s"), (-0.0894, "-89.4 ms"), (0.0, "0 s")]
)
def test_a_difference_of_times_has_a_sign_and_the_unit_of_its_size(seconds: float, text: str) -> None:
    """A negative one is no number of microseconds."""
    assert wording.signed_duration(seconds) == text


def test_what_stands_in_brackets_is_not_broken() -> None:
    """A column may break before an interval and after it, never within."""
    assert wording.unbroken("91 (88 to 94), 1 never") == "91 (88\u00a0to\u00a094), 1 never"


def test_a_veto_keeps_the_score_that_would_have_been() -> None:
    """The wording of the verdict page."""
    assert wording.score_text(builder.fragile_fail().analysis.score) == (
        "0 (vetoed: 3 duplicate charges; would have been 91)"
    )
    assert wording.score_short(builder.fragile_fail().analysis.score) == "0, vetoed; would have been 91"
    assert wording.score_text(builder.resilient_pass().analysis.score) == "93"
    assert wording.score_short(builder.resilient_pass().analysis.score) == "93"
    assert wording.score_text(builder.invalid().analysis.score) == "no score"


def test_a_failure_stands_beside_its_score() -> None:
    """In every text, and in the JSON for programs too."""
    run = builder.resilient_pass()
    score = replace(run.analysis.score, failed=("bounded_staleness", "pay p95 in fault"))
    failed = replace(run, analysis=replace(run.analysis, score=score))
    text = "93 (failed: bounded_staleness, pay p95 in fault)"
    assert wording.score_text(score) == text
    assert wording.score_short(score) == "93, failed"
    assert json.loads(json_report.render_run(failed))["score"] == text
    for rendering in (console.render_run, html.render_run, junit.render_run):
        assert text in rendering(failed)
    assert text.replace("_", "\\_") in markdown.render_run(failed)


def test_a_waiver_says_what_it_changed() -> None:
    """Whatever its reason says: the state is no prose."""
    reason = "it lifts a violation of this run"
    expired = WaiverUse("no_duplicate_charge", "Dana", "2026-02-28", reason, False, False)
    assert wording.waiver_text(expired).endswith(f"{reason} (expired, lifts nothing in this run)")
    used = replace(expired, in_force=True, lifts=True)
    assert wording.waiver_text(used).endswith("(in force, lifts a violation of this run)")


def test_a_machine_that_others_kept_busy_is_a_remark_in_every_report() -> None:
    """A line of its own for readers of a run; of one that had its machine nothing but a row of the page."""
    whole = builder.resilient_pass()
    busy = MachineUse(2.0, 0.31, 1.62, 1.94, 0.951, 0.8)
    said = (
        "under pressure from outside for 80% of the load: others took 1.6 of 2 cores (at most 1.9), "
        "the run 0.3; something waited for CPU 95.1% of the time"
    )
    pressed = replace(whole, analysis=replace(whole.analysis, machine=busy))
    assert f"  machine  {said}" in console.run_lines(pressed)
    assert f"Machine: {markdown.text(said)}." in markdown.render_run(pressed)
    assert said in html.render_run(pressed)
    quiet = replace(busy, others=0.1, most_others=0.2, waiting=None, pressed=0.0)
    alone = replace(whole, analysis=replace(whole.analysis, machine=quiet))
    for page in (console.render_run(alone), markdown.render_run(alone), html.render_run(alone)):
        assert "pressure from outside" not in page
    assert (
        "others took 0.1 of 2 cores (at most 0.2), the run 0.3; "
        "for how long something waited for CPU the kernel does not say (no PSI)"
    ) in html.render_run(alone)


def test_the_worst_of_a_suite_says_what_it_leaves_out() -> None:
    """A run without a score may have been the worst one."""
    assert wording.worst_text(12.4, "payer_blackhole", 0) == "12 (payer_blackhole)"
    assert (
        wording.worst_text(12.4, "payer_blackhole", 2)
        == "12 (payer_blackhole), of those with a score (2 have none)"
    )
    assert wording.worst_text(None, "", 1) == "–, of those with a score (1 have none)"


def test_an_interval_is_labelled_as_one_of_a_single_run() -> None:
    """One run's interval is not one of repeats."""
    assert wording.interval_text(builder.resilient_pass().analysis.score) == "90 to 96 (95%, within this run)"
    assert wording.interval_text(builder.fragile_fail().analysis.score) == ""


def test_phases_are_put_in_their_order() -> None:
    """Whatever the order of the rows; an unknown phase comes last."""
    rows = [builder.journey_phase("pay", phase) for phase in ("recovery", "other", "fault", "baseline")]
    assert [row.phase for row in wording.by_phase(rows)] == ["baseline", "fault", "recovery", "other"]


def test_a_wall_clock_time_is_utc_with_milliseconds() -> None:
    """The zero of the run plus the time of the run."""
    assert wording.wall(1.5, 1_790_000_000.0) == "2026-09-21 14:13:21.500 UTC"


@pytest.mark.parametrize(
    ("started", "text"),
    [
        ("2026-11-20T09:30:00+00:00", "2026-11-20 09:30 UTC"),
        ("2026-11-20T09:30:59.678+00:00", "2026-11-20 09:30 UTC"),
        ("yesterday", "yesterday"),
    ],
)
def test_a_page_says_when_in_words_of_people(started: str, text: str) -> None:
    """The minute is enough to find a run; its files have the rest."""
    assert wording.moment(started) == text
