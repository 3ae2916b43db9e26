"""Where a series of results changed its level: binary segmentation with a permutation test.

The strongest split of a segment is where the standardised difference of means, |mean left - mean right| *
sqrt(k (n - k) / n), is largest (the CUSUM statistic; Page 1954, Vostrikova 1981). It counts as a change when
few of RESAMPLES shufflings of the segment split as strongly; then both sides are searched in turn, at a
level shared out among the segments. Values enter by their ranks, so that one wild run makes no change.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

LEVEL = 0.05
RESAMPLES = 999
SHORTEST = 3  # results on each side of a change

Floats = npt.NDArray[np.float64]


def change_points(values: Sequence[float | None], seed: int = 0, level: float = LEVEL) -> tuple[int, ...]:
    """Positions before which the level changed, ascending; results that are None are passed over."""
    known = [(place, value) for place, value in enumerate(values) if value is not None]
    series = np.asarray([value for _, value in known], dtype=float)
    rng = np.random.default_rng(seed)
    found = sorted(_splits(series, 0, rng, level))
    edges = [0, *found, len(series)]
    placed = [
        before + _strongest(stats.rankdata(series[before:after]))[0]
        for before, after in zip(edges, edges[2:], strict=False)
    ]  # each once more between its neighbours, since the first split saw the later ones as noise
    return tuple(known[split][0] for split in placed)


def _splits(series: Floats, offset: int, rng: np.random.Generator, level: float) -> list[int]:
    if len(series) < 2 * SHORTEST or np.ptp(series) == 0:
        return []
    ranks = stats.rankdata(series)
    split, strength = _strongest(ranks)
    as_strong = sum(_strongest(rng.permutation(ranks))[1] >= strength - 1e-12 for _ in range(RESAMPLES))
    if (as_strong + 1) / (RESAMPLES + 1) > level:
        return []
    left = _splits(series[:split], offset, rng, level / 2)
    right = _splits(series[split:], offset + split, rng, level / 2)
    return [*left, offset + split, *right]


def _strongest(ranks: Floats) -> tuple[int, float]:
    """(first position of the right side, statistic) of the strongest split."""
    n = len(ranks)
    k = np.arange(SHORTEST, n - SHORTEST + 1)
    sums = np.cumsum(ranks)
    left = sums[k - 1] / k
    right = (sums[-1] - sums[k - 1]) / (n - k)
    strength = np.abs(left - right) * np.sqrt(k * (n - k) / n)
    best = int(np.argmax(strength))
    return int(k[best]), float(strength[best])
