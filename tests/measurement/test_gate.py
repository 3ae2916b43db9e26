"""The gate's decision on hand-written pairs."""

from __future__ import annotations

from measurement.gate import Decision, PairedRun, decide

VETO = frozenset({"no_duplicate_charge"})


def pairs(baseline: list[float], candidate: list[float], scenario: str = "s") -> list[PairedRun]:
    return [
        PairedRun(scenario, seed, a, b) for seed, (a, b) in enumerate(zip(baseline, candidate, strict=True))
    ]


def test_the_same_scores_pass() -> None:
    """A candidate that scores as the baseline does passes."""
    result = decide(pairs([90, 91, 92, 90, 91], [90.2, 90.9, 92.1, 89.8, 91.1]))
    assert result.decision is Decision.PASS


def test_a_clear_loss_is_a_regression() -> None:
    """Ten points less on every seed is a regression, with the interval in the sentence."""
    result = decide(pairs([90, 91, 92, 90, 91], [80, 81.5, 81, 80, 81]))
    assert result.decision is Decision.REGRESSION
    assert "points" in result.sentence or "worse in" in result.sentence


def test_noise_is_inconclusive() -> None:
    """Differences that spread over the margin decide nothing."""
    result = decide(pairs([90, 91, 92, 90], [95, 80, 99, 85]))
    assert result.decision is Decision.INCONCLUSIVE


def test_one_pair_decides_nothing() -> None:
    """A single pair has no interval."""
    assert decide(pairs([90], [90])).decision is Decision.INCONCLUSIVE


def test_nothing_decides_nothing() -> None:
    """Without runs the gate does not pass."""
    assert decide([]).decision is Decision.INCONCLUSIVE


def test_a_new_veto_is_a_regression_whatever_the_numbers() -> None:
    """One duplicate charge of the candidate outweighs better scores."""
    runs = pairs([80, 80, 80], [99, 99, 99]) + [PairedRun("t", 1, 90, 0, candidate_vetoes=VETO)]
    result = decide(runs)
    assert result.decision is Decision.REGRESSION
    assert "no_duplicate_charge" in result.sentence


def test_an_old_veto_is_not_new() -> None:
    """What the baseline violates too is no regression of the candidate."""
    runs = [PairedRun("s", seed, 0, 0, VETO, VETO) for seed in range(4)]
    assert decide(runs).decision is Decision.PASS


def test_a_scenario_turned_invalid_is_a_regression() -> None:
    """A candidate whose run is invalid where the baseline's is not does not pass."""
    runs = [*pairs([90, 90, 90], [90, 90, 90]), PairedRun("t", 5, 90, None)]
    assert decide(runs).decision is Decision.REGRESSION


def test_one_bad_scenario_is_not_averaged_away() -> None:
    """A scenario that clearly loses is flagged although the suite's mean hardly moves."""
    runs = pairs([90, 91, 92, 90, 91], [70, 71, 72, 70.5, 71], "bad")
    for index in range(9):
        runs += pairs([90, 91, 92, 90, 91], [90.1, 91, 92, 89.9, 91], f"good{index}")
    result = decide(runs)
    assert result.decision is Decision.REGRESSION
    assert "bad" in result.sentence
