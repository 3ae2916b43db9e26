"""Paired runs of a baseline and a candidate, and how sure a look at them must be."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from scipy import stats

from experiment.short_names import short_names
from experiment.verdict import Verdict
from measurement.histogram import Histogram
from measurement.pressure import LEAST_SHARE
from measurement.run_records import RunRecord

MIN_PAIRS = 3  # before the first look
CONFIRMED = 2  # runs of one scenario that must be invalid, or fail, beyond the baseline's
# O'Brien and Fleming's boundaries for 2.5% one-sided, by the largest number of looks they hold for (Jennison
# and Turnbull 2000, table 2.3); the last holds for any number: P(max B(t) > c) = 2 (1 - Phi(c)).
BOUNDARIES = ((1, 1.960), (7, 2.063), (20, 2.126), (math.inf, 2.2414))


@dataclass(frozen=True, slots=True)
class Side:
    """One run of a pair. `score` is None when the run was invalid; `good` of `offered` operations; `failed`:
    its verdict was fail; `lost_before`: earlier attempts at it that were invalid."""

    score: float | None
    vetoes: frozenset[str] = frozenset()  # names of violated safety invariants, in any attempt
    latency: Histogram = ()  # before any fault
    good: int = 0
    offered: int = 0
    failed: bool = False
    lost_before: int = 0
    present: bool = True  # False: there is no such run
    exercised: frozenset[str] = frozenset()  # safety properties that something was exposed to
    silent: frozenset[str] = frozenset()  # those that were asked for and that nothing was exposed to
    pressed: bool = False  # others kept the machine busy meanwhile

    @property
    def lost(self) -> int:
        """Attempts that were invalid."""
        return self.lost_before + (self.present and self.score is None)


ABSENT = Side(None, present=False)


@dataclass(frozen=True, slots=True)
class PairedRun:
    """One scenario with one seed on both. `measured` False: the machine could not keep up, which says
    nothing about either. `unlike`: in what the two differ that a pair must share; empty: nothing."""

    scenario: str
    seed: int
    baseline: Side
    candidate: Side
    measured: bool = True
    unlike: str = ""

    @property
    def whole(self) -> bool:
        """Both were run."""
        return self.baseline.present and self.candidate.present

    @property
    def pressed(self) -> bool:
        """Others kept the machine busy during one of them."""
        return self.baseline.pressed or self.candidate.pressed


@dataclass(frozen=True, slots=True)
class Look:
    """Which look at the pairs this is: after `number` of at most `n_max`."""

    number: int = 1
    n_max: int = 1

    @property
    def last(self) -> bool:
        return self.number >= self.n_max

    @property
    def level(self) -> float:
        """One-sided, for a pass as for a regression; over all looks together 2.5% (O'Brien and Fleming 1979:
        the boundary of the sum is the same at every look), 3% with the t of so few pairs."""
        looks = 1 if self.n_max <= MIN_PAIRS else self.n_max
        boundary = next(value for most, value in BOUNDARIES if looks <= most)
        return float(stats.norm.sf(boundary * math.sqrt(max(1.0, self.n_max / self.number))))


def by_scenario(runs: Iterable[PairedRun]) -> dict[str, list[PairedRun]]:
    """In the order of appearance."""
    found: dict[str, list[PairedRun]] = {}
    for run in runs:
        found.setdefault(run.scenario, []).append(run)
    return found


def scores(runs: Iterable[PairedRun]) -> list[tuple[float, float]]:
    """(baseline, candidate) of the pairs in which both were valid."""
    return [
        (run.baseline.score, run.candidate.score)
        for run in runs
        if run.measured and run.baseline.score is not None and run.candidate.score is not None
    ]


CONDITIONS = {  # what two runs must share to be a pair
    "source": "runtime",
    "time_scale": "time scale",
    "population": "population",
    "scenario_hash": "scenario file",
    "formula": "formula of the score",
}

Key = tuple[str, int]  # scenario and seed


def stem(scenario: str) -> str:
    """The name of the file."""
    return Path(scenario).stem


def scenario_names(*sources: Iterable[str]) -> dict[str, str]:
    """What each source (a suite, the runs of a side) calls a scenario, to one short name that all share.

    Of files of one name in different folders each is a scenario of its own: `smoke/control`, `night/control`.
    Where no source has two of a name, they are the same wherever they lie, and `control`."""
    found: dict[str, str] = {}
    given = [list(dict.fromkeys(source)) for source in sources]
    for name in dict.fromkeys(stem(one) for source in given for one in source):
        alike = [[one for one in source if stem(one) == name] for source in given]
        lead = max(alike, key=len)
        short = short_names(f"{one.removesuffix('.yaml')}.yaml" for one in lead)
        shorts = dict(zip(lead, short.values(), strict=True))
        for one in dict.fromkeys(one for source in alike for one in source):
            nearest = sorted(lead, key=lambda other: -_common_tail(one, other))
            told = len(lead) == 1 or _common_tail(one, nearest[0]) > _common_tail(one, nearest[1])
            found[one] = shorts.get(one) or (shorts[nearest[0]] if told else one)
    return found


def _common_tail(one: str, other: str) -> int:
    """How many of the last parts of both paths are the same."""
    pairs = zip(*(reversed(Path(path.removesuffix(".yaml")).parts) for path in (one, other)), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def key_of(record: RunRecord) -> Key:
    """Of a record whose scenario has its short name."""
    return record.scenario, record.seed


def paired_runs(
    baseline: Sequence[RunRecord], candidate: Sequence[RunRecord], required: Iterable[Key] = ()
) -> list[PairedRun]:
    """A pair for every scenario and seed that is required or that a side has; a half that was not run is
    absent."""
    one, other = _attempts(baseline), _attempts(candidate)
    return [
        _pair(key, one.get(key, []), other.get(key, [])) for key in dict.fromkeys((*required, *one, *other))
    ]


def _attempts(records: Sequence[RunRecord]) -> dict[Key, list[RunRecord]]:
    found: dict[Key, list[RunRecord]] = {}
    for record in records:
        found.setdefault(key_of(record), []).append(record)
    return found


def _pair(key: Key, baseline: Sequence[RunRecord], candidate: Sequence[RunRecord]) -> PairedRun:
    sides = (baseline, candidate)
    return PairedRun(
        scenario=key[0],
        seed=key[1],
        baseline=side_of(*baseline) if baseline else ABSENT,
        candidate=side_of(*candidate) if candidate else ABSENT,
        measured=not any(side and all(record.machine_failed for record in side) for side in sides),
        unlike="; ".join(sorted({text for a in baseline for b in candidate if (text := unlikeness(a, b))})),
    )


def unlikeness(one: RunRecord, other: RunRecord) -> str:
    """`time scale differs (1.0, 0.5)`; empty when both were run under the same conditions. Two designs
    that no service told apart are no two sides either."""
    found = [
        f"{name} differs ({_shown(getattr(one, field))}, {_shown(getattr(other, field))})"
        for field, name in CONDITIONS.items()
        if getattr(one, field) != getattr(other, field)
    ]
    if one.design != other.design and one.obeyed and one.obeyed == other.obeyed:
        found.append(f"services obeyed the very same design and code as {one.design} and as {other.design}")
    return ", ".join(found)


def _shown(value: object) -> str:
    return str(value) if value not in (None, "") else "not known"


def side_of(*attempts: RunRecord) -> Side:
    """The last attempt at a run, and how many before it were invalid. Those of a machine that could not keep
    up are not counted."""
    told = [record for record in attempts if not record.machine_failed] or list(attempts)
    last = told[-1]
    return Side(
        score=last.score,
        vetoes=frozenset().union(*(record.safety for record in attempts)),
        latency=last.baseline_latency,
        good=last.good,
        offered=last.offered,
        failed=last.verdict in (Verdict.FAIL, Verdict.ABORTED),
        lost_before=sum(record.score is None for record in told[:-1]),
        exercised=frozenset(one.name for one in last.properties if one.safety and one.exposed),
        silent=frozenset(one.name for one in last.properties if one.safety and not one.exposed),
        pressed=last.pressed >= LEAST_SHARE,
    )
