"""Spans are the records of one store, and of the kinds that a collector keeps."""

from __future__ import annotations

from measurement.spans import spans_of
from tests.measurement.histories import history, record

TIMES = {"t": 5.0, "amount": 0.2, "status": "ok"}


def test_spans_are_those_of_the_store_and_of_known_kinds() -> None:
    """In the order of their begin. Records of other stores and of other kinds are not spans, nor is what has
    no time, no length or no name."""
    seen = history(
        record("collector", "request", "trace-1", id="b", caller="front", **{**TIMES, "t": 6.0}),
        record("collector", "request", "trace-1", id="a", value="b", caller="front", **TIMES),
        record(
            "collector", "call", "trace-1", id="c", caller="front -> back", **{**TIMES, "status": "error"}
        ),
        record("collector", "delivery", "trace-1", id="d", **TIMES),
        record("collector", "note", "trace-1", id="e", **TIMES),
        record("elsewhere", "request", "trace-2", id="f", caller="front", **TIMES),
        record("collector", "request", "trace-3", id="g", caller="front", t=5.0),
        record("collector", "request", "trace-3", id="h", caller="front", amount=0.2),
        record("collector", "request", "trace-3", caller="front", **TIMES),
    )
    found = spans_of(seen, "collector")
    assert [(span.span, span.parent, span.whose) for span in found.requests] == [
        ("a", "b", "front"),
        ("b", None, "front"),
    ]
    assert [(span.span, span.ok, span.ended) for span in found.calls] == [("c", False, 5.2)]
    assert [(span.span, span.ok, span.whose) for span in found.deliveries] == [("d", True, "")]
    assert len(found) == len(list(found.all())) == 4
