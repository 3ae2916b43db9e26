from __future__ import annotations

from dataclasses import replace

from reports.traces import Trace, waterfall
from tests.reports import builder


def test_the_first_bar_is_what_the_client_waited() -> None:
    """Then the spans, depth first, all in shares of one width."""
    picture = waterfall(builder.trace())
    assert [(bar.service, bar.depth) for bar in picture.bars] == [
        ("client", 0),
        ("billing", 1),
        ("billing", 2),
        ("payments", 3),
        ("billing", 2),
        ("payments", 3),
        ("billing", 2),
    ]
    first = picture.bars[0]
    assert (first.left, first.length, first.kind) == (0.0, "900 ms", "operation")
    assert all(0 <= bar.left <= 100 and bar.left + bar.width <= 100.5 for bar in picture.bars)


def test_work_after_the_answer_widens_the_picture() -> None:
    """An outbox publishes later; the client's bar then ends before the right edge."""
    picture = waterfall(builder.trace())
    assert picture.length_s == 16.12 - 15.2
    assert picture.bars[0].width < 100
    assert picture.ticks[-1] == (100.0, "920 ms")


def test_a_failed_attempt_is_marked_and_a_failed_operation_too() -> None:
    """The bar says so beside its colour."""
    picture = waterfall(builder.trace())
    assert [bar.ok for bar in picture.bars].count(False) == 1
    trace = builder.trace()
    lost = replace(trace, operation=replace(trace.operation, outcome="indeterminate", error="timeout"))
    assert (waterfall(lost).bars[0].ok, waterfall(lost).bars[0].detail) == (False, "timeout")


def test_a_trace_of_no_length_is_still_drawn() -> None:
    """Nothing is divided by nothing."""
    operation = replace(builder.trace().operation, intended=1.0, ended=1.0)
    picture = waterfall(Trace(operation, ()))
    assert [(bar.left, bar.width) for bar in picture.bars] == [(0.0, 0.2)]
