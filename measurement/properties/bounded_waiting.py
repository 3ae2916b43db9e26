"""Nobody waits longer than promised: no request outlives its journey's deadline by more than the grace.

Refusing everything at once would meet that, so a floor stands beside it: during the fault at least a share
of what was sent is answered in time. It is low on purpose; what a journey owes under a fault, the scenario
says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiment.findings import SHOWN, Finding, conclude, not_exercised, rows
from experiment.history import History
from experiment.libraries import pl
from experiment.names import JourneyName
from experiment.scenario import Scenario
from experiment.topology import System
from experiment.units import Duration, Share, format_duration, noun
from experiment.verdict import Verdict, Violation
from measurement.windows import fault_span


@dataclass(frozen=True, slots=True)
class BoundedWaiting:
    """No request outlives its journey's deadline, and under a fault some are still answered."""

    kind: ClassVar[str] = "bounded_waiting"
    safety: ClassVar[bool] = False
    always: ClassVar[bool] = True  # every system has it

    grace: Duration = 0.5  # how long after its deadline a request may still end
    floor: Share = 0.1  # the least part of requests sent during the fault that must be answered in time
    operations: tuple[JourneyName, ...] = ()  # the journeys that are judged; none: all

    @property
    def sentence(self) -> str:
        grace = format_duration(self.grace)
        return f"No request outlives its deadline by more than {grace}, and some are always answered."

    def find(self, history: History, _scenario: Scenario, system: System) -> Finding:
        """Exposed are the operations that were sent."""
        deadlines = {
            name: journey.deadline
            for name, journey in system.journeys.items()
            if not self.operations or name in self.operations
        }
        judged = (
            history.lazy_operations.filter(pl.col("sent").is_not_null())
            .select(
                "id",
                "journey",
                "sent",
                waited=pl.col("ended") - pl.col("sent"),
                limit=pl.col("journey").replace_strict(deadlines, default=None, return_dtype=pl.Float64)
                + self.grace,
                acknowledged=pl.col("outcome") == "acknowledged",
            )
            .filter(pl.col("limit").is_not_null())
            .collect()
        )
        if judged.height == 0:
            return not_exercised("no operation was sent")
        late = judged.filter(pl.col("waited") > pl.col("limit")).sort("sent")
        longest = judged["waited"].max()
        assert isinstance(longest, float)
        answered, in_fault = _answered_in_time(judged, fault_span(history))
        measures: dict[str, float | int | str | None] = {
            "sent": judged.height,
            "beyond_deadline": late.height,
            "longest_wait_s": longest,
            "answered_in_time_during_fault": answered,
        }
        grace, most = format_duration(self.grace), format_duration(longest)
        finding = conclude(
            judged.height,
            self._violations(history, late),
            late.height,
            f"none of {noun(judged.height, 'request')} outlived its deadline by more than {grace} "
            f"(longest {most})",
            f"{noun(late.height, 'request')} of {judged.height:,} outlived the deadline by more than {grace} "
            f"(longest {most})",
            measures,
        )
        if answered is not None and answered < self.floor:
            statement = (
                f"{finding.statement}; only {answered:.1%} of {in_fault:,} requests during the fault were "
                f"answered in time, below the floor of {self.floor:.0%}"
            )
            return Finding(
                Verdict.FAIL, statement, judged.height, finding.violations, max(1, late.height), measures
            )
        return finding

    def _violations(self, history: History, late: pl.DataFrame) -> list[Violation]:
        first = late.head(SHOWN)
        late_ones = history.lazy_operations.filter(pl.col("id").is_in(first["id"].implode()))
        found = rows("operation", late_ones.collect()) if first.height else []
        by_id = {row["id"]: row for row in found}
        return [
            Violation(
                f"{journey} {by_id[number]['key']} waited {format_duration(waited)}, "
                f"{format_duration(waited - limit + self.grace)} beyond its deadline",
                by_id[number]["key"],
                sent,
                (by_id[number],),
            )
            for number, journey, sent, waited, limit in first.select(
                "id", "journey", "sent", "waited", "limit"
            ).iter_rows()
        ]


def _answered_in_time(judged: pl.DataFrame, span: tuple[float, float] | None) -> tuple[float | None, int]:
    """Share of the requests sent during the fault that were acknowledged within deadline and grace."""
    if span is None:
        return None, 0
    during = judged.filter(pl.col("sent").is_between(*span))
    if during.height == 0:
        return None, 0
    answered = during.filter(pl.col("acknowledged") & (pl.col("waited") <= pl.col("limit"))).height
    return answered / during.height, during.height
