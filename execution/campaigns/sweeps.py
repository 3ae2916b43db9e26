"""The report of a sweep from its rows: variants by rank, what each key changes, two keys in a map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import product
from statistics import fmean
from typing import Any, TypeVar

import numpy as np
import polars as pl

from experiment.units import noun
from reports.sweep import FIGURES
from reports.sweep_report import (
    MAPPED,
    Key,
    KeyValue,
    MapCell,
    Outcomes,
    Spread,
    SweepMap,
    SweepReport,
    Variant,
)
from simulation.effects import t_interval
from simulation.variation import EVERY, Untouched

DESIGN = "design"
Row = Mapping[str, Any]
K = TypeVar("K")


def sweep_report(
    results: pl.DataFrame,
    keys: Sequence[str],
    magnitudes: str,
    command: str,
    notes: Sequence[str] = (),
) -> SweepReport:
    """All of it; `keys` are what was varied, in the order in which they were given."""
    rows: Sequence[Row] = results.to_dicts()
    designs = {row[DESIGN] for row in rows}
    names = [*([DESIGN] if len(designs) > 1 else []), *keys]
    told = sorted((_key(rows, name, names) for name in names), key=lambda key: -key.span)
    moving = tuple(key for key in told if len(key.values) > 1)
    return SweepReport(
        scenario=rows[0]["scenario"],
        magnitudes=magnitudes,
        seeds=len({row["seed"] for row in rows}),
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        outcomes=_outcomes(rows),
        variants=tuple(_ranked(rows, names)),
        keys=moving,
        map=_map(rows, moving, names),
        notes=tuple(notes),
    )


def untouched_text(one: Untouched, most: int | None = None) -> str:
    """`*.retry.attempts does not touch, in resilient, 2 links where retry is off: a -> b, c -> d`; at `most`
    that many names."""
    what = one.key.removeprefix(EVERY)
    told = [
        f"{noun(len(names), 'link' if one.links else 'service')} {why}: {_listed(names, most)}"
        for names, why in (
            (one.off, f"where {what.split('.')[0]} is off"),
            (one.named, "with a key of their own"),
        )
        if names
    ]
    return f"{one.key} does not touch, in {one.design}, {'; nor '.join(told)}"


def _listed(names: Sequence[str], most: int | None) -> str:
    left = len(names) - (most or len(names))
    return ", ".join(names[:most]) + (f" and {left} more" if left > 0 else "")


def _ranked(rows: Sequence[Row], names: Sequence[str]) -> Iterable[Variant]:
    """The fewest vetoes first, then the most passes, then the best score."""
    held = _grouped(rows, lambda row: row["label"])
    outcomes = {label: _outcomes(own) for label, own in held.items()}
    scores = {label: _spread(own, "score") for label, own in held.items()}

    def merit(label: str) -> tuple[float, float, float]:
        score, ended = scores[label], outcomes[label]
        return ended.share_vetoed, -ended.share_passed, -round(score.mean, 6) if score is not None else 1.0

    order = sorted(held, key=merit)
    for position, label in enumerate(order, 1):
        place = next(number for number, other in enumerate(order, 1) if merit(other) == merit(label))
        own, first = held[label], held[order[0]]
        broken = Counter(name for row in own for name in (row["broken"] or "").split())
        yield Variant(
            place=place,
            label=label,
            values={name: str(own[0][name]) for name in names},
            outcomes=outcomes[label],
            broken=dict(broken.most_common()),
            figures={name: s for name in FIGURES if (s := _spread(own, name)) is not None},
            behind=None if position == 1 else _of_seeds(_paired(first, own, _seed)),
        )


def _key(rows: Sequence[Row], name: str, names: Sequence[str]) -> Key:
    held = _grouped(rows, lambda row: str(row[name]))
    others = [other for other in names if other != name]

    def rest(row: Row) -> tuple[Any, ...]:
        return (row["seed"], *(row[other] for other in others))

    first = next(iter(held.values()))
    return Key(
        name,
        tuple(
            KeyValue(
                value=value,
                outcomes=_outcomes(own),
                score=_of_seeds((row["seed"], row["score"]) for row in own),
                against=None if own is first else _of_seeds(_paired(first, own, rest)),
            )
            for value, own in held.items()
        ),
    )


def _map(rows: Sequence[Row], keys: Sequence[Key], names: Sequence[str]) -> SweepMap | None:
    """The two keys that change most; the one with more values lies across, where the page has room."""
    if len(keys) < MAPPED:
        return None
    down, across = sorted(keys[:MAPPED], key=lambda key: len(key.values))
    held = _grouped(rows, lambda row: (str(row[down.name]), str(row[across.name])))
    cells = []
    for row, column in product(down.values, across.values):
        own = held.get((row.value, column.value), [])
        scores = [one["score"] for one in own if one["score"] is not None]
        cells.append(MapCell(row.value, column.value, _outcomes(own), fmean(scores) if scores else None))
    over = tuple(name for name in names if name not in (down.name, across.name))
    return SweepMap(down.name, across.name, tuple(cells), over)


def _outcomes(rows: Iterable[Row]) -> Outcomes:
    own = list(rows)
    return Outcomes(
        dict(Counter(str(row["verdict"]) for row in own)), sum(bool(row["vetoed"]) for row in own)
    )


def _seed(row: Row) -> tuple[Any, ...]:
    return (row["seed"],)


def _paired(
    before: Sequence[Row], after: Sequence[Row], by: Callable[[Row], tuple[Any, ...]]
) -> list[tuple[int, float]]:
    """The seed and the difference of scores of every two runs that are alike but for the one thing."""
    known = {by(row): row["score"] for row in before}
    return [
        (row["seed"], row["score"] - known[by(row)])
        for row in after
        if row["score"] is not None and known.get(by(row)) is not None
    ]


def _spread(rows: Sequence[Row], name: str) -> Spread | None:
    return _of_seeds((row["seed"], row.get(name)) for row in rows)


def _of_seeds(values: Iterable[tuple[int, float | None]]) -> Spread | None:
    """One value a seed, which are what is independent; no interval where no two of them differ."""
    held: dict[int, list[float]] = {}
    for seed, value in values:
        if value is not None:
            held.setdefault(seed, []).append(value)
    if not held:
        return None
    means = np.array([fmean(own) for own in held.values()])
    if np.ptp(means) < 1e-9:
        return Spread(float(means[0]), runs=len(means))
    low, high = t_interval(means)
    return Spread(float(means.mean()), low, high, len(means))


def _grouped(rows: Iterable[Row], by: Callable[[Row], K]) -> dict[K, list[Row]]:
    """In the order of first appearance."""
    held: dict[K, list[Row]] = {}
    for row in rows:
        held.setdefault(by(row), []).append(row)
    return held
