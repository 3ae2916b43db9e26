"""The score of one run: 0 to 100 from five parts, none of which can buy back another.

S = 100 * A^.30 * D^.15 * T^.25 * C^.15 * E^.15, each part floored at 0.01 (absorb, depth, recover, contain,
converge). A part that a run cannot show is left out and its weight shared among the others in proportion. A
run without faults has A and D over all its load after warm-up, not normalised, and E; it has no T and no C.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from experiment.libraries import np
from measurement.analysis import RecoveryResult, Score
from measurement.resilience import Quality

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


FORMULA = "codeblue-1: 100 A^.30 D^.15 T^.25 C^.15 E^.15, floor 0.01"
WEIGHTS = {"absorb": 0.30, "depth": 0.15, "recover": 0.25, "contain": 0.15, "converge": 0.15}
FLOOR = 0.01
WORST_SHARE = 0.10
LONGEST_BLOCK_S = 5
SHORTEST_FAULT_S = 6
RESAMPLES = 1000


def score_run(
    quality: Quality,
    independent: tuple[str, ...],
    recovery: RecoveryResult | None,
    converge: float | None,
    seed: int,
) -> Score:
    """Score before validity and veto. `independent`: journeys that the faults cannot reach; `converge`: part
    E, or None when no backlog was sampled; `seed` feeds the bootstrap."""
    judged, during = _judged(quality)
    seen = judged[~np.isnan(judged)]
    if seen.size == 0:
        return Score(FORMULA, None, None, dict.fromkeys(WEIGHTS), None, None, None)
    contain = None
    if quality.fault is not None and independent:
        apart = quality.combine([name for name in independent if name in quality.journeys])
        contain = _mean(apart[slice(*quality.fault)])
    parts = {
        "absorb": _mean(during),
        "depth": float(_worst(judged[None, :])[0]),
        "recover": _recover_part(recovery),
        "contain": contain,
        "converge": converge,
    }
    interval = _interval(parts, judged, during.size, seed)
    value = combine(parts)
    area = float(seen.mean())
    loss = float((100 - 100 * seen).sum())
    return Score(FORMULA, value, value, parts, interval, area, loss)


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
    return replace(score, value=0.0, veto=why, interval=None)


def without_value(score: Score) -> Score:
    """The score of an invalid run: none, and none that it would have had."""
    return replace(score, value=None, without_veto=None, interval=None)


def _judged(quality: Quality) -> tuple[Floats, Floats]:
    """(fault and recovery, the fault alone); without faults both are the load after warm-up."""
    if quality.fault is None or quality.recovery is None:
        whole = quality.combined[quality.baseline_span[0] :]
        return whole, whole
    start, heal = quality.fault
    return quality.combined[start : quality.recovery[1]], quality.combined[start:heal]


def _recover_part(recovery: RecoveryResult | None) -> float | None:
    if recovery is None:
        return None
    if recovery.seconds is None:
        return 0.0
    return max(0.0, 1 - recovery.seconds / recovery.budget)


def _mean(curve: Floats) -> float | None:
    seen = curve[~np.isnan(curve)]
    return float(seen.mean()) if seen.size else None


def _worst(curves: Floats) -> Floats:
    """Of each row the mean of its worst tenth of seconds, one at least; empty seconds do not count."""
    ascending = np.sort(curves, axis=1)  # empty seconds come last
    count = np.maximum(1, np.ceil(np.count_nonzero(~np.isnan(curves), axis=1) * WORST_SHARE))
    chosen = np.where(np.arange(curves.shape[1]) < count[:, None], ascending, 0.0)
    worst: Floats = chosen.sum(axis=1) / count
    return worst


def _interval(
    parts: Mapping[str, float | None], judged: Floats, fault_seconds: int, seed: int
) -> tuple[float, float] | None:
    """95% moving-block bootstrap (Künsch 1989) within this run: seconds of the fault and of the recovery are
    drawn again in blocks, so that neighbours stay together; T, C and E, single figures of a run, are
    held."""
    fault, recovery = judged[:fault_seconds], judged[fault_seconds:]
    if np.count_nonzero(~np.isnan(fault)) < SHORTEST_FAULT_S:
        return None
    rng = np.random.default_rng(seed)
    drawn_fault = _blocks(fault, rng)
    drawn = np.hstack([drawn_fault, _blocks(recovery, rng)]) if recovery.size > 1 else drawn_fault
    some = ~np.isnan(drawn_fault).all(axis=1)  # a draw without any operation says nothing
    kept = {name: value for name, value in parts.items() if name not in ("absorb", "depth")}
    absorb, depth = np.nanmean(drawn_fault[some], axis=1), _worst(drawn[some])
    values = [
        combine({"absorb": one, "depth": other, **kept})
        for one, other in zip(absorb.tolist(), depth.tolist(), strict=True)
    ]
    low, high = np.quantile([value for value in values if value is not None], [0.025, 0.975])
    return float(low), float(high)


def _blocks(curve: Floats, rng: np.random.Generator) -> Floats:
    """RESAMPLES series as long as `curve`, put together from its blocks: a third of it, 5 s at most."""
    block = max(1, min(LONGEST_BLOCK_S, curve.size // 3))
    count = math.ceil(curve.size / block)
    starts = rng.integers(0, curve.size - block + 1, size=(RESAMPLES, count))
    picked = curve[starts[:, :, None] + np.arange(block)]
    drawn: Floats = picked.reshape(RESAMPLES, -1)[:, : curve.size]
    return drawn
