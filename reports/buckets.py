"""Long timelines made narrow enough to draw, without hiding the worst second."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
MAX_POINTS = 600


def as_values(series: Sequence[float | int | None]) -> Values:
    """A series with None as NaN."""
    return np.array([np.nan if value is None else value for value in series], dtype=np.float64)


def stride(length: int, points: int = MAX_POINTS) -> int:
    """How many one-second buckets share a point, so that at most `points` are drawn."""
    return max(1, -(-length // points))


def merged(windows: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Windows that touch as one, so that several at once are shaded no darker than one."""
    found: list[tuple[float, float]] = []
    for start, end in sorted(windows):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def times(length: int, step: int) -> Values:
    """The start of each point, in seconds."""
    return np.arange(0, length, step, dtype=np.float64)


def middles(length: int, step: int) -> Values:
    """The middle of each point, in seconds: a line through the starts would rise before its cause."""
    return times(length, step) + step / 2


def closed(starts: Values, step: int) -> Values:
    """The starts and the end of the last one: the edges of a step plot."""
    return np.append(starts, starts[-1] + step) if len(starts) else starts


def held(values: Values) -> Values:
    """The last value once more, for the last edge of a step plot."""
    return np.append(values, values[-1]) if len(values) else values


def thin(values: Values, step: int, how: Literal["mean", "max", "min"]) -> Values:
    """Every `step` buckets as one, by `mean`, `max` or `min`; NaN where all of them are empty."""
    if step == 1 or len(values) == 0:
        return values
    padded = np.full(-(-len(values) // step) * step, np.nan)
    padded[: len(values)] = values
    groups = padded.reshape(-1, step)
    empty = np.isnan(groups).all(axis=1)
    filled = np.where(empty[:, None], 0.0, groups)
    result: Values = getattr(np, f"nan{how}")(filled, axis=1)
    return np.where(empty, np.nan, result)
