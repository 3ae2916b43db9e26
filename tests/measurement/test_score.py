"""The formula, its floors and what is left out."""

from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import polars as pl
import pytest
from hypothesis import given

from measurement.analysis import RecoveryResult
from measurement.resilience import Quality
from measurement.score import (
    FORMULA,
    WEIGHTS,
    _blocks,
    combine,
    converge_part,
    score_run,
    vetoed,
    without_value,
)

ALL = tuple(WEIGHTS)
shares = st.floats(0, 1)


MANY = 1e12  # operations in a second: no doubt about its share is left


def quality(curve: list[float], fault: tuple[int, int] | None, recovery: tuple[int, int] | None) -> Quality:
    """Q given second by second: `pay`, and `look`, which nothing ever happens to."""
    values = np.array(curve)
    seen = np.where(np.isnan(values), 0.0, MANY)
    return Quality(
        pl.DataFrame(),
        {"pay": 1.0, "look": 1.0},
        {"pay": values, "look": np.where(np.isnan(values), np.nan, 1.0)},
        values,
        np.ones(len(curve)),
        {"pay": (seen, np.nan_to_num(values) * seen), "look": (seen, seen)},
        {"pay": 1.0, "look": 1.0},
        len(curve),
        (0, 5),
        fault,
        recovery,
        None,
    )


def stood(quality: float) -> float:
    """What `pay` at this quality leaves of two journeys of the same criticality, the other one unharmed."""
    return 0.1 + 0.9 * quality


def test_the_formula_is_that_of_the_plan() -> None:
    """Five parts worked out by hand."""
    parts = dict(zip(ALL, (0.9, 0.5, 0.8, 1.0, 0.7), strict=True))
    by_hand = 100 * 0.9**0.30 * 0.5**0.15 * 0.8**0.25 * 1.0**0.15 * 0.7**0.15
    assert combine(parts) == pytest.approx(by_hand)
    assert FORMULA.startswith("codeblue-2")


def test_a_terrible_part_is_floored_and_cannot_be_bought_back() -> None:
    """Never recovered, all else perfect: 100 * 0.01^.25."""
    parts = {**dict.fromkeys(ALL, 1.0), "recover": 0.0}
    assert combine(parts) == pytest.approx(100 * 0.01**0.25)


@given(st.fixed_dictionaries(dict.fromkeys(ALL, st.one_of(st.none(), shares))))
def test_it_stays_between_its_worst_and_best_part(parts: dict[str, float | None]) -> None:
    """A geometric mean whatever is missing; without any part there is no score."""
    score = combine(parts)
    known = [max(0.01, value) for value in parts.values() if value is not None]
    if not known:
        assert score is None
    else:
        assert score is not None
        assert 100 * min(known) - 1e-9 <= score <= 100 * max(known) + 1e-9


@given(st.fixed_dictionaries(dict.fromkeys(ALL, shares)), st.sampled_from(ALL), shares)
def test_a_better_part_never_lowers_the_score(parts: dict[str, float], name: str, better: float) -> None:
    """Monotone in every part."""
    improved = {**parts, name: max(parts[name], better)}
    low, high = combine(parts), combine(improved)
    assert low is not None
    assert high is not None
    assert high >= low - 1e-9


def test_parts_from_a_curve() -> None:
    """Fault from 5 s to 15 s at 0.5, recovery at 1: absorb, depth and the triangle under Q."""
    run = quality([1.0] * 5 + [0.5] * 10 + [1.0] * 10, (5, 15), (15, 25))
    back = RecoveryResult(2.0, False, 10.0, "")
    score = score_run(run, (), back, 0.6, seed=1)
    assert score.parts == {
        "absorb": pytest.approx(stood(0.5), abs=1e-6),
        "depth": pytest.approx(stood(0.5), abs=1e-6),
        "recover": 0.8,
        "contain": None,
        "converge": 0.6,
    }
    assert score.area_under_q == pytest.approx(0.75)
    assert score.resilience_loss == pytest.approx(500.0)


def test_contain_is_the_quality_of_what_the_fault_cannot_reach() -> None:
    """The journey that does not depend on the fault lost a tenth of its quality under it."""
    run = quality([1.0] * 5 + [0.9] * 10 + [1.0] * 10, (5, 15), (15, 25))
    score = score_run(run, ("pay", "look"), None, None, seed=1)
    assert score.parts["contain"] == pytest.approx(stood(0.9), abs=1e-6)


def test_never_recovered_counts_as_zero() -> None:
    """Censored: no time is made up for it."""
    run = quality([1.0] * 5 + [0.0] * 20, (5, 15), (15, 25))
    assert score_run(run, (), RecoveryResult(None, True, 10.0, ""), None, seed=1).parts["recover"] == 0.0


@pytest.mark.parametrize(("seconds", "part"), [(10.0, 0.0), (15.0, 0.0), (0.0, 1.0)])
def test_recovering_is_measured_against_its_budget(seconds: float, part: float) -> None:
    """In the last moment, too late, at once."""
    run = quality([1.0] * 25, (5, 15), (15, 25))
    back = RecoveryResult(seconds, False, 10.0, "")
    assert score_run(run, (), back, None, seed=1).parts["recover"] == part


@pytest.mark.parametrize(("judged", "worst"), [(20, 2), (24, 2), (25, 3), (8, 1)])
def test_depth_is_the_mean_of_the_worst_tenth(judged: int, worst: int) -> None:
    """Of the stretches of five seconds of fault and recovery, of which there are four fewer, rounded up."""
    curve = [1.0] * 5 + [0.2] * 5 + [1.0] * (judged - 5)
    score = score_run(quality(curve, (5, 10), (10, len(curve))), (), None, None, seed=1)
    wanted = sum(stood(share) for share in (0.2, 0.36, 0.52)[:worst]) / worst
    assert score.parts["depth"] == pytest.approx(wanted, abs=1e-6)


def test_a_run_without_faults_is_judged_from_the_end_of_its_warm_up() -> None:
    """Absorb and depth over the whole load, without the seconds before the baseline; no recovery, nothing to
    contain."""
    run = replace(quality([0.0] * 2 + [0.6] + [0.8] * 9, None, None), baseline_span=(2, 12))
    score = score_run(run, ("pay",), None, 1.0, seed=1)
    assert score.parts == {
        "absorb": pytest.approx(stood(0.78), abs=1e-6),
        "depth": pytest.approx(stood(0.76), abs=1e-6),
        "recover": None,
        "contain": None,
        "converge": 1.0,
    }
    assert score.interval is not None


def test_nothing_is_contained_where_nothing_is_apart() -> None:
    """Every journey depends on the fault, or those that do not were not played."""
    run = quality([1.0] * 25, (5, 15), (15, 25))
    assert score_run(run, (), None, None, seed=1).parts["contain"] is None
    assert score_run(run, ("claim",), None, None, seed=1).parts["contain"] is None


def test_a_veto_takes_the_score_and_tells_what_it_would_have_been() -> None:
    """An invalid run has neither."""
    run = quality([1.0] * 5 + [0.5] * 10 + [1.0] * 10, (5, 15), (15, 25))
    score = score_run(run, (), None, None, seed=1)
    lost = vetoed(score, "3 duplicate charges")
    assert (lost.value, lost.without_veto, lost.veto) == (0.0, score.value, "3 duplicate charges")
    assert lost.interval is None
    nothing = without_value(score)
    assert (nothing.value, nothing.without_veto, nothing.interval) == (None, None, None)
    assert nothing.parts == score.parts


def test_empty_seconds_carry_no_weight() -> None:
    """Where nothing was offered nothing is judged."""
    run = quality([1.0] * 5 + [np.nan] * 5 + [1.0] * 5 + [1.0] * 10, (5, 15), (15, 25))
    parts = score_run(run, (), None, None, seed=1).parts
    assert (parts["absorb"], parts["depth"]) == (1.0, 1.0)


def test_a_run_without_any_quality_has_no_score() -> None:
    """Nothing was offered: no number."""
    run = quality([np.nan] * 25, (5, 15), (15, 25))
    assert score_run(run, (), None, None, seed=1).value is None


def test_the_interval_holds_the_score_and_is_that_of_its_seed() -> None:
    """A noisy fault: the bootstrap brackets the score, and the same seed draws the same."""
    noise = np.random.default_rng(3).uniform(0.3, 0.9, 20).tolist()
    run = quality([1.0] * 5 + noise + [1.0] * 15, (5, 25), (25, 40))
    score = score_run(run, (), None, None, seed=7)
    assert score.interval is not None
    assert score.value is not None
    low, high = score.interval
    assert low < score.value < high
    assert score_run(run, (), None, None, seed=7).interval == score.interval


@pytest.mark.filterwarnings("error")
def test_sparse_seconds_are_drawn_without_harm() -> None:
    """Most seconds of the fault are empty: the interval is made of the others, all of which were 0.5."""
    sparse = [0.5 if second % 10 == 0 else np.nan for second in range(60)]
    score = score_run(quality([1.0] * 5 + sparse + [np.nan] * 5, (5, 65), (65, 70)), (), None, None, seed=7)
    assert score.interval == pytest.approx((55.0, 55.0), abs=1e-3)


def test_a_short_fault_supports_no_interval() -> None:
    """Five seconds cannot be resampled in blocks, six can, if none is empty."""
    run = quality([1.0] * 5 + [0.5] * 5 + [1.0] * 10, (5, 10), (10, 20))
    assert score_run(run, (), None, None, seed=1).interval is None
    run = quality([1.0] * 5 + [0.5] * 6 + [1.0] * 10, (5, 11), (11, 21))
    assert score_run(run, (), None, None, seed=1).interval is not None
    run = quality([1.0] * 5 + [0.5] * 5 + [np.nan] + [1.0] * 10, (5, 11), (11, 21))
    assert score_run(run, (), None, None, seed=1).interval is None


@pytest.mark.parametrize(("seconds", "block"), [(30, 5), (15, 5), (12, 4), (9, 3), (2, 1)])
def test_seconds_are_drawn_with_their_neighbours(seconds: int, block: int) -> None:
    """In blocks of a third of the series, five seconds at most, from its first second to its last."""
    drawn = _blocks(seconds, np.random.default_rng(1))
    assert drawn.shape == (1000, seconds)
    steps = np.diff(drawn, axis=1)
    within = [number for number in range(seconds - 1) if (number + 1) % block]
    assert (steps[:, within] == 1).all()
    if block < seconds:
        assert (steps[:, block - 1] != 1).any()
    assert (drawn.min(), drawn.max()) == (0, seconds - 1)


def test_only_the_seconds_are_drawn_again() -> None:
    """What was measured once stands: with a steady fault and a part of one half the interval is a point."""
    run = quality([1.0] * 5 + [1.0] * 10 + [1.0] * 10, (5, 15), (15, 25))
    score = score_run(run, (), RecoveryResult(5.0, False, 10.0, ""), 0.5, seed=1)
    assert score.value is not None and score.value < 90
    assert score.interval == pytest.approx((score.value, score.value))
    rng = np.random.default_rng(5)
    noisy = quality([1.0] * 5 + rng.uniform(0.4, 0.8, 60).tolist() + [1.0], (5, 65), (65, 66))
    interval = score_run(noisy, (), None, None, seed=1).interval
    assert interval is not None
    # Two standard errors of a mean of 60, of which a block of five keeps the spread.
    assert 2.0 < interval[1] - interval[0] < 15.0


@pytest.mark.parametrize(
    ("converged", "observed", "part"),
    [
        (0.0, True, 1.0),
        (5.0, True, 0.5),
        (10.0, True, 0.0),
        (20.0, True, 0.0),
        (None, True, 0.0),
        (None, False, None),
    ],
)
def test_converging_is_measured_against_its_budget(
    converged: float | None, observed: bool, part: float | None
) -> None:
    """At once, half way, too late, never; and nothing when nobody looked."""
    assert converge_part(converged, observed, 10.0) == part


def test_converging_in_no_time_needs_no_budget() -> None:
    """What had nothing to converge has converged."""
    assert converge_part(0.0, True, 0.0) == 1.0
