"""How well the users of all journeys fared together, from 0 to 1: harm cannot be averaged away.

The quality q of a journey of criticality c becomes its standing s = 1 - 0.9 (c / c_max) (1 - q); c_max is
the highest criticality that was played. Standings are multiplied from the worst up, each with half of the
weight of the one before it: s_1^1 s_2^(1/2) s_3^(1/4) ...; the last one has its weight twice, so that weights
add up to 2.

- One journey of the highest criticality that is wholly down leaves at most 0.1, whatever else was played.
- Any number of journeys of at most half its criticality that are down leave at least 0.55^2 = 0.3.
- All of them down, at the same criticality, leave 0.01.
- Less harm in any journey never gives less.

A share of few operations is uncertain: each journey gets the benefit of the doubt of one standard error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiment.libraries import np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

WORST = 0.1  # the standing of the most critical journey when it is wholly down
DOUBT = 1.0  # standard errors


@dataclass(frozen=True, slots=True)
class Counts:
    """Operations of each played journey, second by second. Arrays have the shape (..., seconds, journeys)."""

    offered: Floats
    good: Floats
    usual: Floats  # good / offered in the baseline, for each journey; 1 where nothing is normalised
    criticality: Floats  # for each journey, of the highest that was played

    @classmethod
    def of(
        cls,
        each: Mapping[str, tuple[Floats, Floats]],
        usual: Mapping[str, float],
        criticality: Mapping[str, float],
        names: tuple[str, ...] | None = None,
    ) -> Counts:
        """`each`: journey to (offered, good). `names`: those journeys only (none: all)."""
        chosen = [name for name in each if names is None or name in names]
        highest = max((criticality[name] for name in each), default=1.0)
        return cls(
            np.stack([each[name][0] for name in chosen], axis=-1),
            np.stack([each[name][1] for name in chosen], axis=-1),
            np.array([usual.get(name) or 1.0 for name in chosen]),
            np.array([criticality[name] / highest for name in chosen]),
        )

    def between(self, start: int, end: int) -> Counts:
        """Those seconds only."""
        return self.with_rows(self.offered[..., start:end, :], self.good[..., start:end, :])

    def with_rows(self, offered: Floats, good: Floats) -> Counts:
        """Other seconds of the same journeys."""
        return Counts(offered, good, self.usual, self.criticality)

    def together(self) -> Floats:
        """The number for all seconds together; NaN where nothing was offered."""
        return self._standing(self.offered.sum(axis=-2), self.good.sum(axis=-2))

    def stretches(self, seconds: int) -> Floats:
        """The number for each stretch of so many seconds (all of them, where there are fewer)."""
        length = max(1, min(seconds, self.offered.shape[-2]))
        return self._standing(_sums(self.offered, length), _sums(self.good, length))

    def _standing(self, offered: Floats, good: Floats) -> Floats:
        quality = np.minimum(1.0, _at_best(good, offered) / self.usual)
        lost = np.where(offered > 0, self.criticality * (1 - quality), 0.0)
        standing = np.sort(
            1 - (1 - WORST) * lost, axis=-1
        )  # what was not offered comes last, and counts for 1
        played = np.count_nonzero(offered > 0, axis=-1)
        weights = _weights(offered.shape[-1])[played]
        result: Floats = np.exp((weights * np.log(standing)).sum(axis=-1))
        return np.where(played > 0, result, np.nan)


def _at_best(good: Floats, offered: Floats) -> Floats:
    """The upper end of Wilson's interval of `DOUBT` standard errors; 1 where nothing was offered."""
    n = np.maximum(offered, 1.0)
    share, square = np.where(offered > 0, good / n, 1.0), DOUBT**2
    spread = DOUBT * np.sqrt(share * (1 - share) / n + square / (4 * n**2))
    best = (share + square / (2 * n) + spread) / (1 + square / n)
    return np.where(share < 1, np.minimum(1.0, best), 1.0)


def _sums(values: Floats, length: int) -> Floats:
    """Of each `length` seconds in a row."""
    total = np.cumsum(values, axis=-2)
    before = np.concatenate([np.zeros_like(total[..., :1, :]), total[..., :-length, :]], axis=-2)
    sums: Floats = total[..., length - 1 :, :] - before
    return sums


def _weights(journeys: int) -> Floats:
    """Row m: the weight of each place when m journeys were played."""
    table = np.zeros((journeys + 1, journeys))
    for played in range(1, journeys + 1):
        table[played, :played] = 0.5 ** np.arange(played)
        table[played, played - 1] *= 2
    return table
