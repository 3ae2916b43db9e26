"""Records of two sides as the pairs that a gate decides on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from execution.campaigns.run_records import RunRecord
from experiment.verdict import Verdict
from measurement.gate_pairs import ABSENT, PairedRun, Side

MACHINE_CONDITIONS = frozenset({"generator_kept_up"})
CONDITIONS = {  # what two runs must share to be a pair
    "source": "runtime",
    "time_scale": "time scale",
    "population": "population",
    "scenario_hash": "scenario file",
    "formula": "formula of the score",
}

Key = tuple[str, int]  # scenario and seed


def stem(scenario: str) -> str:
    """`smoke/control`, `scenarios/smoke/control.yaml` and `control` are one scenario."""
    return Path(scenario).stem


def key_of(record: RunRecord) -> Key:
    return stem(record.scenario), record.seed


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
        measured=not any(side and all(map(_machine_failed, side)) for side in sides),
        unlike="; ".join(sorted({text for a in baseline for b in candidate if (text := unlikeness(a, b))})),
    )


def unlikeness(one: RunRecord, other: RunRecord) -> str:
    """`time scale differs (1.0, 0.5)`; empty when both were run under the same conditions."""
    return ", ".join(
        f"{name} differs ({_shown(getattr(one, field))}, {_shown(getattr(other, field))})"
        for field, name in CONDITIONS.items()
        if getattr(one, field) != getattr(other, field)
    )


def _shown(value: object) -> str:
    return str(value) if value not in (None, "") else "not known"


def side_of(*attempts: RunRecord) -> Side:
    """The last attempt at a run, and how many before it were invalid. Those of a machine that could not keep
    up are not counted."""
    told = [record for record in attempts if not _machine_failed(record)] or list(attempts)
    last = told[-1]
    return Side(
        score=last.score,
        vetoes=frozenset().union(*(record.safety for record in attempts)),
        latency=last.baseline_latency,
        good=last.good,
        offered=last.offered,
        failed=last.verdict is Verdict.FAIL,
        lost_before=sum(record.score is None for record in told[:-1]),
    )


def _machine_failed(record: RunRecord) -> bool:
    """Invalid for no other reason than that the load could not be made."""
    return record.score is None and bool(record.broken) and set(record.broken) <= MACHINE_CONDITIONS
