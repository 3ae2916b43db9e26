"""A trace as a waterfall: bars in shares of the trace's width, drawn by the page's style sheet."""

from __future__ import annotations

from dataclasses import dataclass

from reports.traces import Trace
from reports.wording import duration


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
