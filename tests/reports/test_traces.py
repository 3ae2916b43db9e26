from __future__ import annotations

from dataclasses import replace

import polars as pl

from experiment.history_frames import OPERATIONS
from experiment.rows import Operation
from experiment.verdict import Violation
from reports.traces import Span, choose, tree
from tests.reports import builder


def operations(*rows: Operation) -> pl.DataFrame:
    return pl.DataFrame(
        {name: [getattr(row, name) for row in rows] for name in OPERATIONS.schema}, schema=OPERATIONS.schema
    )


def operation(number: int, journey: str, key: str, took: float, trace: str | None = "t") -> Operation:
    name = None if trace is None else f"{trace}{number}"
    return Operation(
        number, journey, key, float(number), float(number), number + took, "acknowledged", trace=name
    )


def span(name: str, parent: str | None, start: float = 0.0) -> Span:
    return Span(name, parent, "billing", name, "server", start, start + 1, True)


def walked(*spans: Span) -> list[tuple[str, int]]:
    return [(span.id, span.depth) for span in tree(spans)]


def test_violating_operations_come_first_then_the_slowest_of_each_journey() -> None:
    """Operations without a trace are passed over, and none is shown twice."""
    rows = operations(
        operation(1, "pay", "inv-3fa2c1-000001", 0.2),
        operation(2, "pay", "inv-9", 3.0),
        operation(3, "check_in", "enc-1", 0.5),
        operation(4, "check_in", "enc-2", 9.0, trace=None),
        operation(5, "view_dose", "rx-1", 0.1),
    )
    chosen = choose(rows, builder.fragile_fail().analysis)
    assert [(op.trace, op.why) for op in chosen] == [
        ("t1", "violates no_duplicate_charge"),
        ("t2", "slowest pay"),
        ("t3", "slowest check_in"),
        ("t5", "slowest view_dose"),
    ]


def test_an_operation_that_violates_and_is_slowest_is_shown_once() -> None:
    """As a violation: that is why it matters."""
    rows = operations(operation(1, "pay", "inv-3fa2c1-000001", 5.0))
    assert [op.why for op in choose(rows, builder.fragile_fail().analysis)] == [
        "violates no_duplicate_charge"
    ]


def test_of_no_operations_none_is_chosen() -> None:
    """An empty history has no traces."""
    assert choose(operations(), builder.resilient_pass().analysis) == ()


def test_spans_are_walked_depth_first_with_children_by_time() -> None:
    """The order of a waterfall."""
    assert walked(span("a", "client", 0), span("c", "a", 3), span("b", "a", 1), span("d", "b", 2)) == [
        ("a", 0), ("b", 1), ("d", 2), ("c", 1),
    ]  # fmt: skip


def test_a_lost_parent_makes_a_root() -> None:
    """A service that was killed loses its last spans; its callees are still shown."""
    assert walked(span("b", "lost", 1), span("a", None, 0)) == [("a", 0), ("b", 0)]


def test_spans_that_are_each_others_parents_are_walked_once() -> None:
    """Broken input ends; it does not loop."""
    assert sorted(walked(span("a", "b"), span("b", "a"), span("c", "c"))) == [("a", 0), ("b", 1), ("c", 0)]


def test_a_span_that_is_written_twice_counts_once() -> None:
    """The same id is the same span."""
    assert walked(span("a", None), replace(span("a", None), start=0.5)) == [("a", 0)]


def test_the_evidence_says_which_trace_offends_and_whom() -> None:
    """A trace that is named in the evidence is taken, and all checkers that it offends are told."""
    evidence = ({"type": "operation", "trace": "t7"},)
    violation = Violation("charged twice", "inv-other", 1.0, evidence)
    base = builder.fragile_fail().analysis
    checks = tuple(
        replace(builder.duplicate_charges(), checker=name, violations=(violation,))
        for name in ("no_duplicate_charge", "sagas_terminal")
    )
    rows = operations(operation(7, "pay", "inv-7", 0.2), operation(8, "pay", "inv-8", 0.1))
    (first, *_) = choose(rows, replace(base, checks=checks))
    assert (first.trace, first.why) == ("t7", "violates no_duplicate_charge and sagas_terminal")
