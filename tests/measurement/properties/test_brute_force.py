"""Kinds against the plainest program that could judge the same, on drawn histories."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import given, settings

from experiment.rows import Row
from experiment.verdict import Verdict
from tests.measurement.histories import op, read, record
from tests.measurement.shop import judge

KEYS = st.sampled_from(["o-1", "o-2", "o-3"])
FOLDER = Path(tempfile.mkdtemp(prefix="properties-"))
ONCE = judge(
    FOLDER,
    "once: {kind: at_most_once, things: order, effect: {store: payments, kind: charge, status: [done]}}",
)
EXACTLY = judge(
    FOLDER,
    "lost: {kind: exactly_once, things: order, operations: [order], effect: {store: orders, kind: order}}",
)
GAPLESS = judge(FOLDER, "g: {kind: gapless_sequence, things: journal, record: {store: stock, kind: line}}")
CONSERVED = judge(
    FOLDER,
    "c: {kind: conservation, things: order, sum_of: [{store: payments, kind: charge}], "
    "equals: [{store: payments, kind: refund}]}",
)
STORES = read(orders=99, payments=99, stock=99)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(KEYS, st.sampled_from(["done", "failed", None])), max_size=8))
def test_at_most_once_counts_what_was_done(charges: list[tuple[str, str | None]]) -> None:
    """Duplicates are all but the first of each key, of those that were done or tell no state."""
    rows = [
        record("payments", "charge", key, t=float(n), status=status)
        for n, (key, status) in enumerate(charges)
    ]
    done = Counter(key for key, status in charges if status != "failed")
    result = ONCE(*rows)
    if not done:
        assert result.verdict is Verdict.INCONCLUSIVE
        return
    doubled = [key for key, count in done.items() if count > 1]
    assert result.exposed == len(done)
    assert result.violation_count == len(doubled)
    assert {violation.key for violation in result.violations} == set(doubled)
    assert result.measures["duplicate_charges"] == sum(done.values()) - len(done)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(KEYS, st.sampled_from(["acknowledged", "rejected", "indeterminate"])), max_size=6),
    st.lists(KEYS, max_size=6),
)
def test_exactly_once_finds_what_is_lost_and_what_is_doubled(
    asked: list[tuple[str, str]], stored: list[str]
) -> None:
    """Lost: acknowledged without a record; doubled: more than one record."""
    rows: list[Row] = [op(n, "order", key, float(n), outcome=how) for n, (key, how) in enumerate(asked)]  # type: ignore[arg-type]
    rows += [record("orders", "order", key, t=float(n)) for n, key in enumerate(stored)]
    result = EXACTLY(*rows, *read(orders=len(stored)))
    promised = {key for key, how in asked if how == "acknowledged"}
    lost, doubled = promised - set(stored), {key for key, n in Counter(stored).items() if n > 1}
    assert result.exposed == len(promised | set(stored))
    assert result.violation_count == len(lost) + len(doubled)
    assert (result.verdict is Verdict.FAIL) == bool(lost or doubled)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(KEYS, st.integers(0, 5)), min_size=1, max_size=8))
def test_a_sequence_is_gapless_when_sorted_it_counts(numbered: list[tuple[str, int]]) -> None:
    """Sorted, the numbers of each source are 1, 2, 3 ..."""
    rows = [record("stock", "line", key, version=number, t=1.0) for key, number in numbered]
    wrong = {
        key
        for key in {key for key, _ in numbered}
        if (own := sorted(n for k, n in numbered if k == key)) != list(range(1, len(own) + 1))
    }
    assert {violation.key for violation in GAPLESS(*rows).violations} == wrong


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(KEYS, st.sampled_from(["charge", "refund"]), st.integers(1, 3)), min_size=1, max_size=8
    )
)
def test_conservation_compares_the_sums_of_both_sides(moved: list[tuple[str, str, int]]) -> None:
    """For each key the amounts of one side are those of the other."""
    rows = [
        record("payments", kind, key, t=float(n), amount=amount / 10)
        for n, (key, kind, amount) in enumerate(moved)
    ]
    balance = Counter({key: 0 for key, _, _ in moved})
    for key, kind, amount in moved:
        balance[key] += amount if kind == "charge" else -amount
    wrong = {key for key, difference in balance.items() if difference}
    assert {violation.key for violation in CONSERVED(*rows).violations} == wrong


HAS = judge(
    FOLDER,
    "h: {kind: each_has, things: order, operations: [order], kept: {store: orders, kind: order, "
    "status: [paid]}, has: {store: stock, kind: parcel}}",
)
GHOST = judge(
    FOLDER, "n: {kind: no_ghost, things: order, operations: [order], record: {store: orders, kind: order}}"
)
NEVER = judge(
    FOLDER,
    "n: {kind: never_allowed, things: order, record: {store: orders, kind: order, status: [paid]}, "
    "unless: {store: payments, kind: charge}}",
)
OUTCOMES = st.lists(
    st.tuples(KEYS, st.sampled_from(["acknowledged", "rejected", "indeterminate"])), max_size=5
)
ORDERS = st.dictionaries(KEYS, st.sampled_from(["paid", "open"]), max_size=3)


@settings(max_examples=60, deadline=None)
@given(OUTCOMES, ORDERS, st.sets(KEYS), st.sets(KEYS))
def test_promises_ghosts_and_what_is_never_allowed(
    asked: list[tuple[str, str]], orders: dict[str, str], parcels: set[str], charges: set[str]
) -> None:
    """Three kinds on one history, each as sets of keys."""
    rows: list[Row] = [op(n, "order", key, float(n), outcome=how) for n, (key, how) in enumerate(asked)]  # type: ignore[arg-type]
    rows += [record("orders", "order", key, t=1.0, status=status) for key, status in orders.items()]
    rows += [record("stock", "parcel", key, t=2.0) for key in parcels]
    rows += [record("payments", "charge", key, t=2.0, amount=1.0) for key in charges]
    rows += read(orders=len(orders), stock=len(parcels), payments=len(charges))
    paid = {key for key, status in orders.items() if status == "paid"}
    promised = {key for key, how in asked if how == "acknowledged"} | paid
    refused = {key for key, _ in asked} - {key for key, how in asked if how != "rejected"}
    for judged, exposed, wrong in (
        (HAS, promised, promised - parcels),
        (GHOST, refused, refused & set(orders)),
        (NEVER, set(orders), paid - charges),
    ):
        result = judged(*rows)
        assert result.exposed == len(exposed)
        assert {violation.key for violation in result.violations} == wrong
        expected = Verdict.FAIL if wrong else Verdict.PASS if exposed else Verdict.INCONCLUSIVE
        assert result.verdict is expected
