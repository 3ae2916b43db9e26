"""Every kind, bound by a shop: empty, good, bad and indeterminate histories."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiment.rows import Record, Row
from experiment.verdict import Verdict
from tests.measurement.histories import op, read, record
from tests.measurement.shop import judge

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE


def charge(key: str, number: str = "a", amount: float = 30.0, **more: object) -> Record:
    return record("payments", "charge", key, id=number, t=3.0, amount=amount, **more)


def refund(key: str, amount: float = 30.0) -> Record:
    return record("payments", "refund", key, id="r", t=4.0, amount=amount)


def order(key: str, status: str | None = "placed", **more: object) -> Record:
    return record("orders", "order", key, t=2.5, status=status, **more)


def asked(number: int, key: str, outcome: str = "acknowledged", **more: object) -> Row:
    return op(number, "order", key, float(number), outcome=outcome, **more)  # type: ignore[arg-type]


READ = read(orders=0, payments=0, stock=0)


def test_at_most_once(tmp_path: Path) -> None:
    """Two charges of an order read as the reference system's do; an order that was placed twice is an order
    more than once."""
    judged = judge(
        tmp_path,
        """
        no_duplicate_charge:
          kind: at_most_once
          things: order
          effect: {store: payments, kind: charge}
          operations: [order]
        """,
    )
    assert judged().statement == "not exercised: the records of payments were not read"
    assert judged(*READ).statement == "not exercised: the store payments holds no charge"
    good = judged(asked(1, "o-1"), charge("o-1"), charge("o-2", "b"))
    assert (good.verdict, good.exposed) == (PASS, 2)
    bad = judged(asked(1, "o-1"), charge("o-1"), charge("o-1", "b"), charge("o-2", "c"))
    assert bad.verdict is FAIL
    assert bad.statement == "1 duplicate charge on 1 order of 2 charged"
    assert bad.violations[0].statement == "order o-1 was charged twice (30.00 and 30.00)"
    assert [row["type"] for row in bad.violations[0].evidence] == ["record", "record", "operation"]
    assert judged(asked(1, "o-1", "indeterminate"), charge("o-1")).verdict is PASS


def test_at_most_once_tells_what_was_taken_too_much(tmp_path: Path) -> None:
    """Where a record says what was due, or what was given back: a refund lessens it, and undoes nothing."""
    binding = "once: {kind: at_most_once, things: order, effect: {store: payments, kind: charge}, %s}"
    rows = [charge("o-1"), charge("o-1", "b", 20.0), order("o-1", amount=25.0), refund("o-1", 5.0)]
    due = judge(tmp_path, binding % "due: {store: orders, kind: order}")
    assert due(*rows).statement == "1 duplicate charge on 1 order of 1 charged; net overcharge 25.00"
    back = judge(tmp_path, binding % "given_back: {store: payments, kind: refund}")
    assert back(*rows).statement.endswith("; net overcharge after refunds 15.00")
    assert back(*rows).measures["net_overcharge"] == 15.0


def test_at_most_once_of_the_records_themselves(tmp_path: Path) -> None:
    """Where each record is the thing, it is there more than once; amounts are told where there are any."""
    judged = judge(
        tmp_path, "once: {kind: at_most_once, things: order, effect: {store: orders, kind: order}}"
    )
    bad = judged(order("o-1"), order("o-1"), order("o-2"))
    assert bad.statement == "1 order of 2 recorded more than once (1 record too many)"
    sent = judge(
        tmp_path,
        "once: {kind: at_most_once, things: order, effect: {store: stock, kind: delivery, done: delivered}}",
    )
    bad = sent(*(record("stock", "delivery", "o-1", t=float(i)) for i in range(3)))
    assert bad.statement == "2 duplicate deliveries on 1 order of 1 delivered"
    assert bad.violations[0].statement == "order o-1 was delivered 3 times"


def test_exactly_once(tmp_path: Path) -> None:
    """Lost and stored twice; an indeterminate order may be either."""
    judged = judge(
        tmp_path,
        """
        no_lost_order:
          kind: exactly_once
          things: order
          operations: [order]
          effect: {store: orders, kind: order}
        """,
    )
    assert judged(asked(1, "o-1")).verdict is INCONCLUSIVE
    good = judged(asked(1, "o-1"), asked(2, "o-2", "indeterminate"), order("o-1"))
    assert (good.verdict, good.exposed) == (PASS, 1)
    bad = judged(asked(1, "o-1"), asked(2, "o-2"), order("o-2"), order("o-2"))
    assert bad.statement == "1 acknowledged order lost and 1 order stored more than once, of 2"
    assert [v.statement for v in bad.violations] == [
        "order o-1 was acknowledged and is not in the store orders",
        "order o-2 is in the store orders 2 times",
    ]


NO_LOST_ORDER = """
no_lost_order:
  kind: no_lost_write
  things: order
  operations: [order, cancel]
  record: {store: orders, kind: order}
"""


def test_no_lost_write_without_versions(tmp_path: Path) -> None:
    """An acknowledged order has its record, and its own API shows it in the end."""
    judged = judge(tmp_path, NO_LOST_ORDER)
    assert judged(*READ).statement == "not exercised: no order was written"
    assert judged(asked(1, "o-1"), order("o-1"), order("o-9")).verdict is PASS
    assert judged(asked(1, "o-1", "indeterminate"), asked(2, "o-2"), order("o-2")).exposed == 1
    bad = judged(asked(1, "o-1"), order("o-2"))
    assert bad.statement == "1 lost, of 1 acknowledged write"
    assert bad.violations[0].statement == (
        "an order of o-1 was acknowledged; the store orders has no order that could be it"
    )
    gone = op(9, "final_read", "o-1", 40.0, value="absent")
    hidden = judged(asked(1, "o-1"), order("o-1"), gone)
    assert hidden.verdict is FAIL
    assert "does not show o-1" in hidden.violations[0].statement


def test_no_lost_write_with_versions(tmp_path: Path) -> None:
    """A chain with the value that was written; a version of somebody else's price is a lost change."""
    judged = judge(
        tmp_path,
        """
        no_lost_change:
          kind: no_lost_write
          things: order
          operations: [order, change]
          creates: [order]
          record: {store: orders, kind: order_version, called: version}
          versioned: on
          value: price
        """,
    )
    rows: list[Row] = [
        asked(1, "o-1", version=1, value="30"),
        op(2, "change", "o-1", 2.0, version=2, expected_version=1, value="red"),
    ]
    versions = [
        record("orders", "order_version", "o-1", version=1, value="30.0", t=1.0),
        record("orders", "order_version", "o-1", version=2, value="red", t=2.0),
    ]
    good = judged(*rows, *versions)
    assert good.verdict is PASS
    assert good.statement.startswith("all 2 acknowledged writes (1 change) are in the store orders")
    other = judged(
        *rows, versions[0], record("orders", "order_version", "o-1", version=2, value="blue", t=2.0)
    )
    assert "price blue there" in other.violations[0].statement
    assert judged(*rows, versions[0]).measures["lost_changes"] == 1


def test_no_ghost(tmp_path: Path) -> None:
    """A record of what was rejected; with `unasked` also one that nobody asked for."""
    binding = "{kind: no_ghost, things: order, operations: [order], record: {store: orders, kind: order}%s}"
    judged = judge(tmp_path, f"no_ghost: {binding % ''}")
    assert judged(asked(1, "o-1"), order("o-1")).statement == "not exercised: no order was rejected"
    assert judged(asked(1, "o-1", "rejected"), *READ).verdict is PASS
    assert judged(asked(1, "o-1", "rejected")).verdict is INCONCLUSIVE
    assert judged(asked(1, "o-1", "rejected"), asked(2, "o-1", "indeterminate"), order("o-1")).exposed == 0
    bad = judged(asked(1, "o-1", "rejected"), order("o-1"), order("o-2"))
    assert (bad.verdict, bad.violation_count) == (FAIL, 1)
    assert bad.violations[0].statement == "order o-1 was rejected and has an order in the store orders"
    strict = judge(tmp_path, f"no_ghost: {binding % ', unasked: on'}")
    assert strict(asked(1, "o-1"), order("o-1"), order("o-2")).violation_count == 1


def test_each_has(tmp_path: Path) -> None:
    """Every paid order has its delivery, whoever was told of it."""
    judged = judge(
        tmp_path,
        """
        every_paid_order_is_delivered:
          kind: each_has
          things: order
          kept: {store: orders, kind: order, status: [paid]}
          has: {store: stock, kind: delivery}
        """,
    )
    assert judged(order("o-1", "paid"), *read(orders=1)).verdict is INCONCLUSIVE
    assert judged(order("o-1"), *READ).verdict is INCONCLUSIVE
    delivered = record("stock", "delivery", "o-1", t=4.0)
    good = judged(order("o-1", "paid"), order("o-2", "placed"), delivered)
    assert (good.verdict, good.exposed) == (PASS, 1)
    bad = judged(order("o-1", "paid"), order("o-2", "paid"), delivered)
    assert bad.statement == "1 order of 2 that were kept never reached the store stock"
    assert bad.violations[0].key == "o-2"


REGISTER = """
current_price:
  kind: register
  things: price
  writes: [change]
  reads: [show]
"""


def test_register_by_version(tmp_path: Path) -> None:
    """What was shown is not older than what had been acknowledged before the reading began."""
    judged = judge(tmp_path, REGISTER)
    writes = [op(n, "change", "p-1", float(n), version=n) for n in (1, 2)]
    assert judged(*writes).statement == "not exercised: nothing was read"
    assert judged(*writes, op(3, "show", "p-1", 3.0, version=2)).verdict is PASS
    bad = judged(*writes, op(3, "show", "p-1", 3.0, version=1))
    assert bad.statement == "1 read of 1 showed a superseded version"
    assert bad.violations[0].statement == (
        "price p-1: version 1 was read, a newer version had been acknowledged (version 2)"
    )
    lost = op(2, "change", "p-1", 2.0, outcome="indeterminate")
    assert judged(writes[0], lost, op(3, "show", "p-1", 3.0, version=1)).verdict is PASS


def test_register_by_value(tmp_path: Path) -> None:
    """Without versions the values alone must fit an order; what timed out may take effect, or not."""
    judged = judge(tmp_path, f"{REGISTER}  by: value\n")
    writes = [op(n, "change", "p-1", float(n), value=f"{n}0") for n in (1, 2)]
    assert judged(*writes).verdict is INCONCLUSIVE
    good = judged(*writes, op(3, "show", "p-1", 3.0, value="20"))
    assert good.statement.startswith("1 price linearizable in 1 read")
    bad = judged(*writes, op(3, "show", "p-1", 3.0, value="10"))
    assert (bad.verdict, bad.violation_count) == (FAIL, 1)
    assert "price p-1 is not linearizable" in bad.violations[0].statement
    maybe = op(2, "change", "p-1", 2.0, outcome="indeterminate", value="20")
    for seen in ("10", "20"):
        assert judged(writes[0], maybe, op(3, "show", "p-1", 3.0, value=seen)).verdict is PASS


CONSERVED = """
money_is_conserved:
  kind: conservation
  things: order
  sum_of: [{store: payments, kind: charge}]
  equals: [{store: orders, kind: order, status: [paid]}, {store: payments, kind: refund}]
  operations: [order]
"""


def test_conservation(tmp_path: Path) -> None:
    """What was charged is what paid orders cost and what was given back, for each order."""
    judged = judge(tmp_path, CONSERVED)
    assert judged().statement == "not exercised: the records of payments were not read"
    assert judged(*READ).statement == "not exercised: no order has a record of either side"
    good = judged(charge("o-1"), order("o-1", "paid", amount=30.0), charge("o-2"), refund("o-2"))
    assert good.verdict is PASS
    assert good.statement.startswith("charges = paid orders + refunds for 2 orders (in all 60.00 = 60.00)")
    bad = judged(
        asked(1, "o-1"), charge("o-1"), order("o-1", "placed", amount=30.0), charge("o-2"), refund("o-2")
    )
    assert (
        bad.statement
        == "charges = paid orders + refunds does not hold for 1 order of 2 (in all 60.00 = 30.00)"
    )
    assert bad.violations[0].statement == "order o-1: charges = paid orders + refunds, but 30.00 is not 0.00"
    assert {row["type"] for row in bad.violations[0].evidence} == {"record", "operation"}


def test_conservation_of_all_together(tmp_path: Path) -> None:
    """Counted over all: what one lacks another may have."""
    judged = judge(
        tmp_path,
        """
        nothing_vanishes:
          kind: conservation
          things: parcel
          sum_of: [{store: stock, kind: received}]
          equals: [{store: stock, kind: sent}, {store: stock, kind: on_hand}]
          of: count
          per: all
        """,
    )
    here = [record("stock", "received", key, t=1.0) for key in "abc"]
    gone = [record("stock", "sent", "a", t=2.0), record("stock", "on_hand", "b", t=2.0)]
    good = judged(*here, *gone, record("stock", "on_hand", "d", t=2.0))
    assert good.verdict is PASS
    bad = judged(*here, *gone)
    assert (bad.verdict, bad.violation_count) == (FAIL, 1)
    assert bad.violations[0].statement.startswith("receiveds = sents + on hands: 3 is not 2")


ENDS = """
orders_end:
  kind: terminates
  things: order
  state: {store: orders, kind: order}
  ends: [shipped, cancelled]
"""


def test_terminates(tmp_path: Path) -> None:
    """Whatever is not in an end state after settling hangs; states that are idle were not begun."""
    judged = judge(tmp_path, ENDS)
    assert judged(*READ).statement == "not exercised: no order was begun"
    assert judged(order("o-1", "shipped"), order("o-2", "cancelled")).verdict is PASS
    bad = judged(order("o-1", "shipped"), order("o-2", "packing"))
    assert bad.statement == "1 order of 2 did not end"
    assert bad.violations[0].statement == "order o-2: still packing after settling"
    idle = judge(tmp_path, f"{ENDS}  idle: [basket]\n  operations: [order]\n")
    assert idle(order("o-1", "basket"), order("o-2", "shipped")).exposed == 1
    assert idle(asked(1, "o-1", "indeterminate"), order("o-1", "basket")).verdict is PASS
    never = idle(asked(1, "o-1"), order("o-1", "basket"))
    assert "acknowledged and never begun, order is basket" in never.violations[0].statement


def test_gapless_sequence(tmp_path: Path) -> None:
    """1, 2, 3 of each source, each once."""
    judged = judge(
        tmp_path,
        "journal: {kind: gapless_sequence, things: journal, record: {store: stock, kind: line}}",
    )

    def lines(key: str, *numbers: int | None) -> list[Row]:
        return [record("stock", "line", key, version=number, t=1.0) for number in numbers]

    assert judged(*READ).statement == "not exercised: the store stock holds no line"
    good = judged(*lines("a", 2, 1, 3), *lines("b", 1))
    assert (good.verdict, good.exposed) == (PASS, 4)
    assert good.statement.startswith("4 lines of 2 journals are numbered without a gap")
    for numbers, why in (
        ((1, 3), "2 missing"),
        ((1, 5), "2, 3, 4 missing"),
        ((1, 3, 7), "2, 4, 5 and 1 more missing"),
        ((1, 2, 2, 3, 3), "2, 3 given twice or more"),
        ((1, 3, 3), "2 missing; 3 given twice or more"),
        ((-1, 0, 2), "1 missing; -1, 0 before the first, 1"),
        ((2, 3), "1 missing"),
        ((1, 2, 2), "2 given twice or more"),
        ((0, 1), "0 before the first, 1"),
        ((1, None), "1 without a number"),
        ((1, 2_000_000_000), "2, 3, 4 and 1,999,999,995 more missing"),
    ):
        bad = judged(*lines("a", *numbers), *lines("b", 1))
        assert (bad.verdict, bad.violation_count) == (FAIL, 1)
        assert bad.violations[0].statement == f"journal a: {why}"
    free = judge(
        tmp_path,
        "journal: {kind: gapless_sequence, things: journal, record: {store: stock, kind: line}, first: none}",
    )
    assert free(*lines("a", 7, 8, 9)).verdict is PASS
    assert free(*lines("a", 7, 9)).verdict is FAIL


def test_never_allowed_of_a_record(tmp_path: Path) -> None:
    """No order is shipped that has no charge."""
    judged = judge(
        tmp_path,
        """
        no_free_delivery:
          kind: never_allowed
          things: order
          record: {store: orders, kind: order, status: [shipped]}
          unless: {store: payments, kind: charge}
          phrase: shipped without a charge
        """,
    )
    assert judged(order("o-1", "shipped")).verdict is FAIL
    assert judged(order("o-1", "shipped"), *read(orders=1)).statement == (
        "not exercised: the records of payments were not read"
    )
    assert judged(*READ).verdict is INCONCLUSIVE
    good = judged(order("o-1", "shipped"), charge("o-1"), order("o-2", "placed"))
    assert (good.verdict, good.exposed) == (PASS, 2)
    bad = judged(order("o-1", "shipped"), charge("o-2"), order("o-2", "shipped"))
    assert bad.statement == "1 order of 2: shipped without a charge"
    assert bad.violations[0].statement == "order o-1: shipped without a charge"


def test_never_allowed_of_an_answer(tmp_path: Path) -> None:
    """No guess is shown as a price."""
    judged = judge(
        tmp_path,
        """
        no_guess:
          kind: never_allowed
          things: price
          answer: {operations: [show], label: [guessed]}
        """,
    )
    assert judged(asked(1, "o-1")).verdict is INCONCLUSIVE
    assert judged(op(1, "show", "p-1", 1.0), op(2, "show", "p-2", 1.0, label="cached")).exposed == 2
    bad = judged(op(1, "show", "p-1", 1.0, label="guessed"), op(2, "show", "p-2", 1.0))
    assert bad.statement == "1 price of 2: an acknowledged answer with the label guessed"
    timed_out = op(1, "show", "p-1", 1.0, outcome="indeterminate", label="guessed")
    assert judged(timed_out).verdict is PASS


def test_sometimes(tmp_path: Path) -> None:
    """Seen often enough is a pass; else nothing was shown, which is no failure."""
    judged = judge(
        tmp_path,
        """
        the_cache_was_used:
          kind: sometimes
          answer: {operations: [show], label: [cached]}
          at_least: 2
          called: cached price
        """,
    )
    cached = [op(n, "show", "p-1", 1.0, label="cached") for n in (1, 2)]
    few = judged(cached[0], op(3, "show", "p-1", 1.0))
    assert (few.verdict, few.statement) == (
        INCONCLUSIVE,
        "not exercised: 1 cached price in 2 operations, 2 needed",
    )
    enough = judged(*cached)
    assert (enough.verdict, enough.statement) == (PASS, "2 cached prices in 2 operations")
    assert not enough.safety


def test_bounded_staleness(tmp_path: Path) -> None:
    """A property may allow an age of its own; without copies only reads are judged."""
    binding = "fresh: {kind: bounded_staleness, writes: [change], reads: [show]%s}"
    writes = [op(n, "change", "p-1", float(n), version=n) for n in (1, 2)]
    old = op(3, "show", "p-1", 4.0, version=1)
    strict = judge(tmp_path, binding % "")
    assert strict(*writes).verdict is INCONCLUSIVE
    assert strict(*writes, old).statement.startswith("1 unlabelled stale read of 1 beyond the bound (0 s)")
    assert judge(tmp_path, binding % ", age: 2s")(*writes, old).verdict is PASS
    assert strict(writes[0], op(2, "change", "p-1", 2.0, outcome="indeterminate"), old).verdict is PASS


@pytest.mark.parametrize("name", ["bounded_waiting", "no_retry_amplification", "recovers"])
def test_every_system_has_what_needs_no_binding(name: str, tmp_path: Path) -> None:
    """A shop that binds one property has these beside it, and may set its own figures."""
    judged = judge(tmp_path, f"{name}: {{kind: {name}, says: Ours.}}")
    assert judged().property == "Ours."
    assert judged().verdict is INCONCLUSIVE


def test_a_use_without_any_time_has_none(tmp_path: Path) -> None:
    """A record that tells no time and that no operation explains: the violation has no time either, so that
    it is the same when it is read again."""
    judged = judge(
        tmp_path,
        """
        current:
          kind: register
          things: price
          writes: [change]
          reads: [show]
          versions: {store: orders, kind: order_version}
          used: {store: stock, kind: parcel}
          ended: {status: [gone]}
        """,
    )
    gone = record("orders", "order_version", "p-1", version=1, status="gone", t=1.0)
    (violation,) = judged(gone, record("stock", "parcel", "p-1", version=1)).violations
    assert violation.t is None
    assert violation.statement.endswith("this version is an end")
