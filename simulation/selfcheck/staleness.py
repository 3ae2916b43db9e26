"""Exact figures for the WARS model of quorum replication (Bailis et al., VLDB 2012), by quadrature.

With one responder and one acknowledgement the write commits at C = min(w_i + a_i). The first responder j
read its copy at C + t + r_j, so its answer is stale exactly when w_j > C + t + r_j. Then j was not the first
to acknowledge, so C = M, the least w + a of the other replicas, and P(stale) = E[P(W > M + t + r*)] with r*
the read delay of whichever replica answers first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import comb

import numpy as np

from simulation.engine.randomness import Array, Distribution, stream
from simulation.selfcheck.cases import crossing

POINTS = 1600
SAMPLES = 2_000_000  # for quorums without a quadrature


@dataclass(frozen=True, slots=True)
class Delays:
    """Write, acknowledgement, read and response delay of a replica."""

    w: Distribution
    a: Distribution
    r: Distribution
    s: Distribution


def _grid() -> Array:
    return np.concatenate([[0.0], np.geomspace(1e-4, 1e6, POINTS)])


def _bins(tail: Callable[[Array], Array]) -> tuple[Array, Array]:
    """A distribution as points and their probabilities, from its tail."""
    grid = _grid()
    values = tail(grid)
    return (grid[1:] + grid[:-1]) / 2, values[:-1] - values[1:]


def sum_tail(first: Distribution, second: Distribution) -> Callable[[Array], Array]:
    """P(X + Y > x) of independent X and Y, interpolated."""
    points, weights = _bins(first.tail)
    grid = _grid()
    rest = grid[:, None] - points[None, :]
    exceeds = np.where(rest < 0, 1.0, second.tail(np.maximum(rest, 0.0)))
    tail = exceeds @ weights + (1 - weights.sum())
    return lambda x: np.interp(x, grid, tail)


def latency_tail(
    there: Distribution, back: Distribution, replicas: int, quorum: int
) -> Callable[[Array], Array]:
    """P(the quorum-th of the replicas' answers takes longer than x)."""
    one = sum_tail(there, back)

    def tail(x: Array) -> Array:
        late = one(x)
        return np.asarray(
            sum(comb(replicas, k) * (1 - late) ** k * late ** (replicas - k) for k in range(quorum))
        )

    return tail


def quantile_of_tail(tail: Callable[[Array], Array], probability: float) -> float:
    """The x with P(X > x) = probability."""
    what = f"p{100 * (1 - probability):g}"
    return crossing(lambda x: float(tail(np.asarray(x))) - probability, 1e-6, 1e6, what)


class Staleness:
    """P(stale) as a function of the time since the commit; everything that does not depend on it is kept."""

    def __init__(self, delays: Delays, replicas: int, read_quorum: int, write_quorum: int) -> None:
        self._never = read_quorum + write_quorum > replicas
        self._margins: Array | None = None
        self._delays = delays
        if self._never:
            return
        if read_quorum == write_quorum == 1:
            others = sum_tail(delays.w, delays.a)
            self._commit = _bins(lambda x: others(x) ** (replicas - 1))
            self._first_read = self._read_delay_of_first(delays, replicas)
        else:
            self._margins = _sampled_margins(delays, replicas, read_quorum, write_quorum)

    @staticmethod
    def _read_delay_of_first(delays: Delays, replicas: int) -> tuple[Array, Array]:
        whole = sum_tail(delays.r, delays.s)
        reads, read_weights = _bins(delays.r.tail)
        responses, response_weights = _bins(delays.s.tail)
        first = whole(reads[:, None] + responses[None, :]) ** (replicas - 1) @ response_weights
        weights = read_weights * first
        return reads, weights / weights.sum()

    def probability(self, t: float) -> float:
        """P(a read that starts `t` after the commit misses the write)."""
        if self._never:
            return 0.0
        if self._margins is not None:
            return float((self._margins > t).mean())
        commits, commit_weights = self._commit
        reads, read_weights = self._first_read
        behind = self._delays.w.tail(commits[:, None] + (reads + t)[None, :])
        return float(commit_weights @ behind @ read_weights)


def _sampled_margins(delays: Delays, replicas: int, read_quorum: int, write_quorum: int) -> Array:
    """How long after the commit a read would have to start to be current, straight from the definition."""
    rng = stream(0, "staleness", replicas, read_quorum, write_quorum)
    w, a, r, s = (
        each.draw(rng, SAMPLES * replicas).reshape(SAMPLES, replicas)
        for each in (delays.w, delays.a, delays.r, delays.s)
    )
    commit = np.sort(w + a, axis=1)[:, write_quorum - 1]
    first = np.argsort(r + s, axis=1)[:, :read_quorum]
    behind = np.take_along_axis(w - r, first, axis=1) - commit[:, None]
    return np.asarray(behind.min(axis=1))
