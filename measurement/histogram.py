"""Latencies as counts in logarithmic buckets, so that percentiles of several runs can be told together.

Percentiles must never be averaged: the p95 of two runs is that of their merged counts. Buckets are 2% wide,
so that a merged percentile is within 1% of the exact one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from experiment.libraries import pl

WIDTH = 1.02
SHORTEST_S = 1e-6

Histogram = tuple[tuple[int, int], ...]  # (bucket, count), ascending; only buckets that hold something


def bucket_of(latency: pl.Expr) -> pl.Expr:
    """The bucket of a latency in seconds: bucket i holds 1 us * 1.02^i up to 1 us * 1.02^(i+1)."""
    return ((latency.clip(lower_bound=SHORTEST_S) / SHORTEST_S).log(WIDTH)).floor().cast(pl.Int32)


def merge(histograms: Iterable[Histogram]) -> Histogram:
    """The counts of all of them together."""
    total: Counter[int] = Counter()
    for histogram in histograms:
        total.update(dict(histogram))
    return tuple(sorted(total.items()))


def quantile(histogram: Histogram, q: float) -> float | None:
    """Seconds, by rank, from the middle of the bucket; None when the sample does not support it: a quantile q
    needs 1 / (1 - q) latencies, 2 at least."""
    count = sum(number for _, number in histogram)
    if count < max(2, round(1 / (1 - q))):
        return None
    rank = math.ceil(q * (count - 1) - 1e-9)
    for bucket, number in histogram:
        rank -= number
        if rank < 0:
            return float(SHORTEST_S * WIDTH ** (bucket + 0.5))
    raise AssertionError("a rank beyond the count")
