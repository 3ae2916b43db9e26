"""The score of one run: 0 to 100 from five parts, none of which can buy back another.

S = 100 * A^.30 * D^.15 * T^.25 * C^.15 * E^.15, each part floored at 0.01 (absorb, depth, recover, contain,
converge). A, D and C say how the users of all journeys fared (see `measurement.harm`): in the whole fault, in
the worst stretches of fault and recovery, and in the journeys that the fault cannot reach. A part that a run
cannot show is left out and its weight shared among the others in proportion. A run without faults has A and D
over all its load after warm-up, not normalised, and E; it has no T and no C.

`codeblue-1`, the formula before, took the mean of Q for A, D and C. Its figure is kept beside.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from experiment.libraries import np
from measurement.analysis import RecoveryResult, Score
from measurement.harm import Counts
from measurement.resilience import Quality

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


FORMULA = "codeblue-2: 100 A^.30 D^.15 T^.25 C^.15 E^.15 of standings, floor 0.01"
FORMULA_BEFORE = "codeblue-1"
WEIGHTS = {"absorb": 0.30, "depth": 0.15, "recover": 0.25, "contain": 0.15, "converge": 0.15}
FLOOR = 0.01
WORST_SHARE = 0.10
STRETCH_S = 5
LONGEST_BLOCK_S = 5
SHORTEST_FAULT_S = 6
RESAMPLES = 1000
AT_ONCE = 50  # of them, so that a long run needs little memory


def score_run(
    quality: Quality,
    independent: tuple[str, ...],
    recovery: RecoveryResult | None,
    converge: float | None,
    seed: int | None,
) -> Score:
    """Score before validity and veto. `independent`: journeys that the faults cannot reach; `converge`: part
    E, or None when no backlog was sampled; `seed` feeds the bootstrap, without one there is no interval."""
    start, heal, end = _judged(quality)
    curve = quality.combined[start:end]
    seen = curve[~np.isnan(curve)]
    if seen.size == 0:
        return Score(FORMULA, None, None, dict.fromkeys(WEIGHTS), None, None, None)
    apart = tuple(name for name in independent if name in quality.journeys and quality.fault is not None)
    usual = quality.baseline if quality.fault is not None else {}
    counts = Counts.of(quality.counts, usual, quality.criticality)
    single = {"recover": _recover_part(recovery), "converge": converge}
    contain = None
    if apart:
        contain = _known(Counts.of(quality.counts, usual, quality.criticality, apart).between(start, heal))
    parts = {
        "absorb": _known(counts.between(start, heal)),
        "depth": float(_worst(counts.between(start, end).stretches(STRETCH_S))),
        "recover": single["recover"],
        "contain": contain,
        "converge": converge,
    }
    kept = {**single, "contain": contain}
    value = combine(parts)
    before = combine(_parts_before(quality, apart, (start, heal, end)) | single)
    return Score(
        FORMULA,
        value,
        value,
        parts,
        _interval(kept, counts.between(start, heal), counts.between(heal, end), seed),
        float(seen.mean()),
        float((100 - 100 * seen).sum()),
        before={FORMULA_BEFORE: before},
    )


def combine(parts: Mapping[str, float | None]) -> float | None:
    """The formula; None when no part could be shown."""
    known = {name: max(FLOOR, value) for name, value in parts.items() if value is not None}
    weight = sum(WEIGHTS[name] for name in known)
    if not known:
        return None
    return 100 * math.exp(sum(WEIGHTS[name] / weight * math.log(value) for name, value in known.items()))


def converge_part(converged_s: float | None, observed: bool, budget_s: float) -> float | None:
    """E = max(0, 1 - t / budget); 0 when it never converged, None when nobody looked."""
    if not observed:
        return None
    if converged_s is None:
        return 0.0
    return max(0.0, 1 - converged_s / budget_s) if budget_s > 0 else 1.0


def vetoed(score: Score, why: str) -> Score:
    """0, which was not measured: it has no interval."""
    before = dict.fromkeys(score.before, 0.0)
    return replace(score, value=0.0, veto=why, interval=None, before=before)


def without_value(score: Score) -> Score:
    """The score of an invalid run: none, and none that it would have had."""
    return replace(score, value=None, without_veto=None, interval=None, before={})


def _judged(quality: Quality) -> tuple[int, int, int]:
    """Seconds from the first injection over the last heal to the end of the load; without faults the load
    after warm-up, all of it before the heal."""
    if quality.fault is None or quality.recovery is None:
        return quality.baseline_span[0], quality.seconds, quality.seconds
    start, heal = quality.fault
    return start, heal, quality.recovery[1]


def _parts_before(
    quality: Quality, apart: tuple[str, ...], judged: tuple[int, int, int]
) -> dict[str, float | None]:
    """A, D and C of `codeblue-1`: means of Q, in which one journey of many is hardly seen."""
    start, heal, end = judged
    return {
        "absorb": _mean(quality.combined[start:heal]),
        "depth": float(_worst(quality.combined[start:end])),
        "contain": _mean(quality.combine(apart)[start:heal]) if apart else None,
    }


def _recover_part(recovery: RecoveryResult | None) -> float | None:
    if recovery is None:
        return None
    if recovery.seconds is None:
        return 0.0
    return max(0.0, 1 - recovery.seconds / recovery.budget)


def _known(counts: Counts) -> float | None:
    """None where nothing was offered."""
    level = float(counts.together())
    return None if math.isnan(level) else level


def _mean(curve: Floats) -> float | None:
    seen = curve[~np.isnan(curve)]
    return float(seen.mean()) if seen.size else None


def _worst(curves: Floats) -> Floats:
    """Of each row the mean of its worst tenth, one at least; what is empty does not count."""
    ascending = np.sort(curves, axis=-1)  # what is empty comes last
    count = np.maximum(1, np.ceil(np.count_nonzero(~np.isnan(curves), axis=-1) * WORST_SHARE))
    chosen = np.where(np.arange(curves.shape[-1]) < count[..., None], ascending, 0.0)
    worst: Floats = chosen.sum(axis=-1) / count
    return worst


def _interval(
    kept: Mapping[str, float | None], fault: Counts, recovery: Counts, seed: int | None
) -> tuple[float, float] | None:
    """95% moving-block bootstrap (Künsch 1989) within this run: seconds of the fault and of the recovery are
    drawn again in blocks, so that neighbours stay together; T, C and E, single figures of a run, are
    held."""
    if seed is None or np.count_nonzero(fault.offered.sum(axis=-1)) < SHORTEST_FAULT_S:
        return None
    rng = np.random.default_rng(seed)
    values: list[float] = []
    for drawn in _draws(fault, recovery, rng):
        absorb = drawn.between(0, fault.offered.shape[0]).together()
        depth = _worst(drawn.stretches(STRETCH_S))
        some = ~np.isnan(absorb)  # a draw without any operation says nothing
        for one, other in zip(absorb[some].tolist(), depth[some].tolist(), strict=True):
            value = combine({"absorb": one, "depth": other, **kept})
            if value is not None:
                values.append(value)
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _draws(fault: Counts, recovery: Counts, rng: np.random.Generator) -> Iterator[Counts]:
    """RESAMPLES runs, some at a time: seconds of the fault, then those of the recovery if there are any."""
    lengths = [part.offered.shape[0] for part in (fault, recovery)]
    picks = [_blocks(length, rng) for length in lengths if length]
    parts = [part for part, length in zip((fault, recovery), lengths, strict=True) if length]
    for start in range(0, RESAMPLES, AT_ONCE):
        chosen = [pick[start : start + AT_ONCE] for pick in picks]
        yield fault.with_rows(
            np.concatenate([part.offered[rows] for part, rows in zip(parts, chosen, strict=True)], axis=1),
            np.concatenate([part.good[rows] for part, rows in zip(parts, chosen, strict=True)], axis=1),
        )


def _blocks(seconds: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """RESAMPLES series of so many seconds, put together from blocks: a third of them, 5 s at most."""
    block = max(1, min(LONGEST_BLOCK_S, seconds // 3))
    count = math.ceil(seconds / block)
    starts = rng.integers(0, seconds - block + 1, size=(RESAMPLES, count))
    picked = starts[:, :, None] + np.arange(block)
    return picked.reshape(RESAMPLES, -1)[:, :seconds]
