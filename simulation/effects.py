"""What a design or a variant changes: effect sizes between the labels of a sweep, paired by seed."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np
import polars as pl
from scipy.stats import t as student

from simulation.sweep import metrics_of

CONFIDENCE = 0.95
JUDGEMENTS = ("score", "violations", "good_ratio", "recovery_s")


@dataclass(frozen=True, slots=True)
class Interval:
    """The mean of a figure over the seeds of one label, with its 95% t interval."""

    label: str
    metric: str
    runs: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Effect:
    """`label` against `baseline`: the mean difference over common seeds, its 95% interval, and its size.

    `size` is Cohen's d of the pairs (mean difference / standard deviation of the differences), None when
    they do not vary; `larger` is the share of seeds in which `label` has the larger figure (ties half).
    """

    metric: str
    baseline: str
    label: str
    pairs: int
    difference: float
    low: float
    high: float
    size: float | None
    larger: float


def intervals(results: pl.DataFrame) -> list[Interval]:
    """Every figure of every label that at least two runs have."""
    rows: list[Interval] = []
    for label in results["label"].unique(maintain_order=True):
        own = results.filter(pl.col("label") == label)
        for metric in metrics_of(results):
            values = own[metric].drop_nulls().to_numpy()
            if len(values) >= 2:
                low, high = t_interval(values)
                rows.append(Interval(label, metric, len(values), float(values.mean()), low, high))
    return rows


def t_interval(values: np.ndarray) -> tuple[float, float]:
    """The ends of the 95% t interval of their mean; two values or more."""
    half = student.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def effects(results: pl.DataFrame, baseline: str | None = None) -> list[Effect]:
    """All labels against the baseline (the first label when none is named), each label's in turn: score,
    violations, good shares and recovery before all others, among those the largest size first."""
    labels = results["label"].unique(maintain_order=True).to_list()
    first = baseline if baseline is not None else labels[0]
    rows: list[Effect] = []
    for label in labels:
        if label == first:
            continue
        for metric in metrics_of(results):
            one = _effect(results, metric, first, label)
            if one is not None:
                rows.append(one)
    place = {label: number for number, label in enumerate(labels)}
    return sorted(rows, key=lambda row: (place[row.label], _weight(row.metric), -_size(row)))


def _weight(metric: str) -> int:
    """Judgements come before what explains them."""
    name = metric.rpartition(".")[2]
    return JUDGEMENTS.index(name) if name in JUDGEMENTS else len(JUDGEMENTS)


def _size(row: Effect) -> float:
    """Differences that do not vary are infinitely many standard deviations, unless there is none."""
    if row.size is not None:
        return abs(row.size)
    return inf if row.difference else 0.0


def _effect(results: pl.DataFrame, metric: str, baseline: str, label: str) -> Effect | None:
    columns = ["seed", metric]
    before = results.filter(pl.col("label") == baseline).select(columns)
    after = results.filter(pl.col("label") == label).select(columns)
    pairs = before.join(after, on="seed", suffix="_after").drop_nulls()
    if len(pairs) < 2:
        return None
    difference = (pairs[f"{metric}_after"] - pairs[metric]).cast(pl.Float64).to_numpy()
    low, high = t_interval(difference)
    spread = float(difference.std(ddof=1))
    mean = float(difference.mean())
    larger = float((difference > 0).mean() + 0.5 * (difference == 0).mean())
    return Effect(
        metric, baseline, label, len(pairs), mean, low, high, mean / spread if spread > 0 else None, larger
    )
