from __future__ import annotations

import numpy as np
import pytest

from reports import buckets


@pytest.mark.parametrize(("length", "step"), [(0, 1), (1, 1), (600, 1), (601, 2), (3600, 6), (86400, 144)])
def test_at_most_six_hundred_points_are_drawn(length: int, step: int) -> None:
    """Longer runs share buckets."""
    assert buckets.stride(length) == step
    assert -(-length // step) <= buckets.MAX_POINTS


def test_thinning_keeps_the_worst_and_leaves_gaps_empty() -> None:
    """Latency by its maximum, quality by its minimum, rate by its mean, none where nothing was measured."""
    values = buckets.as_values([1, 5, None, None, 2, None, 7])
    np.testing.assert_equal(buckets.thin(values, 2, "max"), [5, np.nan, 2, 7])
    np.testing.assert_equal(buckets.thin(values, 2, "min"), [1, np.nan, 2, 7])
    np.testing.assert_equal(buckets.thin(values, 2, "mean"), [3, np.nan, 2, 7])
    np.testing.assert_equal(buckets.times(7, 2), [0, 2, 4, 6])
    np.testing.assert_equal(buckets.middles(7, 2), [1, 3, 5, 7])


def test_steps_reach_the_end_of_the_last_bucket() -> None:
    """One edge more than there are buckets."""
    starts = buckets.times(4, 2)
    np.testing.assert_equal(buckets.closed(starts, 2), [0, 2, 4])
    np.testing.assert_equal(buckets.held(np.array([1.0, 2.0])), [1, 2, 2])
    assert len(buckets.closed(buckets.times(0, 1), 1)) == 0
