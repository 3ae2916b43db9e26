"""Traces worth showing: spans of services, joined to the operation that caused them, as a tree and as a
waterfall."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from experiment.libraries import pl
from measurement.analysis import Analysis
from reports.wording import duration

SLOWEST = 6
VIOLATING = 4
VIOLATIONS = 2  # of one property


@dataclass(frozen=True, slots=True)
class Span:
    """One piece of work in one service. Times are seconds since the run's zero."""

    id: str  # the id of the span
    parent: str | None  # the id of the span that it is part of
    service: str  # the service that did the work
    name: str  # what was done
    kind: str  # whether it served a request, made a call, or did work of its own
    start: float  # when it began, in seconds since the start of the run
    end: float  # when it ended, in seconds since the start of the run
    ok: bool  # whether it succeeded
    depth: int = 0  # how deep it stands in the tree
    attributes: Mapping[str, str] = field(default_factory=dict)  # what the service says of it


@dataclass(frozen=True, slots=True)
class TracedOperation:
    """An operation whose trace is to be shown, and why: `violates ...` or `slowest pay`."""

    trace: str  # the id of the trace
    why: str  # why it is shown: it violates a property, or is among the slowest
    journey: str  # the name of the journey
    key: str  # the business key
    intended: float  # when it was to begin, in seconds since the start of the run
    ended: float  # when it ended, in seconds since the start of the run
    outcome: str  # how it came out
    error: str | None = None  # the kind of its error


@dataclass(frozen=True, slots=True)
class LogLine:
    """What a service logged while it worked for an operation. `t` is seconds since the run's zero."""

    t: float  # when, in seconds since the start of the run
    service: str  # the service that said it
    level: str  # how grave it is
    message: str  # what it said
    detail: str = ""  # the other fields of the line, as `name value`


@dataclass(frozen=True, slots=True)
class Trace:
    """An operation with its spans as a tree, flattened in the order of a depth-first walk, and what services
    logged of it."""

    operation: TracedOperation  # the operation that is traced
    spans: tuple[Span, ...]  # its spans as a tree, in the order of a depth-first walk
    lines: tuple[LogLine, ...] = ()  # what services logged of it, in the order of time


def choose(operations: pl.DataFrame, analysis: Analysis) -> tuple[TracedOperation, ...]:
    """The operations behind the first violations, then the slowest one of each journey.

    `operations` has the columns of experiment.history.Operation; operations without a trace are passed over.
    """
    traced = operations.filter(pl.col("trace").is_not_null())
    blamed = _blamed(traced, analysis)
    rows = traced.filter(pl.col("trace").is_in(list(blamed))).sort("intended")
    violating = [
        _operation(row, f"violates {' and '.join(blamed[row['trace']])}")
        for row in rows.iter_rows(named=True)
    ]
    slowest = (
        traced.with_columns(latency=pl.col("ended") - pl.col("intended"))
        .filter(pl.col("latency") == pl.col("latency").max().over("journey"))
        .group_by("journey", maintain_order=True)
        .first()
        .sort("latency", descending=True)
        .head(SLOWEST)
    )
    picked = {operation.trace: operation for operation in violating}
    for row in slowest.iter_rows(named=True):
        picked.setdefault(row["trace"], _operation(row, f"slowest {row['journey']}"))
    return tuple(picked.values())


def _blamed(traced: pl.DataFrame, analysis: Analysis) -> dict[str, list[str]]:
    """Trace to the properties that it violates: from the evidence, or else by the key."""
    found: dict[str, list[str]] = {}
    for check in analysis.checks:
        for violation in check.violations[:VIOLATIONS]:
            named = [str(row["trace"]) for row in violation.evidence if row.get("trace")]
            for trace in named or traced.filter(pl.col("key") == violation.key)["trace"].to_list():
                if trace in found or len(found) < VIOLATING:
                    found.setdefault(trace, []).append(check.checker)
    return {trace: list(dict.fromkeys(names)) for trace, names in found.items()}


def _operation(row: Mapping[str, object], why: str) -> TracedOperation:
    return TracedOperation(
        trace=str(row["trace"]),
        why=why,
        journey=str(row["journey"]),
        key=str(row["key"]),
        intended=float(row["intended"]),  # type: ignore[arg-type]
        ended=float(row["ended"]),  # type: ignore[arg-type]
        outcome=str(row["outcome"]),
        error=None if row["error"] is None else str(row["error"]),
    )


def tree(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Spans in the order of a depth-first walk, children by start time, with their depths.

    A span whose parent is not among them (the client's own span, or one that was lost) is a root. Spans that
    name each other as parents are walked once.
    """
    kept = {span.id: span for span in sorted(spans, key=lambda span: (span.start, span.id))}
    children: dict[str | None, list[Span]] = {}
    for span in kept.values():
        parent = span.parent if span.parent in kept and span.parent != span.id else None
        children.setdefault(parent, []).append(span)
    walked: dict[str, Span] = {}

    def walk(roots: list[Span]) -> None:
        stack = [(span, 0) for span in reversed(roots)]
        while stack:
            span, depth = stack.pop()
            if span.id in walked:
                continue
            walked[span.id] = _at_depth(span, depth)
            stack.extend((child, depth + 1) for child in reversed(children.get(span.id, [])))

    walk(children.get(None, []))
    for span in kept.values():
        if span.id not in walked:
            walk([span])
    return tuple(walked.values())


def _at_depth(span: Span, depth: int) -> Span:
    return Span(
        span.id, span.parent, span.service, span.name, span.kind, span.start, span.end, span.ok, depth,
        span.attributes,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bar:
    """One row. `left` and `width` are percentages of the whole; `offset` and `length` are for people."""

    service: str
    name: str
    kind: str
    depth: int
    left: float
    width: float
    offset: str
    length: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Waterfall:
    """`start_s` is the first instant shown, since the run's zero; `ticks` are (percentage, text)."""

    bars: tuple[Bar, ...]
    start_s: float
    length_s: float
    ticks: tuple[tuple[float, str], ...]


def waterfall(trace: Trace) -> Waterfall:
    """The client's wait as the first bar, then every span, depth first. Work that went on after the answer
    (an outbox, a saga) widens the picture."""
    operation = trace.operation
    start = min([operation.intended, *(span.start for span in trace.spans)])
    end = max([operation.ended, *(span.end for span in trace.spans)])
    length = max(end - start, 1e-6)

    def place(begin: float, finish: float) -> tuple[float, float]:
        return round(100 * (begin - start) / length, 3), max(0.2, round(100 * (finish - begin) / length, 3))

    left, width = place(operation.intended, operation.ended)
    bars = [
        Bar(
            "client", operation.journey, "operation", 0, left, width, duration(operation.intended - start),
            duration(operation.ended - operation.intended), operation.outcome == "acknowledged",
            operation.error or operation.outcome,
        )
    ]  # fmt: skip
    for span in trace.spans:
        left, width = place(span.start, span.end)
        detail = ", ".join(f"{key} {value}" for key, value in span.attributes.items())
        bars.append(
            Bar(
                span.service, span.name, span.kind, span.depth + 1, left, width, duration(span.start - start),
                duration(span.end - span.start), span.ok, detail,
            )
        )  # fmt: skip
    ticks = tuple((share, duration(length * share / 100)) for share in (0.0, 25.0, 50.0, 75.0, 100.0))
    return Waterfall(tuple(bars), start, length, ticks)
