"""Percentiles of merged counts are those of the merged latencies."""

from __future__ import annotations

import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import given

from measurement.histogram import Histogram, bucket_of, merge, quantile

latencies = st.lists(st.floats(1e-5, 60.0), min_size=20, max_size=200)


def histogram(values: list[float]) -> Histogram:
    counted = pl.DataFrame({"s": values}).group_by(bucket_of(pl.col("s"))).len().sort("s")
    return tuple(counted.iter_rows())


@given(latencies, latencies, st.sampled_from([0.5, 0.95]))
def test_a_merged_percentile_is_within_one_per_cent(one: list[float], other: list[float], q: float) -> None:
    """Against the exact rank over both runs."""
    exact = pl.Series(one + other).quantile(q, "higher")
    merged = quantile(merge([histogram(one), histogram(other)]), q)
    assert merged == pytest.approx(exact, rel=0.0101)


def test_merged_is_not_averaged() -> None:
    """A slow run of 20 and a fast one of 180: the p95 of both together is slow; the mean of their p95 is
    neither."""
    slow, fast = histogram([2.0] * 20), histogram([0.01] * 180)
    assert quantile(merge([slow, fast]), 0.95) == pytest.approx(2.0, rel=0.01)


@pytest.mark.parametrize(
    ("count", "q", "told"), [(1, 0.5, False), (2, 0.5, True), (99, 0.99, False), (100, 0.99, True)]
)
def test_no_percentile_beyond_the_sample(count: int, q: float, told: bool) -> None:
    """p99 of 99 latencies would be their maximum under another name."""
    assert (quantile(histogram([0.1] * count), q) is not None) is told


def test_a_latency_of_nothing_has_a_bucket() -> None:
    """Zero and less (clocks of two processes) fall into the first one."""
    assert histogram([0.0, -0.1]) == ((0, 2),)
