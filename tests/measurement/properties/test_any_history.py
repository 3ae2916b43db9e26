"""Every kind on any history: it judges, never breaks, and passes nothing that was not exposed."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import given, settings

from experiment.rows import Operation, Record, Row
from experiment.topology import System
from experiment.verdict import Verdict
from measurement.judge import analyse, analysis_from_json, analysis_to_json
from tests.measurement.histories import history, read, scenario
from tests.measurement.shop import shop

ALL = """
once: {kind: at_most_once, things: order, effect: {store: payments, kind: charge}, operations: [order]}
back:
  kind: at_most_once
  things: order
  effect: {store: payments, kind: charge, status: [done]}
  given_back: {store: payments, kind: refund}
  due: {store: orders, kind: order}
exactly: {kind: exactly_once, things: order, operations: [order], effect: {store: orders, kind: order}}
written:
  kind: no_lost_write
  things: order
  operations: [order]
  record: {store: orders, kind: order}
  value: price
chained:
  kind: no_lost_write
  things: order
  operations: [order, change]
  creates: [order]
  record: {store: orders, kind: order_version}
  versioned: on
  value: price
  ended: {status: [gone]}
  ends: [cancel]
ghost: {kind: no_ghost, things: order, operations: [order], record: {store: orders, kind: order}, unasked: on}
has:
  kind: each_has
  things: order
  operations: [order]
  kept: {store: orders, kind: order, status: [done]}
  has: {store: stock, kind: parcel}
register:
  kind: register
  things: order
  writes: [order, change]
  reads: [show]
  versions: {store: orders, kind: order_version}
  used: {store: stock, kind: parcel}
  ended: {status: [gone]}
  held: held
values: {kind: register, things: order, writes: [order, change], reads: [show], by: value}
sums:
  kind: conservation
  things: order
  sum_of: [{store: payments, kind: charge}]
  equals: [{store: payments, kind: refund}, {store: orders, kind: order, status: [done]}]
counts:
  kind: conservation
  things: order
  sum_of: [{store: stock, kind: parcel}]
  equals: [{store: orders, kind: order}]
  of: count
  per: all
ends:
  kind: terminates
  things: order
  state: {store: orders, kind: order}
  ends: [done, gone]
  completed: done
  operations: [order]
  process: {records: {store: orders, kind: job}, running: [open], completed: [done], ended: [failed]}
  taken: {store: payments, kind: charge}
  given_back: {store: payments, kind: refund}
numbers: {kind: gapless_sequence, things: order, record: {store: orders, kind: order_version}}
any_first: {kind: gapless_sequence, things: order, record: {store: orders, kind: order_version}, first: none}
never:
  kind: never_allowed
  things: order
  record: {store: orders, kind: order, status: [gone]}
  unless: {store: payments, kind: refund}
answer: {kind: never_allowed, things: order, answer: {operations: [show], value: ["7"], status: [200]}}
sometimes: {kind: sometimes, answer: {operations: [show], label: [held]}}
seen: {kind: sometimes, record: {store: stock, kind: parcel}, at_least: 3}
stale:
  kind: bounded_staleness
  writes: [order, change]
  reads: [show]
  versions: {store: orders, kind: order_version}
  copies: {store: stock, kind: copy}
"""
SYSTEM: System = shop(Path(tempfile.mkdtemp(prefix="properties-")), ALL)
KEYS = st.sampled_from(["o-1", "o-2"])
VALUES = st.sampled_from([None, "7", "7 each", "red"])
VERSIONS = st.sampled_from([None, 0, 1, 2, 3, 2_000_000_000])
STATES = st.sampled_from([None, "done", "open", "gone"])
TIMES = st.integers(0, 36)
KINDS = [
    *(("orders", kind) for kind in ("order", "order_version", "job")),
    *(("payments", kind) for kind in ("charge", "refund")),
    *(("stock", kind) for kind in ("parcel", "copy")),
]
OPERATIONS = st.builds(
    lambda journey, key, at, took, unsent, **more: Operation(
        0, journey, key, float(at), None if unsent else float(at), at + took / 10, **more
    ),
    st.sampled_from(["order", "change", "cancel", "show", "final_read"]),
    KEYS,
    TIMES,
    st.integers(0, 50),
    st.booleans(),
    outcome=st.sampled_from(["acknowledged", "rejected", "indeterminate"]),
    status=st.sampled_from([None, 200, 404, 503]),
    version=VERSIONS,
    expected_version=VERSIONS,
    value=st.one_of(VALUES, st.just("absent")),
    label=st.sampled_from([None, "held", "cached"]),
    age=st.sampled_from([None, 0.0, 5.0]),
)
RECORDS = st.builds(
    lambda of, key, **more: Record(of[0], of[1], key, **more),
    st.sampled_from(KINDS),
    KEYS,
    t=st.one_of(st.none(), TIMES.map(float)),
    version=VERSIONS,
    status=STATES,
    amount=st.sampled_from([None, 0.0, 7.0, 7.1]),
    value=VALUES,
)


def numbered(operations: list[Operation]) -> list[Row]:
    return [replace(operation, id=number) for number, operation in enumerate(operations)]


@settings(max_examples=40, deadline=None)
@given(st.lists(OPERATIONS, max_size=12), st.lists(RECORDS, max_size=12), st.booleans())
def test_any_history_is_judged(operations: list[Operation], records: list[Record], counted: bool) -> None:
    """Whatever fields are missing: an analysis that can be stored, and no pass without exposure."""
    counts = {store: sum(one.store == store for one in records) for store in ("orders", "payments", "stock")}
    rows = [*numbered(operations), *records, *(read(**counts) if counted else ())]
    analysis = analyse(history(*rows), scenario(), SYSTEM)
    assert analysis_from_json(analysis_to_json(analysis)) == analysis
    for check in analysis.checks:
        assert check.verdict is not Verdict.PASS or check.exposed > 0
        assert (check.verdict is Verdict.FAIL) == bool(check.violation_count)
        assert check.statement and "None" not in check.statement
        assert all(violation.statement for violation in check.violations)


def test_nothing_at_all_passes_nothing() -> None:
    """The emptiest history: every property is inconclusive and says why."""
    for check in analyse(history(with_fault=False), scenario(faults=()), SYSTEM).checks:
        assert check.verdict is Verdict.INCONCLUSIVE
        assert check.statement.startswith("not exercised: ")
