"""Designs side by side, from hand-written records."""

from __future__ import annotations

import pytest

from execution.campaigns.comparison import Turn, best, comparison_jobs, comparison_report
from execution.campaigns.run_records import RunRecord
from reports.comparison import COMPARISON_FORMATS, ComparisonReport, lines
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
    jobs = comparison_jobs(["s", "t"], [Turn("a"), Turn("b")], (1, 2))
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
    assert compared(*runs("a", 80), *noisy).words[0].startswith("No winner is shown")


def test_vetoes_come_before_scores() -> None:
    """The design with a veto loses although its mean score is higher."""
    report = compared(*runs("a", 95, vetoed=True), *runs("b", 70))
    assert report.words[0].startswith("b wins, since it has fewer vetoes")
    assert best(report, 1) == ("b",)


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
    assert any(line.startswith("s ") for line in lines(report))
