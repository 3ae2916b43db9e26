"""Change points on series whose changes are known."""

from __future__ import annotations

import numpy as np

from trend.change_points import change_points


def test_a_step_is_found_where_it_is() -> None:
    """Ten results at one level and ten at another: one change, at the eleventh."""
    rng = np.random.default_rng(4)
    series = [*(90 + rng.normal(0, 1, 10)), *(80 + rng.normal(0, 1, 10))]
    assert change_points(series) == (10,)


def test_two_steps_are_found() -> None:
    """Down and up again."""
    rng = np.random.default_rng(5)
    series = [*(90 + rng.normal(0, 1, 12)), *(70 + rng.normal(0, 1, 12)), *(90 + rng.normal(0, 1, 12))]
    assert change_points(series) == (12, 24)


def test_noise_rarely_changes() -> None:
    """Of 100 series without a change at most 10 show one (5 are expected)."""
    rng = np.random.default_rng(6)
    assert sum(bool(change_points(rng.normal(90, 5, 20).tolist())) for _ in range(100)) <= 10


def test_one_wild_result_is_no_change() -> None:
    """A single run of zero is an outlier."""
    assert change_points([90, 91, 90, 92, 0, 90, 91, 92, 90, 91, 90]) == ()


def test_constant_and_short_series_do_not_change() -> None:
    """Nothing is claimed from too little."""
    assert change_points([]) == change_points([90, 80]) == change_points([90.0] * 20) == ()


def test_missing_results_keep_their_places() -> None:
    """Positions count the results that are missing too."""
    series = [None, 90, 91, 92, None, 91, 90, 91, 60, 61, 62, 60, 61, 60]
    assert change_points(series) == (8,)
