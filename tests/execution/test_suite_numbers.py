"""The four numbers of a suite."""

from __future__ import annotations

import pytest

from execution.suite_numbers import Scored, coverable, four_numbers, weighted_mean
from experiment.verdict import Verdict
from tests.execution.builders import SYSTEM


def run(score: float | None, weight: float = 1.0, scenario: str = "s", *pairs: tuple[str, str]) -> Scored:
    verdict = Verdict.INVALID if score is None else Verdict.PASS
    return Scored("d", scenario, weight, verdict, score == 0.0, score, frozenset(pairs))


def test_weights_count() -> None:
    """A scenario of weight three pulls the mean three times as hard."""
    assert weighted_mean([run(100.0, 3.0), run(60.0, 1.0)]) == pytest.approx(90.0)


def test_an_unknown_score_leaves_the_mean_unknown() -> None:
    """An invalid run is not left out of the mean, it makes it unknown."""
    assert weighted_mean([run(100.0), run(None)]) is None


def test_coverage_counts_places_and_classes_once() -> None:
    """Blackhole and refusal on one link are the same class."""
    link = "front -> back"
    runs = [
        run(90.0, 1.0, "a", (link, "blackhole")),
        run(50.0, 1.0, "b", (link, "refusal"), ("back", "crash")),
    ]
    (numbers,) = four_numbers(runs, SYSTEM)
    assert numbers.covered == 2
    assert numbers.coverable == coverable(SYSTEM) == 7
    assert (numbers.worst, numbers.worst_scenario) == (50.0, "b")


def test_vetoes_are_counted() -> None:
    """Vetoed runs stand in a number of their own."""
    (numbers,) = four_numbers([run(0.0), run(90.0)], SYSTEM)
    assert numbers.vetoes == 1
