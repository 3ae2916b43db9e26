"""Results of suites over time: one point a suite and design, and where their level changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiment.plain_text import Plain
from experiment.units import noun
from measurement.histogram import merge, quantile
from measurement.run_records import RunRecord
from measurement.statistics import median_time
from trend.change_points import change_points
from trend.store import Expected, Result


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """One design in one suite. `score` is None when a run had none; `never` counts runs that never
    recovered. `lacking` says why there are no figures (empty: there are); `machine` is empty when not
    known."""

    recorded_at: str
    git: str
    campaign: str
    runs: int
    score: float | None
    p95_s: float | None
    recovery_s: float | None
    never: int
    vetoes: int
    violated: tuple[tuple[str, int], ...]  # safety properties, with how many runs violated each
    formulas: tuple[str, ...]
    lacking: str = ""
    machine: str = ""
    scores_before: tuple[tuple[str, float], ...] = ()  # the mean by earlier formulas, where all runs have it

    @property
    def label(self) -> str:
        """The commit, or the time outside git."""
        return self.git[:8] or self.recorded_at[:16]


@dataclass(frozen=True, slots=True)
class TrendLine:
    """The points of a design, oldest first, and the positions before which a figure changed its level."""

    design: str
    source: str
    points: tuple[TrendPoint, ...]
    score_changes: tuple[int, ...] = ()
    p95_changes: tuple[int, ...] = ()
    recovery_changes: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.design} ({self.source})"


@dataclass(frozen=True, slots=True)
class TrendReport(Plain):
    """`scenario` is empty for all scenarios of the suite together."""

    suite: str
    scenario: str
    lines: tuple[TrendLine, ...]
    command: str


def trend_report(results: Sequence[Result], suite: str, scenario: str, command: str) -> TrendReport:
    """One line a design and runtime, of all scenarios or of one; pure."""
    chosen = [r for r in results if not scenario or Path(r.record.scenario).stem == Path(scenario).stem]
    lines: list[TrendLine] = []
    for design, source in dict.fromkeys((r.record.design, r.record.source) for r in chosen):
        mine = [r for r in chosen if (r.record.design, r.record.source) == (design, source)]
        campaigns = [
            [r for r in mine if r.campaign == campaign]
            for campaign in dict.fromkeys(r.campaign for r in mine)
        ]
        today = _entries(_expected(campaigns[-1], scenario))
        points = tuple(_point(found, _expected(found, scenario), today) for found in campaigns)
        lines.append(
            TrendLine(
                design,
                source,
                points,
                score_changes=change_points([point.score for point in points]),
                p95_changes=change_points([point.p95_s for point in points]),
                recovery_changes=change_points([point.recovery_s for point in points]),
            )
        )
    return TrendReport(suite, scenario, tuple(lines), command)


def _expected(results: Sequence[Result], scenario: str) -> list[Expected]:
    """What the suite asked of this design, in all scenarios or in one."""
    design = results[0].record.design
    return [
        run
        for run in results[0].asked.runs
        if run.design == design and (not scenario or Path(run.scenario).stem == Path(scenario).stem)
    ]


def _entries(expected: Iterable[Expected]) -> Counter[tuple[str, float]]:
    """Scenarios with their weights, however often each was repeated."""
    once = {run.entry: (Path(run.scenario).stem, run.weight) for run in expected}
    return Counter(once.values())


def _lacking(
    results: Sequence[Result], expected: Sequence[Expected], today: Counter[tuple[str, float]]
) -> str:
    """Why the suite has no point among the others; empty: it has one."""
    played = {(result.record.entry, result.record.seed) for result in results}
    missing = sum((run.entry, run.seed) not in played for run in expected)
    if missing:
        return f"incomplete: {missing} of {noun(len(expected), 'run')} missing"
    return "" if _entries(expected) == today else "other scenarios or weights than the latest"


def _point(
    results: Sequence[Result], expected: Sequence[Expected], today: Counter[tuple[str, float]]
) -> TrendPoint:
    """One suite: weighted mean score (none when a run has none), merged p95, Kaplan-Meier median. No figure
    of a suite that was not played as the latest was to be: a mean of other runs is another figure."""
    first, records = results[0], [result.record for result in results]
    lacking = _lacking(results, expected, today)
    weights = [result.weight for result in results]
    scores = [record.score for record in records if record.score is not None]
    whole = len(scores) == len(records) and not lacking
    reached, censored = _times(records)
    recovery = median_time(reached, censored) if (reached or censored) and not lacking else None
    p95 = quantile(merge(record.load_latency for record in records), 0.95)
    return TrendPoint(
        recorded_at=first.recorded_at,
        git=first.git,
        campaign=first.campaign,
        runs=len(records),
        score=sum(w * s for w, s in zip(weights, scores, strict=True)) / sum(weights) if whole else None,
        p95_s=None if lacking else p95,
        recovery_s=recovery.median if recovery else None,
        never=recovery.censored if recovery else 0,
        vetoes=sum(record.vetoed for record in records),
        violated=tuple(sorted(Counter(name for record in records for name in record.safety).items())),
        formulas=tuple(sorted({version(record) for record in records})),
        lacking=lacking,
        scores_before=() if lacking else _scores_before(results),
        machine=", ".join(f"{name} {value}" for name, value in sorted(first.asked.machine.items())),
    )


def _scores_before(results: Sequence[Result]) -> tuple[tuple[str, float], ...]:
    """The weighted mean by every earlier formula that all runs have, as the figure beside or as their own."""
    each = [{**one.record.scores_before, version(one.record): one.record.score} for one in results]
    shared = dict.fromkeys(name for one in results for name in one.record.scores_before)
    means = []
    for name in shared:
        known = [value for one in each if (value := one.get(name)) is not None]
        if len(known) == len(results):
            total = sum(one.weight * value for one, value in zip(results, known, strict=True))
            means.append((name, total / sum(one.weight for one in results)))
    return tuple(means)


def version(record: RunRecord) -> str:
    """The name of a formula without its text: `codeblue-2`."""
    return record.formula.partition(":")[0]


def _times(records: Iterable[RunRecord]) -> tuple[list[float], list[float]]:
    found = list(records)
    return (
        [record.recovery_s for record in found if record.recovery_s is not None],
        [record.censored_s for record in found if record.censored_s is not None],
    )
