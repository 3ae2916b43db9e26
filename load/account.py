"""The generator's own account of itself, second by second: what was due, what was started and how late, what
came."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from experiment.rows import LoadReport, Operation

LAG_STEP_S = 1e-5


@dataclass(frozen=True, slots=True)
class SecondReport:
    """One second of one worker. `lags` and `latencies` (by journey) are in seconds; `in_flight` is at its
    end."""

    t: float
    worker: int
    offered: int
    achieved: int
    lags: tuple[float, ...]
    latencies: Mapping[str, tuple[float, ...]]
    outcomes: Mapping[str, int]
    errors: Mapping[str, int]
    sent: int
    in_flight: int

    def to_row(self) -> LoadReport:
        lags = sorted(self.lags)
        return LoadReport(
            self.t,
            self.worker,
            self.offered,
            self.achieved,
            quantile(lags, 0.5),
            quantile(lags, 0.99),
            lags[-1] if lags else 0.0,
        )


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """The latest second over all workers, for people who watch. `rate` counts operations ended, `p95` is
    their latency from the intended start in seconds (0 when none ended), `p95_of` that of each journey,
    `errors` counts by kind."""

    t: float
    offered: int
    rate: int
    p95: float
    errors: Mapping[str, int]
    in_flight: int
    p95_of: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoadSummary:
    """The whole load. `lag_p99` in seconds, over every operation that had not to wait for another one."""

    offered: int
    achieved: int
    sent: int
    acknowledged: int
    rejected: int
    indeterminate: int
    lag_p99: float


def quantile(ascending: Sequence[float], share: float) -> float:
    """Nearest-rank quantile; 0 of nothing."""
    if not ascending:
        return 0.0
    return ascending[max(0, math.ceil(share * len(ascending)) - 1)]


@dataclass(slots=True)
class Account:
    """Counts of the current second. `due` are the intended starts of the worker's operations, ascending."""

    worker: int
    due: Sequence[float]
    in_flight: int = 0
    _counted: int = 0
    _achieved: int = 0
    _sent: int = 0
    _lags: list[float] = field(default_factory=list)
    _latencies: dict[str, list[float]] = field(default_factory=dict)
    _outcomes: dict[str, int] = field(default_factory=dict)
    _errors: dict[str, int] = field(default_factory=dict)

    def started(self, lag_s: float | None) -> None:
        """The schedule reached an operation, `lag_s` after its intended start; None: it has to wait for
        another."""
        self._achieved += 1
        if lag_s is not None:
            self._lags.append(lag_s)

    def ended(self, row: Operation) -> None:
        self._sent += row.sent is not None
        self._latencies.setdefault(row.journey, []).append(row.ended - row.intended)
        self._outcomes[row.outcome] = self._outcomes.get(row.outcome, 0) + 1
        if row.error is not None:
            self._errors[row.error] = self._errors.get(row.error, 0) + 1

    def close_second(self, t: float) -> SecondReport:
        """What happened since the last call; `t` is the end of the second."""
        offered = 0
        while self._counted < len(self.due) and self.due[self._counted] < t:
            self._counted += 1
            offered += 1
        report = SecondReport(
            t,
            self.worker,
            offered,
            self._achieved,
            tuple(self._lags),
            {journey: tuple(found) for journey, found in self._latencies.items()},
            self._outcomes,
            self._errors,
            self._sent,
            self.in_flight,
        )
        self._achieved = self._sent = 0
        self._lags, self._latencies = [], {}
        self._outcomes, self._errors = {}, {}
        return report


def progress(reports: Iterable[SecondReport]) -> LoadProgress:
    """One second of all workers. Raises ValueError without any report."""
    several = list(reports)
    by_journey: dict[str, list[float]] = {}
    for report in several:
        for journey, found in report.latencies.items():
            by_journey.setdefault(journey, []).extend(found)
    latencies = sorted(latency for found in by_journey.values() for latency in found)
    return LoadProgress(
        max(report.t for report in several),
        sum(report.offered for report in several),
        len(latencies),
        quantile(latencies, 0.95),
        _sum(report.errors for report in several),
        sum(report.in_flight for report in several),
        {journey: quantile(sorted(found), 0.95) for journey, found in by_journey.items()},
    )


@dataclass(slots=True)
class Totals:
    """The whole load, added up second by second: what is kept does not grow with its length. Lags are counted
    in steps of LAG_STEP_S."""

    offered: int = 0
    achieved: int = 0
    sent: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    lags: Counter[int] = field(default_factory=Counter)

    def add(self, report: SecondReport) -> None:
        """One second of one worker."""
        self.offered += report.offered
        self.achieved += report.achieved
        self.sent += report.sent
        self.outcomes.update(report.outcomes)
        self.lags.update(round(lag / LAG_STEP_S) for lag in report.lags)

    def summary(self) -> LoadSummary:
        """What there is so far."""
        counts = self.outcomes
        return LoadSummary(
            self.offered,
            self.achieved,
            self.sent,
            counts["acknowledged"],
            counts["rejected"],
            counts["indeterminate"],
            self._lag(0.99),
        )

    def _lag(self, share: float) -> float:
        """Nearest-rank quantile of all lags; 0 of none."""
        rank = math.ceil(share * self.lags.total())
        for step in sorted(self.lags):
            rank -= self.lags[step]
            if rank <= 0:
                return step * LAG_STEP_S
        return 0.0


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in counts:
        for name, count in each.items():
            total[name] = total.get(name, 0) + count
    return total


def report_from(plain: Mapping[str, Any]) -> SecondReport:
    """The report that `dataclasses.asdict` made plain, as it came over the wire."""
    latencies = {journey: tuple(found) for journey, found in plain["latencies"].items()}
    return SecondReport(**{**plain, "lags": tuple(plain["lags"]), "latencies": latencies})
