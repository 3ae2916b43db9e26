"""I14: nobody waits longer than promised: no request outlives its journey's deadline by more than 500 ms.

Refusing everything at once would meet that, so a floor stands beside it: during the fault at least
`GOODPUT_FLOOR` of what was sent is answered in time. It is low on purpose; what a journey owes under a
fault, the scenario says.
"""

from __future__ import annotations

import polars as pl

from experiment.history import History
from experiment.scenario import Scenario
from experiment.topology import System
from experiment.units import format_duration, noun
from experiment.verdict import Verdict, Violation
from measurement.checkers.findings import SHOWN, Finding, conclude, rows, saw_nothing
from measurement.windows import fault_span

GRACE_S = 0.5
GOODPUT_FLOOR = 0.1


def find(history: History, _scenario: Scenario, system: System) -> Finding:
    """Exposed are the operations that were sent."""
    deadlines = {name: journey.deadline for name, journey in system.journeys.items()}
    sent = history.operations.lazy().filter(pl.col("sent").is_not_null())
    judged = (
        sent.select(
            "id",
            "journey",
            "sent",
            waited=pl.col("ended") - pl.col("sent"),
            limit=pl.col("journey").replace_strict(deadlines, default=None, return_dtype=pl.Float64)
            + GRACE_S,
            acknowledged=pl.col("outcome") == "acknowledged",
        )
        .filter(pl.col("limit").is_not_null())
        .collect()
    )
    if judged.height == 0:
        return saw_nothing("no operation was sent")
    late = judged.filter(pl.col("waited") > pl.col("limit")).sort("sent")
    longest = judged["waited"].max()
    assert isinstance(longest, float)
    floor, in_fault = _answered_in_time(judged, fault_span(history))
    measures: dict[str, float | int | str | None] = {
        "sent": judged.height,
        "beyond_deadline": late.height,
        "longest_wait_s": longest,
        "answered_in_time_during_fault": floor,
    }
    starved = floor is not None and floor < GOODPUT_FLOOR
    finding = conclude(
        judged.height,
        _violations(history, late),
        late.height,
        f"none of {noun(judged.height, 'request')} outlived its deadline by more than "
        f"{format_duration(GRACE_S)} (longest {format_duration(longest)})",
        f"{noun(late.height, 'request')} of {judged.height:,} outlived the deadline by more than "
        f"{format_duration(GRACE_S)} (longest {format_duration(longest)})",
        measures,
    )
    if starved and floor is not None:
        statement = (
            f"{finding.statement}; only {floor:.1%} of {in_fault:,} requests during the fault were answered "
            f"in time, below the floor of {GOODPUT_FLOOR:.0%}"
        )
        return Finding(
            Verdict.FAIL, statement, judged.height, finding.violations, max(1, late.height), measures
        )
    return finding


def _answered_in_time(judged: pl.DataFrame, span: tuple[float, float] | None) -> tuple[float | None, int]:
    """Share of the requests sent during the fault that were acknowledged within deadline and grace."""
    if span is None:
        return None, 0
    during = judged.filter(pl.col("sent").is_between(*span))
    if during.height == 0:
        return None, 0
    answered = during.filter(pl.col("acknowledged") & (pl.col("waited") <= pl.col("limit"))).height
    return answered / during.height, during.height


def _violations(history: History, late: pl.DataFrame) -> list[Violation]:
    first = late.head(SHOWN)
    found = rows("operation", history.operations.filter(pl.col("id").is_in(first["id"].implode())))
    by_id = {row["id"]: row for row in found}
    return [
        Violation(
            f"{journey} {by_id[number]['key']} waited {format_duration(waited)}, "
            f"{format_duration(waited - limit + GRACE_S)} beyond its deadline",
            by_id[number]["key"],
            sent,
            (by_id[number],),
        )
        for number, journey, sent, waited, limit in first.select(
            "id", "journey", "sent", "waited", "limit"
        ).iter_rows()
    ]
