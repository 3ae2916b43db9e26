"""The gate's decision on hand-written pairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gate.decide import Decision, Unknown, decide
from gate.pairs import ABSENT, Look, PairedRun, Side

VETO = frozenset({"no_duplicate_charge"})


def pairs(baseline: list[float], candidate: list[float], scenario: str = "s") -> list[PairedRun]:
    return [
        PairedRun(scenario, seed, Side(a), Side(b))
        for seed, (a, b) in enumerate(zip(baseline, candidate, strict=True))
    ]


def measured(slower: float = 1.0, good: int = 100, noise: int = 1) -> list[PairedRun]:
    """Five pairs of equal scores; the candidate's latencies are `slower` times as long."""
    shift = round(35 * (slower - 1))  # 35 buckets of 2% double a latency
    return [
        PairedRun(
            "s",
            seed,
            Side(90, latency=((400 + noise * (seed % 2), 100),), good=100, offered=100),
            Side(90, latency=((400 + shift, 100),), good=good - noise * (seed % 2), offered=100),
        )
        for seed in range(5)
    ]


def test_the_same_scores_pass() -> None:
    """A candidate that scores as the baseline does passes."""
    result = decide(pairs([90, 91, 92, 90, 91], [90.2, 90.9, 92.1, 89.8, 91.1]))
    assert result.decision is Decision.PASS


def test_a_clear_loss_is_a_regression() -> None:
    """Ten points less on every seed is a regression, with the scenario in the sentence."""
    result = decide(pairs([90, 91, 92, 90, 91], [80, 81.5, 81, 80, 81]))
    assert result.decision is Decision.REGRESSION
    assert "worse in s" in result.sentence


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
    runs = pairs([80, 80, 80], [99, 99, 99]) + [PairedRun("t", 1, Side(90), Side(0, VETO))]
    result = decide(runs)
    assert result.decision is Decision.REGRESSION
    assert "no_duplicate_charge in 1 of 1 run (" in result.sentence
    assert result.new_vetoes == (result.sentence,)


def test_an_old_veto_is_not_new() -> None:
    """What the baseline violates too is no regression of the candidate."""
    runs = [PairedRun("s", seed, Side(0, VETO), Side(0, VETO)) for seed in range(4)]
    assert decide(runs).decision is Decision.PASS


def test_a_scenario_turned_invalid_is_a_regression() -> None:
    """A candidate whose runs are invalid where the baseline's are not does not pass."""
    runs = [*pairs([90, 90, 90], [90, 90, 90]), PairedRun("t", 5, Side(90), Side(None))]
    assert decide(runs).decision is Decision.REGRESSION


def test_one_invalid_run_is_looked_at_again() -> None:
    """Before the last look one invalid run does not decide; a second one does."""
    early = Look(3, 7)
    once = [PairedRun("s", 1, Side(90), Side(None))]
    assert decide(once, look=early).decision is Decision.INCONCLUSIVE
    twice = [*once, PairedRun("s", 2, Side(90), Side(None))]
    assert decide(twice, look=early).decision is Decision.REGRESSION


def test_a_machine_that_could_not_keep_up_accuses_nobody() -> None:
    """Runs in which the load generator fell behind are neither a regression nor a pass."""
    runs = [PairedRun("s", seed, Side(90), Side(None), measured=False) for seed in range(3)]
    assert decide(runs).decision is Decision.INCONCLUSIVE


def under_pressure(runs: list[PairedRun], seeds: int) -> list[PairedRun]:
    """The candidate's first runs were played beside others' work."""
    return [
        replace(run, candidate=replace(run.candidate, pressed=run.seed < seeds), seed=run.seed)
        for run in runs
    ]


def failing(seeds: int) -> list[PairedRun]:
    """Seven pairs in which the candidate misses an objective, at equal scores."""
    return [PairedRun("s", seed, Side(90), Side(90, failed=seed < seeds)) for seed in range(7)]


@pytest.mark.parametrize(
    "runs",
    [
        failing(7),
        pairs([90, 91, 92, 90, 91, 90, 91], [80, 81.5, 81, 80, 81, 80, 81]),
        [PairedRun("s", seed, Side(90), Side(None if seed < 6 else 90)) for seed in range(7)],
    ],
    ids=["failures", "scores", "validity"],
)
def test_pressure_from_outside_is_not_a_reason_alone(runs: list[PairedRun]) -> None:
    """A regression that pairs under pressure show and the others do not is inconclusive with that reason; the
    same pairs without pressure are a regression, and so are those of which enough were played in peace."""
    assert decide(runs).decision is Decision.REGRESSION
    result = decide(under_pressure(runs, 6))
    assert (result.decision, result.unknown) == (Decision.INCONCLUSIVE, Unknown.PRESSURE)
    assert result.sentence.startswith(
        "6 of 7 pairs were played under pressure from outside, and the others do"
    )
    assert decide(runs).sentence in result.sentence
    assert all(finding.unknown is Unknown.PRESSURE for finding in result.findings)
    assert not any(flag.worse or flag.fails_more for flag in result.scenarios)
    assert decide(under_pressure(runs, 1)).decision is Decision.REGRESSION


def test_a_veto_stands_under_pressure() -> None:
    """A safety property that is violated is violated, whoever had the machine."""
    runs = [PairedRun("s", 1, Side(90), Side(0, VETO, failed=True))]
    result = decide(under_pressure(runs, 9))
    assert result.decision is Decision.REGRESSION and result.new_vetoes


def test_a_figure_under_pressure_is_not_a_reason_alone() -> None:
    """A p95 that doubled beside others' work: inconclusive, and no figure is called worse."""
    result = decide(under_pressure(measured(slower=2.0), 5))
    assert (result.decision, result.unknown) == (Decision.INCONCLUSIVE, Unknown.PRESSURE)
    assert any(figure.unclear for figure in result.figures)
    assert not any(figure.worse for figure in result.figures)


def test_what_passes_under_pressure_passes() -> None:
    """Others can make a candidate look worse, so that equal scores beside them are equal."""
    runs = pairs([90, 91, 92, 90, 91], [90.2, 90.9, 92.1, 89.8, 91.1])
    assert decide(under_pressure(runs, 5)).decision is Decision.PASS


def test_a_seed_without_a_scenario_is_no_pair() -> None:
    """The mean of a suite is never taken over some of its scenarios."""
    runs = [*pairs([90, 91, 90], [90, 91, 90]), PairedRun("t", 0, Side(50), Side(50))]
    difference = decide(runs).difference
    assert difference is not None and difference.n == 1


def test_weights_count() -> None:
    """A scenario of weight three pulls the difference three times as hard."""
    runs = pairs([90, 91, 90], [90, 91, 90], "light") + pairs([90, 91, 90], [86, 87, 86], "heavy")
    difference = decide(runs, weights={"heavy": 3.0}).difference
    assert difference is not None and difference.mean == pytest.approx(-3.0)


def test_one_bad_scenario_is_not_averaged_away() -> None:
    """A scenario that clearly loses is flagged although the suite's mean hardly moves."""
    runs = pairs([90, 91, 92, 90, 91], [70, 71, 72, 70.5, 71], "bad")
    for index in range(9):
        runs += pairs([90, 91, 92, 90, 91], [90.1, 91, 92, 89.9, 91], f"good{index}")
    result = decide(runs)
    assert result.decision is Decision.REGRESSION
    assert "bad" in result.sentence


def test_a_doubled_p95_is_a_regression_at_equal_scores() -> None:
    """The score has objectives of seconds; a system that became twice as slow below them is found."""
    result = decide(measured(slower=2.0))
    assert result.decision is Decision.REGRESSION
    assert "p95 before the fault is 1.98" in result.sentence


def test_a_halved_goodput_is_a_regression_at_equal_scores() -> None:
    """Half of the good answers are missed though the score, normalised by the baseline, is the same."""
    result = decide(measured(good=50))
    assert result.decision is Decision.REGRESSION
    assert "goodput is 0.5" in result.sentence


def test_slightly_slower_passes() -> None:
    """A p95 within what is tolerated does not stop a release."""
    assert decide(measured(slower=1.1)).decision is Decision.PASS


def test_a_p95_that_jumps_about_is_unclear() -> None:
    """One slow run of two shows nothing, and does not pass."""
    runs = [
        PairedRun("s", n, Side(90, latency=((400, 100),)), Side(90, latency=((400 + 60 * n, 100),)))
        for n in (0, 1)
    ]
    assert decide(runs).decision is Decision.INCONCLUSIVE


def test_early_looks_are_stricter() -> None:
    """What is a regression at the last look is not yet one while more pairs are to come."""
    runs = pairs([90, 91, 92, 90], [83, 87, 82, 86])
    assert decide(runs).decision is Decision.REGRESSION
    assert decide(runs, look=Look(4, 7)).decision is Decision.INCONCLUSIVE


def test_pairs_may_be_replayed() -> None:
    """The decision depends on the pairs alone, not on their order."""
    runs = pairs([90, 91, 92, 90], [84, 87, 83, 86])
    assert decide(runs).decision is decide([replace(run) for run in reversed(runs)]).decision


def test_a_scenario_that_fails_now_is_a_regression_at_equal_scores() -> None:
    """A broken property that is no veto and hardly moves the score is found by how often runs fail."""
    runs = [PairedRun("s", seed, Side(90 + seed % 2), Side(90, failed=True)) for seed in range(7)]
    result = decide(runs)
    assert result.decision is Decision.REGRESSION
    assert "failed in 7 of 7 runs" in result.sentence


def test_a_few_failures_more_are_unclear() -> None:
    """Two failed runs of five may be chance: no pass, and no regression."""
    runs = [PairedRun("s", seed, Side(90), Side(90, failed=seed < 2)) for seed in range(5)]
    assert decide(runs).decision is Decision.INCONCLUSIVE


def test_a_scenario_the_baseline_lacks_does_not_pass() -> None:
    """Equal scores elsewhere say nothing about what was run on one side only; the scenario is named."""
    runs = [*pairs([90, 90, 90], [90, 90, 90]), PairedRun("t", 1, ABSENT, Side(90))]
    result = decide(runs)
    assert (result.decision, result.unknown) == (Decision.INCONCLUSIVE, Unknown.INCOMPLETE)
    assert result.sentence == "t: the baseline has no run with seed 1"


def test_a_veto_without_a_baseline_is_a_regression() -> None:
    """A broken invariant in a scenario that the baseline never ran is new."""
    runs = [*pairs([90, 90, 90], [90, 90, 90]), PairedRun("t", 1, ABSENT, Side(0, VETO))]
    result = decide(runs)
    assert result.decision is Decision.REGRESSION and result.new_vetoes
    assert "no baseline was run" in result.sentence


def test_unlike_runs_are_no_pairs() -> None:
    """Runs of another time scale decide nothing, except that the candidate breaks an invariant."""
    runs = [replace(run, unlike="time scale differs") for run in pairs([90, 90, 90], [90, 90, 90])]
    result = decide(runs)
    assert (result.decision, result.unknown) == (Decision.INCONCLUSIVE, Unknown.INCOMPLETE)
    assert "time scale differs" in result.sentence
    unsafe = [replace(runs[0], candidate=Side(0, VETO)), *runs[1:]]
    assert decide(unsafe).decision is Decision.REGRESSION


def test_an_invalid_run_that_was_not_repeated_does_not_pass() -> None:
    """One invalid run of four: neither a regression nor a pass, until a valid attempt follows."""
    runs = pairs([90, 90, 90, 90], [90, 90, 90, 90])
    once = [*runs[:3], replace(runs[3], candidate=Side(None))]
    assert decide(once).decision is Decision.INCONCLUSIVE
    again = [*runs[:3], replace(runs[3], candidate=Side(90, lost_before=1))]
    assert decide(again).decision is Decision.PASS
    twice = [*runs[:2], replace(runs[2], candidate=Side(90, lost_before=1)), again[3]]
    assert decide(twice).decision is Decision.REGRESSION


def test_a_scenario_invalid_on_both_sides_is_an_invalid_experiment() -> None:
    """No side is to blame, and nothing is known."""
    runs = [
        *pairs([90, 90, 90], [90, 90, 90]),
        *(PairedRun("t", n, Side(None), Side(None)) for n in range(3)),
    ]
    result = decide(runs)
    assert (result.decision, result.unknown) == (Decision.INCONCLUSIVE, Unknown.INVALID)
    assert result.sentence.startswith("t: ")


def test_looking_often_does_not_let_a_loss_pass() -> None:
    """A candidate that is worse by exactly the margin passes in 2.5% of the gates, looks included."""
    rng = np.random.default_rng(1)
    gates, passed = 200, 0
    for _ in range(gates):
        before, now = rng.normal(85, 3, 7), rng.normal(82, 3, 7)
        for number in range(3, 8):
            runs = pairs(list(before[:number]), list(now[:number]))
            if decide(runs, look=Look(number, 7)).decision is Decision.PASS:
                passed += 1
                break
    assert passed <= 0.025 * gates + 3 * (0.025 * 0.975 * gates) ** 0.5


def test_a_property_that_only_the_baseline_exercised_is_no_pass() -> None:
    """Nothing is known of it, in the scenario where it was asked for, until one run of the candidate has
    exercised it; what neither side exercised keeps nobody from passing."""
    once = frozenset({"once"})
    runs = [
        PairedRun("s", seed, Side(90, exercised=once), Side(90, silent=once | {"kept"})) for seed in range(4)
    ]
    result = decide(runs)
    assert result.unknown is Unknown.INCOMPLETE
    assert result.sentence == "s: the candidate exercised once in no run, the baseline did"
    exercised = [*runs[:3], PairedRun("s", 3, Side(90, exercised=once), Side(90, exercised=once))]
    assert decide(exercised).decision is Decision.PASS
