"""What happened to the key of a violation: its operations, the rows of the stores and the faults, on one
axis of time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from experiment.final_reads import JOURNEY as FINAL_READ
from experiment.history import History
from experiment.libraries import pl
from experiment.units import noun
from experiment.verdict import CheckResult, Violation
from measurement.analysis import Analysis, FaultWindow
from reports import svg
from reports.drawing import Drawing
from reports.traces import LogLine
from reports.wording import duration

OF_ONE_PROPERTY = 2
MOST = 8  # of a run
MOST_STEPS = 20
LEFT, RIGHT, ROW = 330.0, 950.0, 22.0
TOP = 40.0


@dataclass(frozen=True, slots=True)
class Step:
    """One operation from when it was due to its end, or one row of a store at its instant."""

    t: float  # when it began or happened, in seconds since the start of the run
    end: float | None  # when it ended, in seconds since the start of the run; none: an instant
    where: str  # `user`, or the store
    what: str  # what was done, or the kind of the row with its id and status
    ok: bool  # whether it succeeded; a row of a store always has
    trace: str = ""  # the id of the trace of an operation


@dataclass(frozen=True, slots=True)
class KeySequence:
    """The steps of one violation in the order of time. `reads` come when all is over."""

    checker: str  # the property that is violated
    key: str  # the business key
    t: float | None  # when it was violated, in seconds since the start of the run; none: not known
    steps: tuple[Step, ...]  # what happened to the key, in the order of time
    reads: tuple[Step, ...] = ()  # what was read of it when the run was over
    left_out: int = 0  # how many steps are not shown
    lines: tuple[LogLine, ...] = ()  # what services logged of its operations, in the order of time

    @property
    def traces(self) -> tuple[str, ...]:
        """The ids of the traces of its operations, in the order of time."""
        return tuple(dict.fromkeys(step.trace for step in self.steps if step.trace))


def sequences(history: History, analysis: Analysis) -> tuple[KeySequence, ...]:
    """Of the first violations of each property that has any, those that went wrong first."""
    found = [
        _sequence(history, check, violation)
        for check in analysis.checks
        for violation in check.violations[:OF_ONE_PROPERTY]
    ]
    return tuple(one for one in found[:MOST] if one.steps)


def _sequence(history: History, check: CheckResult, violation: Violation) -> KeySequence:
    keys = {violation.key, *(str(row["key"]) for row in violation.evidence if row.get("key"))}
    operations = history.operations.filter(pl.col("key").cast(pl.String).is_in(list(keys)))
    steps = sorted([*_operations(operations), *_records(history, keys)], key=lambda step: step.t)
    during = [step for step in steps if step.what.split(" ", 1)[0] != FINAL_READ]
    reads = [step for step in steps if step.what.split(" ", 1)[0] == FINAL_READ]
    shown = during[:MOST_STEPS]
    left = len(during) - len(shown)
    return KeySequence(
        check.checker, violation.key, violation.t, tuple(shown), tuple(reads[:MOST_STEPS]), left
    )


def _operations(rows: pl.DataFrame) -> Iterator[Step]:
    for row in rows.iter_rows(named=True):
        told = [str(row["journey"]), str(row["error"] or row["label"] or row["outcome"])]
        if row["version"] is not None:
            told.append(f"version {row['version']}")
        ok = row["outcome"] == "acknowledged"
        yield Step(row["intended"], row["ended"], "user", " ".join(told), ok, row["trace"] or "")


def _records(history: History, keys: set[str]) -> Iterator[Step]:
    """Ids and states alone: what a row holds of a person is no part of a page."""
    rows = history.records.filter(pl.col("key").cast(pl.String).is_in(list(keys)) & pl.col("t").is_not_null())
    for row in rows.iter_rows(named=True):
        version = None if row["version"] is None else f"version {row['version']}"
        told = [str(part) for part in (row["kind"], row["id"], row["status"], version) if part is not None]
        yield Step(row["t"], None, str(row["store"]), " ".join(told), True)


def sequence_chart(one: KeySequence, faults: Sequence[FaultWindow], traces: Mapping[str, int]) -> str:
    """A row for each step; `traces` says which of the page's traces belongs to which id."""
    begin = min(step.t for step in one.steps)
    end = max(step.t if step.end is None else step.end for step in one.steps)
    margin = max((end - begin) * 0.06, 0.02)
    begin, end = begin - margin, end + margin
    height = TOP + ROW * len(one.steps) + 26
    drawn = Drawing(1000)

    def x(t: float) -> float:
        return LEFT + (RIGHT - LEFT) * (min(max(t, begin), end) - begin) / (end - begin)

    _windows(drawn, faults, x, (begin, end), height)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        t = begin + share * (end - begin)
        drawn.line(x(t), TOP, x(t), height - 22)
        drawn.text(x(t), height - 6, f"{t:.2f} s", svg.MUTED, size=11, anchor="middle")
    for number, step in enumerate(one.steps):
        y = TOP + ROW * number + ROW / 2
        place = traces.get(step.trace, 0)
        drawn.text(4, y + 4, step.where, bold=True)
        drawn.text(88, y + 4, _cut(step.what) + (f" (trace {place})" if place else ""), size=11)
        if step.end is None:
            drawn.circle(x(step.t), y, 5, svg.BLUE)
            continue
        colour = svg.GREEN if step.ok else svg.VERMILLION
        drawn.rect(x(step.t), y - 6, x(step.end) - x(step.t), 12, colour)
        took = f"{duration(step.end - step.t)}{'' if step.ok else ' ✗'}"
        after = x(step.end) + 70 < RIGHT
        drawn.text(x(step.end) + 5 if after else x(step.t) - 5, y + 4, took, svg.MUTED, size=11,
                   anchor="start" if after else "end")  # fmt: skip
    if one.t is not None and begin <= one.t <= end:
        drawn.line(x(one.t), TOP - 8, x(one.t), height - 22, svg.INK, thickness=1.4, dashes="3 3")
        drawn.text(x(one.t), TOP - 12, "violated", size=11, anchor="middle")
    return drawn.svg(height, _alt(one))


def _windows(
    drawn: Drawing,
    faults: Sequence[FaultWindow],
    x: Callable[[float], float],
    span: tuple[float, float],
    height: float,
) -> None:
    """Shaded where a fault acted, and named once."""
    told = 0
    for fault in faults:
        if fault.start is None or fault.start > span[1] or (fault.end is not None and fault.end < span[0]):
            continue
        left, right = x(fault.start), x(span[1] if fault.end is None else fault.end)
        drawn.rect(left, TOP - 8, right - left, height - TOP - 14, svg.FAULT, opacity=0.14)
        if told < 2:
            drawn.text(left + 3, 11 + 12 * told, f"{fault.kind} on {fault.target}", svg.FAULT, size=11)
            told += 1


def _cut(text: str) -> str:
    return text if len(text) <= 36 else f"{text[:35]}…"


def _alt(one: KeySequence) -> str:
    told = [f"{step.where} {step.what} at {step.t:.3f} s" for step in one.steps[:8]]
    more = len(one.steps) - len(told)
    rest = f"; and {noun(more, 'step')} more" if more else ""
    return f"What happened to {one.key}: {'; '.join(told)}{rest}."
