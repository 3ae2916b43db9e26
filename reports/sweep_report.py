"""What a sweep found: variants of a design by rank, and what each key of theirs changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from experiment.plain_text import Plain

MAPPED = 2  # keys of a heat map
WORST_FIRST = ("fail", "aborted", "invalid", "inconclusive", "pass")


@dataclass(frozen=True, slots=True)
class Spread(Plain):
    """The mean of a figure over seeds, with its 95% t interval where two seeds or more have it."""

    mean: float
    low: float | None = None
    high: float | None = None
    runs: int = 1  # that have the figure

    @property
    def ends(self) -> tuple[float, float]:
        """The interval, or the mean twice."""
        low, high = self.low, self.high
        return (self.mean if low is None else low, self.mean if high is None else high)


@dataclass(frozen=True, slots=True)
class Outcomes(Plain):
    """How the runs of one variant or value ended."""

    verdicts: Mapping[str, int]  # runs by verdict
    vetoed: int = 0  # runs in which a safety property was violated

    @property
    def runs(self) -> int:
        return sum(self.verdicts.values())

    @property
    def share_passed(self) -> float:
        return self.verdicts.get("pass", 0) / self.runs if self.runs else 0.0

    @property
    def share_vetoed(self) -> float:
        return self.vetoed / self.runs if self.runs else 0.0

    @property
    def worst(self) -> str:
        return next((name for name in WORST_FIRST if self.verdicts.get(name)), "inconclusive")

    def __str__(self) -> str:
        """`3 fail (2 vetoed), 7 pass`."""
        veto = f" ({self.vetoed} vetoed)" if self.vetoed else ""
        told = (
            f"{self.verdicts[name]} {name}{veto if name == 'fail' else ''}"
            for name in WORST_FIRST
            if self.verdicts.get(name)
        )
        return ", ".join(told)


@dataclass(frozen=True, slots=True)
class Variant(Plain):
    """One design with its varied values, over all seeds."""

    place: int  # from 1; variants that came out alike share a place
    label: str  # the design with its varied values
    values: Mapping[str, str]  # of each key, the design among them where several were played
    outcomes: Outcomes  # how its runs ended
    broken: Mapping[str, int]  # runs by violated property
    figures: Mapping[str, Spread]  # by name, as in the rows of the sweep
    behind: Spread | None = None  # its score less that of the first variant, by seed


@dataclass(frozen=True, slots=True)
class KeyValue(Plain):
    """All runs in which one key has one value."""

    value: str  # as it was given
    outcomes: Outcomes  # how those runs ended
    score: Spread | None  # over seeds; each seed's mean over all variants
    against: Spread | None = None  # less the score of the first value, all else alike, by seed


@dataclass(frozen=True, slots=True)
class Key(Plain):
    """What one key changes, whatever the others are."""

    name: str
    values: tuple[KeyValue, ...]  # in the order in which they were given

    @property
    def span(self) -> float:
        """Points of score between its best and its worst value."""
        means = [value.score.mean for value in self.values if value.score is not None]
        return max(means) - min(means) if means else 0.0


@dataclass(frozen=True, slots=True)
class MapCell(Plain):
    """All runs with one value of each of two keys."""

    row: str
    column: str
    outcomes: Outcomes
    score: float | None  # the mean; none: no run has one


@dataclass(frozen=True, slots=True)
class SweepMap(Plain):
    """The two keys that change most against each other."""

    rows: str  # the key whose values are the rows
    columns: str
    cells: tuple[MapCell, ...]
    over: tuple[str, ...] = ()  # other keys, over whose values each cell is a mean


@dataclass(frozen=True, slots=True)
class SweepReport(Plain):
    """One scenario, simulated with every variant and every seed."""

    scenario: str  # its name
    magnitudes: str  # what the twin's times are from
    seeds: int  # how many were played
    started_at: str  # when the sweep ended, as ISO 8601
    command: str  # what to type to do it again
    outcomes: Outcomes  # how all runs ended
    variants: tuple[Variant, ...]  # the best first
    keys: tuple[Key, ...]  # the one that changes most first; only those with two values or more
    map: SweepMap | None = None  # of two keys or more
    notes: tuple[str, ...] = ()  # what the keys do not touch, and runs that failed

    @property
    def names(self) -> tuple[str, ...]:
        """The keys that every variant has a value of, in the order in which they were given."""
        return tuple(self.variants[0].values) if self.variants else ()

    @property
    def alike(self) -> int:
        """How many variants, from the first on, the sweep cannot tell from the first: no more vetoes and as
        many passes, and a difference of scores whose interval holds zero."""
        return len(list(takewhile(self._like_first, self.variants)))

    def _like_first(self, one: Variant) -> bool:
        first = self.variants[0]
        if one is first:
            return True
        same = (one.outcomes.share_vetoed, one.outcomes.share_passed) == (
            first.outcomes.share_vetoed,
            first.outcomes.share_passed,
        )
        if one.behind is None:
            return False
        low, high = one.behind.ends
        return same and low <= 0 <= high


def range_of(spreads: Sequence[Spread]) -> tuple[float, float]:
    """The ends of one scale for all of them."""
    ends = [end for spread in spreads for end in spread.ends]
    return (min(ends), max(ends)) if ends else (0.0, 0.0)
