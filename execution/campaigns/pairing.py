"""Records of two sides as the pairs that a gate decides on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from execution.campaigns.records import RunRecord
from experiment.verdict import Verdict
from measurement.gate import PairedRun, Side

MACHINE_CONDITIONS = frozenset({"generator_kept_up"})


def stem(scenario: str) -> str:
    """`smoke/control`, `scenarios/smoke/control.yaml` and `control` are one scenario."""
    return Path(scenario).stem


def paired_runs(baseline: Sequence[RunRecord], candidate: Sequence[RunRecord]) -> list[PairedRun]:
    """Pairs of scenario and seed that both sides have."""
    one = {(stem(record.scenario), record.seed): record for record in baseline}
    other = {(stem(record.scenario), record.seed): record for record in candidate}
    return [
        PairedRun(
            scenario=key[0],
            seed=key[1],
            baseline=side_of(one[key]),
            candidate=side_of(other[key]),
            measured=not (_machine_failed(one[key]) or _machine_failed(other[key])),
        )
        for key in one
        if key in other
    ]


def side_of(record: RunRecord) -> Side:
    return Side(
        score=record.score,
        vetoes=frozenset(record.safety),
        latency=record.baseline_latency,
        good=record.good,
        offered=record.offered,
        failed=record.verdict is Verdict.FAIL,
    )


def _machine_failed(record: RunRecord) -> bool:
    """Invalid for no other reason than that the load could not be made."""
    return record.score is None and bool(record.broken) and set(record.broken) <= MACHINE_CONDITIONS
