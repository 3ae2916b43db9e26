"""When a run ends itself: conditions of the scenario on what users meet, judged each second while it goes on.

Live runs and the twin ask the same watch. A second in which no operation ended says nothing: it neither
counts nor breaks a row of seconds, since users who wait for an answer give up in the end.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from experiment.names import JourneyName
from experiment.rows import Operation, Outcome
from experiment.units import Duration, Share, format_duration, noun

NAME: Final = "aborted"  # the reason of the end of such a run, and its verdict


@dataclass(frozen=True, slots=True)
class AbortCondition:
    """The run ends at once when this much was seen in every second for so long."""

    errors: Share | None = None
    """More than this share of the operations that end in a second fail."""
    p95: Duration | None = None
    """The 95th percentile of their latencies, from the intended start, is more than this."""
    journey: JourneyName | None = None
    """The journey whose operations count; without it, all of them together."""
    lasting: Duration = 5.0
    """For how long without a break; in whole seconds, rounded up."""

    def __post_init__(self) -> None:
        if (self.errors is None) == (self.p95 is None):
            both = "both errors and p95" if self.p95 is not None else "a condition without a figure"
            raise ValueError(f"{both}; expected errors (a share) or p95 (a time)")
        if self.errors is not None and self.errors >= 1:
            raise ValueError("errors 100%; expected a share that can be exceeded, such as 50%")
        if self.p95 is not None and self.p95 <= 0:
            raise ValueError("p95 0 s; expected a time that operations can keep to, such as 2s")
        if self.lasting <= 0:
            raise ValueError("lasting 0 s; expected a time of a second or more")

    def __str__(self) -> str:
        """`errors of pay above 50% for 5 s`."""
        whose = f" of {self.journey}" if self.journey else ""
        limit = f"errors{whose} above {self.errors:.0%}" if self.errors is not None else ""
        if self.p95 is not None:
            limit = f"p95{whose} above {format_duration(self.p95)}"
        return f"{limit} for {noun(self.seconds, 'second')}"

    @property
    def seconds(self) -> int:
        """How many seconds in a row."""
        return math.ceil(self.lasting)


@dataclass(frozen=True, slots=True)
class EndedOperation:
    """An operation that was sent and has ended: what a condition reads of its row."""

    journey: str
    outcome: Outcome
    status: int | None
    latency_s: float  # from the intended start


def ended_operation(row: Operation) -> EndedOperation:
    """What a condition reads of a row."""
    return EndedOperation(row.journey, row.outcome, row.status, row.ended - row.intended)


class AbortWatch:
    """The conditions of one run, and for how many seconds in a row each has been met."""

    def __init__(self, conditions: Sequence[AbortCondition], refused: Mapping[str, Collection[int]]) -> None:
        """`refused`: of a journey that must be refused, the statuses with which it is."""
        self._refused = refused
        self._met = dict.fromkeys(conditions, 0)
        self.second = 0.0
        """The end of the last second that was judged."""

    def judge(self, second: float, ended: Iterable[EndedOperation]) -> str:
        """Count the second that ends at `second`. The sentence why the run ends, or nothing."""
        self.second = second
        operations = list(ended)
        for condition in self._met:
            mine = [one for one in operations if condition.journey in (None, one.journey)]
            if not mine:
                continue
            value = self._value(condition, mine)
            limit = condition.errors if condition.errors is not None else condition.p95
            assert limit is not None
            self._met[condition] = self._met[condition] + 1 if value > limit else 0
            if self._met[condition] >= condition.seconds:
                last = f"{value:.0%}" if condition.errors is not None else format_duration(value)
                seen = f"{last} of {noun(len(mine), 'operation')}" if condition.errors is not None else last
                return f"aborted at {second:g} s by the scenario: {condition} (in the last second {seen})"
        return ""

    def _value(self, condition: AbortCondition, ended: Sequence[EndedOperation]) -> float:
        if condition.errors is not None:
            return sum(not self._right(one) for one in ended) / len(ended)
        latencies = sorted(one.latency_s for one in ended)
        return latencies[math.ceil(0.95 * len(latencies)) - 1]

    def _right(self, one: EndedOperation) -> bool:
        refused = self._refused.get(one.journey)
        if refused:
            return one.outcome == "rejected" and one.status in refused
        return one.outcome == "acknowledged"
