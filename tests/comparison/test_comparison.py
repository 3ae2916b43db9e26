"""Designs side by side, from hand-written records."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from comparison.compare import best, comparison_exit_code, screening
from comparison.figures import comparison_report
from comparison.formats import COMPARISON_FORMATS, said
from comparison.report import ComparisonReport, DesignDifferences, DesignFigures, Difference
from comparison.words import tables
from experiment.errors import ExitCode
from experiment.jobs import Turn, interleaved
from experiment.tables import flat
from experiment.verdict import Verdict
from measurement.run_records import PropertyFigures, RunRecord
from tests.execution.builders import record

TITLES = {"a": "the first", "b": "the second"}
WEIGHTS = {"s": 3.0, "t": 1.0}


def runs(design: str, score: float, **known: object) -> list[RunRecord]:
    """Five seeds in two scenarios, a point apart."""
    return [
        record(0, seed, scenario=scenario, design=design, score=score + seed % 3, **known)
        for seed in range(1, 6)
        for scenario in WEIGHTS
    ]


def compared(*records: RunRecord) -> ComparisonReport:
    return comparison_report("try", records, WEIGHTS, TITLES, "compare", "simulation")


def test_turns_alternate() -> None:
    """A, B, B, A: a drift of the machine favours neither, and every pair shares its seed."""
    jobs = interleaved(["s", "t"], [Turn("a"), Turn("b")], (1, 2))
    assert [job.design for job in jobs] == ["a", "b", "b", "a", "a", "b", "b", "a"]
    assert all(
        (x.scenario, x.seed) == (y.scenario, y.seed) for x, y in zip(jobs[::2], jobs[1::2], strict=True)
    )


def test_a_clear_winner_is_named_with_its_price() -> None:
    """Ten points more, for twice the calls."""
    report = compared(*runs("a", 80, calls=2.0), *runs("b", 90.5, calls=4.0))
    assert report.words[0].startswith("b wins: b 92")
    assert any("+100% calls" in words for words in report.words)
    (effect,) = [effect for effect in report.effects if effect.scenario == "all"]
    assert effect.difference.mean == pytest.approx(10.5)


def test_chance_has_no_winner() -> None:
    """Half a point that comes and goes is no win."""
    noisy = [
        record(0, seed, scenario=scenario, design="b", score=80 + 9 * (-1) ** seed)
        for seed in range(1, 6)
        for scenario in WEIGHTS
    ]
    assert compared(*runs("a", 80), *noisy).words[0].startswith("There is no clear winner")


def test_vetoes_come_before_scores() -> None:
    """The design with a veto loses although its mean score is higher."""
    report = compared(*runs("a", 95, vetoed=True), *runs("b", 70))
    assert report.words[0].startswith("b wins, since it has fewer vetoes")
    assert best(report, 1) == ("b",)


def test_every_veto_is_told_with_its_property() -> None:
    """In the headline, in the tables, in the plot and with the runs, also where records keep no figures of
    properties."""
    broken = {"vetoed": True, "safety": ("once",), "score": 0.0, "verdict": Verdict.FAIL, "calls": 2.0}
    bad = [record(0, seed, scenario=s, design="a", **broken) for seed in range(1, 4) for s in WEIGHTS]
    report = compared(*bad, *runs("b", 70, calls=2.001))
    assert "Vetoed: a, in 6 runs (once in 6)." in report.words
    (row,) = next(one for one in tables(report)[0] if one.title == "Safety").rows[:1]
    assert row[:2] == ("once", "a") and row[-1].startswith("6 of 6 runs")
    html, markdown = (COMPARISON_FORMATS[f"comparison.{kind}"](report) for kind in ("html", "md"))
    assert "a (vetoed)" in html and 'href="../0-1/report.html"' in html
    assert "6 (once\u00a0in\u00a06)" in html and "[seed 1 ✗ veto](../0-1/report.html)" in markdown
    cell = next(cell for cell in report.cells if (cell.scenario, cell.design) == ("s", "a"))
    assert (cell.verdict, cell.vetoed_by) == (Verdict.FAIL, (("once", 3),))


def test_files_are_told_by_name() -> None:
    """No path of a machine stands on the page."""
    files = {"/home/x/smoke/s.yaml": 3.0, "/home/x/night/s.yaml": 1.0}
    designs = {"/home/x/a.yaml": "", "b": ""}
    found = [
        record(0, seed, scenario=s, design=d, score=50.0) for seed in (1, 2) for s in files for d in designs
    ]
    report = comparison_report("try", found, files, designs, "compare", "simulation")
    assert report.scenarios == ("smoke/s", "night/s")
    assert [design.design for design in report.designs] == ["a", "b"]
    assert "/home/x" not in "".join(rendering(report) for rendering in COMPARISON_FORMATS.values())


def test_no_difference_leaves_the_scale() -> None:
    """Scores are at most 100 points apart, so is the interval of their difference."""
    found = [record(0, seed, scenario=s, design=d, score=100.0 * ((d == "a") ^ (seed == 2)))
             for seed in (1, 2, 3) for s in WEIGHTS for d in TITLES]  # fmt: skip
    for effect in compared(*found).effects:
        d = effect.difference
        assert d.low is not None and d.high is not None and -100 <= d.low <= d.high <= 100


def test_what_designs_do_otherwise_is_listed() -> None:
    """Every switch with both values."""
    rows = (Difference("billing saga", "off", "on"),)
    report = replace(
        compared(*runs("a", 80), *runs("b", 80)), differences=(DesignDifferences("b", "a", rows),)
    )
    for kind in ("html", "md"):
        text = COMPARISON_FORMATS[f"comparison.{kind}"](report)
        assert "What b does otherwise" in text and "billing saga" in text


def test_a_scenario_without_a_score_leaves_no_winner() -> None:
    """A mean over some of the scenarios is never formed."""
    report = compared(*runs("a", 80), record(0, 1, scenario="s", design="b"))
    assert "no winner" in report.words[0]
    assert best(report, 2) == ("a", "b")


def test_every_format_renders() -> None:
    """Page, Markdown, JSON and terminal hold both designs; calls are the cost where CPU is unknown."""
    report = compared(*runs("a", 80, calls=2.0), *runs("b", 90, calls=4.0, vetoed=True))
    for rendering in COMPARISON_FORMATS.values():
        assert "81" in rendering(report) and "91" in rendering(report)
    assert "calls between services per operation" in COMPARISON_FORMATS["comparison.html"](report)
    assert any(line.startswith("s ") for line in flat(said(report)))


def test_every_design_that_may_be_second_stays() -> None:
    """A screen leaves out only what is shown to be worse than the finalists."""
    records = [*runs("a", 90), *runs("b", 80), *runs("c", 79.5), *runs("d", 40)]
    titles = {name: name for name in "abcd"}
    report = comparison_report("try", records, WEIGHTS, titles, "compare", "simulation")
    assert best(report, 2) == ("a", "b", "c")
    left_out = screening(report, best(report, 2))
    assert left_out == "Screened by simulation, left out: d, 41 (40 to 42) with 0 vetoes."
    assert screening(report, titles) == "Screened by simulation, left out: none."


def test_incomplete_clean_up_is_told_and_graver_than_scores() -> None:
    """Exit code 5, the run's name in every form for people, beside what was screened."""
    report = replace(compared(*runs("a", 80, clean=False), *runs("b", 90)), screened=("Screened: c.",))
    assert comparison_exit_code(report) is ExitCode.CLEANUP_INCOMPLETE
    text = COMPARISON_FORMATS["comparison.md"](report)
    assert "Screened: c." in text and "Clean-up was not complete after" in text
    assert any("Clean-up was not complete" in line for line in flat(said(report)))


def test_every_figure_has_an_interval() -> None:
    """Of cells over runs; of designs over seeds, so that scenarios that differ in cost are no uncertainty."""
    records = [
        record(
            0, seed, scenario=scenario, design="a", calls=cost + seed / 100, cpu_ms=cost + seed / 50,
            stale_s=seed / 10, baseline_latency=((400 + seed, 50),),
            properties=(
                PropertyFigures("once", True, 40, 2 * (seed == 1)), PropertyFigures("quick", False, 9, 9),
            ),
        )
        for seed in range(1, 6)
        for scenario, cost in (("s", 1.0), ("t", 9.0))
    ]  # fmt: skip
    report = compared(*records, *runs("b", 80))
    cell = next(c for c in report.cells if (c.scenario, c.design) == ("s", "a"))
    summary = report.designs[0]
    for of in (cell, summary):
        for figure in (of.calls, of.cpu_ms, of.staleness, of.baseline_p95_s):
            assert figure is not None and figure.low is not None and figure.high is not None
            assert figure.low <= figure.mean <= figure.high and figure.n == 5
    assert summary.calls is not None and summary.calls.mean == pytest.approx(5.03)
    assert summary.calls.high is not None and summary.calls.high < 5.1
    (once,) = cell.safety
    assert (once.name, once.violations, once.exposed, once.runs.runs, once.runs.n) == ("once", 2, 200, 1, 5)
    assert (cell.stale_s, summary.safety[0].violations, summary.safety[0].exposed) == (0.5, 4, 400)
    text = COMPARISON_FORMATS["comparison.md"](report)
    assert "| once | a | 4 of 400 | 2 of 10 runs (2.5% to 55.6%) |" in text
    assert "| once | s | a | 2 of 200 | 1 of 5 runs (0.5% to 71.6%) |" in text
    assert "5.03 (5.01 to 5.05)" in text


def test_safety_is_told_property_by_property() -> None:
    """Each safety property that something was exposed to has a row a design, violated or not; in single
    scenarios those that any design violated. No table stands where nothing was exposed or bounded."""
    held = (PropertyFigures("once", True, 40, 0), PropertyFigures("kept", True, 8, 0))
    broken = (PropertyFigures("once", True, 40, 3), PropertyFigures("kept", True, 8, 0))
    overall, each = tables(compared(*runs("a", 80, properties=broken), *runs("b", 80, properties=held)))
    safety = next(one for one in overall if one.title == "Safety")
    assert [row[:3] for row in safety.rows] == [
        ("once", "a", "30 of 400"),
        ("once", "b", "0 of 400"),
        ("kept", "a", "0 of 80"),
        ("kept", "b", "0 of 80"),
    ]
    violated = next(one for one in each if one.title == "Safety that was violated")
    assert {row[0] for row in violated.rows} == {"once"} and len(violated.rows) == 4
    overall, _ = tables(compared(*runs("a", 80, properties=broken), *runs("b", 80)))
    rows = next(one for one in overall if one.title == "Safety").rows
    assert ("once", "b", "not exercised", "–") in rows
    bare = COMPARISON_FORMATS["comparison.md"](compared(*runs("a", 80), *runs("b", 80)))
    assert "afety" not in bare and "taleness" not in bare


def test_a_design_without_all_scenarios_of_a_seed_has_no_cost() -> None:
    """A mean over some of the scenarios would be another figure."""
    (summary, _) = compared(record(0, 1, scenario="s", design="a", calls=2.0), *runs("b", 80)).designs
    assert summary.calls is None


def test_a_figure_that_a_scenario_never_has_is_no_gap() -> None:
    """Where staleness is not judged, the other scenarios give the design's."""
    records = [
        record(0, seed, scenario=scenario, design="a", stale_s=seed / 10 if scenario == "s" else None)
        for seed in (1, 2, 3)
        for scenario in WEIGHTS
    ]
    summary = compared(*records, *runs("b", 80)).designs[0]
    assert summary.staleness is not None and summary.staleness.mean == pytest.approx(0.2)


def slowed(design: str, buckets: int, seeds: range = range(1, 6)) -> list[RunRecord]:
    """Runs whose latencies differ between seeds, moved by as many buckets of 2%."""
    return [
        record(
            0, seed, scenario=scenario, design=design, score=80.0 + seed + buckets / 10,
            properties=(PropertyFigures("once", True, 9, 0),),
            baseline_latency=((500 + 9 * (seed % 3) + buckets, 100),),
        )
        for seed in seeds
        for scenario in WEIGHTS
    ]  # fmt: skip


def test_added_latency_is_told_against_the_first_design() -> None:
    """Of each scenario and of all, paired by seed; the first design adds nothing to itself."""
    report = compared(*slowed("a", 0), *slowed("b", 35))
    every: list[DesignFigures] = [*report.designs, *report.cells]
    for of in every:
        if of.design == "a":
            assert of.added_p95_s is None
            continue
        added, own = of.added_p95_s, of.baseline_p95_s
        assert added is not None and own is not None and added.low is not None and added.high is not None
        assert added.mean == pytest.approx(own.mean / 2, rel=0.01) and added.n == 5
        assert 0 < added.low < added.mean < added.high
    text = COMPARISON_FORMATS["comparison.md"](report)
    assert "added p95 (95%)" in text and "| +2" in text
    assert any("Compared with a: +" in words and "at p95 in the baseline" in words for words in report.words)


def test_added_latency_counts_seeds_that_both_have() -> None:
    """Another seed's slowness on one side is no cost of the design."""
    slow = [record(0, 9, scenario=s, design="b", baseline_latency=((900, 5000),)) for s in WEIGHTS]
    half = [record(0, 8, scenario="s", design=d, baseline_latency=((900, 5000),)) for d in TITLES]
    report = compared(*slowed("a", 0), *slowed("b", 0), *slow, *half)
    added = report.designs[1].added_p95_s
    assert added is not None and (added.mean, added.n) == (0.0, 5)


def test_one_pair_and_one_run_are_told_in_the_singular() -> None:
    """Counts agree with their nouns."""
    report = compared(*slowed("a", 0, range(1, 2)), *slowed("b", 0, range(1, 2)))
    shown = "\n".join(flat(said(report)))
    for text in (shown, *(rendering(report) for rendering in COMPARISON_FORMATS.values())):
        assert not re.search(r"\b1 (pairs|runs|vetoes)\b|0 in 0", text)
    assert "0 of 2 runs (0% to 84.2%)" in shown and "over 1 pair" in shown


def test_runs_that_are_alike_are_said_to_be() -> None:
    """No interval without width: of scores, of costs, and of differences."""
    same = [record(0, n, scenario=s, design=d, score=80.0 + 5 * (d == "b"), calls=3.0)
            for n in range(1, 12) for s in WEIGHTS for d in TITLES]  # fmt: skip
    shown = "\n".join(flat(said(compared(*same))))
    assert "80 (all 11 alike)" in shown and "3.00 (all 11 alike)" in shown
    assert "b against a in all: +5.0 points in each of 11 pairs" in shown


def test_a_screen_takes_scores_that_are_alike_at_their_word() -> None:
    """Finalists without spread do not keep every other design in."""
    records = [
        record(0, n, scenario=s, design=d, score=score + (d == "c") * n)
        for n in range(1, 6)
        for s in WEIGHTS
        for d, score in (("a", 100.0), ("b", 99.0), ("c", 40.0))
    ]
    report = comparison_report("try", records, WEIGHTS, dict.fromkeys("abc", ""), "compare", "simulation")
    assert best(report, 2) == ("a", "b")


def test_designs_that_no_service_told_apart_are_not_compared() -> None:
    """Both sides ran the same: whatever the scores say, nothing is known of the two."""
    report = compared(*runs("a", 80, obeyed="1 x"), *runs("b", 90, obeyed="1 x"))
    words = "a and b are not compared: their services obeyed the very same design and code"
    assert report.alike == (words,)
    assert comparison_exit_code(report) is ExitCode.INCONCLUSIVE
    for rendering in COMPARISON_FORMATS.values():
        assert words in rendering(report)
    assert words in flat(said(report))


def test_designs_that_differ_or_of_which_nothing_is_known_are_compared() -> None:
    """Another design, other code, or runs from before it was kept."""
    for one, other in (("1 x", "2 x"), ("1 x", "1 y"), ("", ""), ("1 x", "")):
        report = compared(*runs("a", 80, obeyed=one), *runs("b", 90, obeyed=other))
        assert (report.alike, comparison_exit_code(report)) == ((), ExitCode.PASS)
