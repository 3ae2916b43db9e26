"""What the kinds say and count beside their verdict: sentences, measures, times, whose answers were wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from experiment.findings import Finding
from experiment.history import build
from experiment.rows import Record, Row
from experiment.scenario import Staleness
from experiment.verdict import Verdict
from measurement.linearizability import KeyVerdict, RegisterVerdict
from tests.measurement.histories import HEADER, REFERENCE, frame, history, op, read, record, scenario
from tests.measurement.shop import mistakes, shop

PASS, FAIL = Verdict.PASS, Verdict.FAIL
READ = read(orders=0, payments=0, stock=0)


def found(folder: Path, binding: str, *rows: Row) -> Finding:
    """What the one property that a shop binds finds."""
    system = shop(folder, f"bound: {{{binding}}}")
    return system.properties["bound"].binding.find(history(*rows), scenario(), system)


def charge(key: str, t: float, amount: float | None = 30.0, **more: object) -> Record:
    return record("payments", "charge", key, t=t, amount=amount, **more)


def order(key: str, status: str | None = "placed", t: float | None = 2.5, **more: object) -> Record:
    return record("orders", "order", key, t=t, status=status, **more)


def asked(number: int, key: str, outcome: str = "acknowledged", **more: object) -> Row:
    return op(number, "order", key, float(number), outcome=outcome, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("binding", "sentence"),
    [
        (
            "kind: at_most_once, things: order, effect: {store: payments, kind: charge}",
            "No order is charged more than once.",
        ),
        (
            "kind: exactly_once, things: order, operations: [order], effect: {store: orders, kind: order}",
            "Every acknowledged order is in the store orders, once.",
        ),
        (
            "kind: terminates, things: order, state: {store: orders, kind: order}, ends: [a]",
            "Every order that was begun ends.",
        ),
        (
            "kind: terminates, things: order, state: {store: orders, kind: order}, ends: [a], "
            "completed: a, taken: {store: payments, kind: charge}",
            "Every order that was begun ends, and money is conserved.",
        ),
        (
            "kind: conservation, things: order, sum_of: [{store: payments, kind: charge}], "
            "equals: [{store: orders, kind: order, status: [paid, sent]}]",
            "For each order: charges = paid or sent orders.",
        ),
        (
            "kind: conservation, things: order, sum_of: [{store: payments, kind: charge}], per: all, "
            "equals: [{store: orders, kind: order}, {store: payments, kind: refund}]",
            "For all orders together: charges = orders + refunds.",
        ),
        (
            "kind: each_has, things: order, has: {store: stock, kind: parcel, at: the stock}, "
            "operations: [order], kept: {store: orders, kind: order}, within: 2min",
            "Every order that was acknowledged or kept has its record in the stock within 2 min.",
        ),
        (
            "kind: sometimes, answer: {operations: [show], label: [cached]}, at_least: 2",
            "Seen at least 2 acknowledged answers with the label cached.",
        ),
        (
            "kind: sometimes, record: {store: orders, kind: order, status: [paid, sent]}",
            "Seen at least 1 order paid or sent.",
        ),
        (
            "kind: never_allowed, things: order, unless: {store: payments, kind: charge}, "
            "answer: {operations: [order], outcome: rejected, status: [500, 503], value: [x]}",
            "Never seen of orders: "
            "a rejected answer with the value x and the status 500 or 503 without charge.",
        ),
        (
            "kind: gapless_sequence, things: order, record: {store: stock, kind: line}",
            "The lines of each order are numbered without a gap.",
        ),
        (
            "kind: no_ghost, things: order, operations: [order], record: {store: stock, kind: parcel}",
            "No parcel is there of a rejected order.",
        ),
        (
            "kind: bounded_staleness, writes: [change], reads: [show]",
            "A copy shows what is current or within its bound, or says of itself that it is not.",
        ),
    ],
)
def test_what_is_promised_is_a_sentence(binding: str, sentence: str, tmp_path: Path) -> None:
    """Where a system says nothing of its own."""
    assert shop(tmp_path, f"bound: {{{binding}}}").properties["bound"].says == sentence


ONCE = "kind: at_most_once, things: order, operations: [order], effect: {store: payments, kind: charge}"


def test_the_time_of_a_duplicate_is_that_of_the_last_effect(tmp_path: Path) -> None:
    """The first one was right; the operations on its key are the ones that were wrong."""
    rows = [asked(1, "o-1"), asked(2, "o-1", "indeterminate"), asked(3, "o-2"), charge("o-2", 3.0)]
    bad = found(tmp_path, ONCE, *rows, charge("o-1", 1.5), charge("o-1", 9.0), charge("o-1", 4.0, None))
    assert [(v.key, v.t) for v in bad.violations] == [("o-1", 9.0)]
    assert bad.violations[0].statement == "order o-1 was charged 3 times (30.00 and unknown and 30.00)"
    assert sorted(bad.wrong) == [1, 2]
    assert bad.measures == {
        "charged_orders": 2,
        "duplicate_charges": 2,
        "charges": 4,
        "orders_charged_twice": 1,
    }
    assert bad.violation_count == 1


def test_an_effect_of_another_state_is_none(tmp_path: Path) -> None:
    """Neither in the count nor in what is told of it; a record without a state may be in any."""
    captured = ONCE.replace("kind: charge", "kind: charge, status: [captured]")
    rows = [charge("o-1", 1.0, 10.0, status="captured"), charge("o-1", 2.0, 20.0, status="declined")]
    assert found(tmp_path, captured, *rows).verdict is PASS
    twice = found(tmp_path, captured, *rows, charge("o-1", 3.0, 40.0))
    assert twice.violations[0].statement == "order o-1 was charged twice (10.00 and 40.00)"
    assert found(tmp_path, captured, *rows[1:], *READ).verdict is Verdict.INCONCLUSIVE


def test_another_record_of_the_same_effect_counts(tmp_path: Path) -> None:
    """A charge and a parcel: what was done once here and once there was done twice."""
    also = f"{ONCE}, also: [{{store: stock, kind: parcel}}]"
    both = found(tmp_path, also, charge("o-1", 1.0), record("stock", "parcel", "o-1", t=2.0))
    assert (both.verdict, both.violation_count) == (FAIL, 1)
    assert both.violations[0].statement == "order o-1 was charged twice (30.00 and unknown)"
    apart = found(tmp_path, also, charge("o-1", 1.0), record("stock", "parcel", "o-2", t=2.0))
    assert (apart.verdict, apart.exposed) == (PASS, 2)


def test_a_duplicate_is_told_though_another_store_was_not_read(tmp_path: Path) -> None:
    """Nothing that was not read can undo it; a pass needs all."""
    also = f"{ONCE}, also: [{{store: stock, kind: parcel}}]"
    seen = [charge("o-1", 1.0), *read(payments=1)]
    assert found(tmp_path, also, *seen).verdict is Verdict.INCONCLUSIVE
    twice = [charge("o-1", 1.0), charge("o-1", 2.0), *read(payments=2)]
    assert found(tmp_path, also, *twice).verdict is FAIL


def test_what_was_taken_too_much_is_counted_of_doubled_things_only(tmp_path: Path) -> None:
    """Less than was due is no negative debt of another thing; nothing doubled, nothing over."""
    due = f"{ONCE}, due: {{store: orders, kind: order}}"
    more = [charge("o-1", 1.0), charge("o-1", 2.0), order("o-1", amount=30.0)]
    less = [charge("o-2", 1.0, 1.0), charge("o-2", 2.0, 1.0), order("o-2", amount=50.0)]
    once = [charge("o-3", 1.0, 99.0), order("o-3", amount=10.0)]
    bad = found(tmp_path, due, *more, *less, *once)
    assert bad.measures["net_overcharge"] == 30.0
    assert found(tmp_path, due, *once).measures["net_overcharge"] == 0.0


EXACTLY = "kind: exactly_once, things: order, operations: [order], effect: {store: orders, kind: order}"


def test_an_order_in_doubt_is_counted_apart(tmp_path: Path) -> None:
    """Unless it was acknowledged when it was asked for again: then it is none in doubt."""
    rows = [asked(1, "o-1", "indeterminate"), asked(2, "o-1"), asked(3, "o-2", "indeterminate")]
    rows += [asked(4, "o-3", "indeterminate"), order("o-1"), order("o-2"), order("o-9")]
    good = found(tmp_path, EXACTLY, *rows)
    assert (good.verdict, good.exposed) == (PASS, 3)
    assert good.statement == "all 1 acknowledged order are in the store orders once"
    assert good.measures == {
        "acknowledged": 1,
        "lost": 0,
        "stored_twice": 0,
        "indeterminate": 2,
        "indeterminate_that_happened": 1,
    }


def test_a_loss_stands_at_its_first_acknowledgement(tmp_path: Path) -> None:
    """A doubled one at its last record; all answers on the keys were wrong, in the order of their times."""
    rows = [asked(1, "o-1", "indeterminate"), asked(5, "o-1"), asked(3, "o-1"), asked(6, "o-2")]
    rows += [order("o-2", t=7.0), order("o-2", t=2.0), asked(8, "o-3"), order("o-3")]
    bad = found(tmp_path, EXACTLY, *rows)
    assert [(v.key, v.t) for v in bad.violations] == [("o-1", 3.05), ("o-2", 7.0)]
    assert sorted(bad.wrong) == [1, 3, 5, 6]
    assert (bad.violation_count, bad.exposed) == (2, 3)


def test_an_order_that_its_own_api_does_not_show_is_lost(tmp_path: Path) -> None:
    """Though a record of it exists: nobody finds it."""
    gone = op(9, "final_read", "o-1", 40.0, value="absent")
    assert found(tmp_path, EXACTLY, asked(1, "o-1"), order("o-1"), gone).violation_count == 1
    there = op(9, "final_read", "o-1", 40.0, value="placed")
    assert found(tmp_path, EXACTLY, asked(1, "o-1"), order("o-1"), there).verdict is PASS


CONSERVED = (
    "kind: conservation, things: order, operations: [order], sum_of: [{store: payments, kind: charge}], "
    "equals: [{store: orders, kind: order, status: [paid]}]"
)


def test_sums_are_told_to_the_cent(tmp_path: Path) -> None:
    """Beside them their difference, and the last time at which the thing moved."""
    rows = [charge("o-1", 4.0, 10.0), charge("o-1", 9.0, 20.004), order("o-1", "paid", amount=30.0)]
    good = found(tmp_path, CONSERVED, *rows)
    assert good.verdict is PASS
    assert good.measures == {"orders": 1, "left": 30.0, "right": 30.0, "difference": 0.0}
    early = [asked(1, "o-1"), asked(2, "o-2"), charge("o-2", 1.0, 7.0)]
    bad = found(tmp_path, CONSERVED, *early, charge("o-1", 4.0, 10.0), charge("o-1", 9.0, 20.01))
    assert [(v.key, v.t) for v in bad.violations] == [("o-2", 1.0), ("o-1", 9.0)]
    assert sorted(bad.wrong) == [1, 2]
    assert bad.measures["difference"] == 37.01
    assert "o-1: charges = paid orders, but 30.01 is not 0.00" in bad.violations[1].statement


def test_all_together_may_differ_one_by_one(tmp_path: Path) -> None:
    """Too much of one order and as much too little of another are even; then no answer was wrong."""
    together = f"{CONSERVED}, per: all"
    rows = [asked(1, "o-1"), charge("o-1", 1.0, 30.0), order("o-2", "paid", amount=30.0)]
    even = found(tmp_path, together, *rows)
    assert (even.verdict, list(even.wrong)) == (PASS, [])
    odd = found(tmp_path, together, *rows, charge("o-3", 0.5, 5.0))
    assert (odd.verdict, odd.violation_count, odd.exposed) == (FAIL, 1, 3)
    assert odd.statement == (
        "charges = paid orders does not hold for 3 orders together (in all 35.00 = 30.00)"
    )
    (violation,) = odd.violations
    assert violation.statement == (
        "charges = paid orders: 35.00 is not 30.00; the first order that differs is o-3"
    )
    assert list(odd.wrong) == [1]


LOST = (
    "kind: no_lost_write, things: order, operations: [order, change], creates: [order], versioned: on, "
    "record: {store: orders, kind: order_version, called: version}, value: price"
)


def version(number: int | None, value: str | None = None, key: str = "o-1", t: float | None = 1.0) -> Record:
    return record("orders", "order_version", key, version=number, value=value, t=t)


def change(
    number: int, made: int | None, on: int | None = None, value: str | None = None, **more: object
) -> Row:
    facts = {"version": made, "expected_version": on, "value": value, **more}
    return op(number, "change", "o-1", float(number), **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("written", "stored", "fits"),
    [
        ("20", "20.0", True),
        ("20", "20 mg", True),
        ("20", "21", False),
        ("-20", "20", False),
        ("20", "20.5", False),
        ("red", "red", True),
        ("red", "blue", False),
        (None, "blue", True),
        ("free", "20", False),
        ("20", "free", False),
        ("20", None, True),
        ("free", None, True),
    ],
)
def test_a_value_is_compared_as_a_number_where_both_have_one(
    written: str | None, stored: str | None, fits: bool, tmp_path: Path
) -> None:
    """The first number of each text; else the texts; where nobody says what was written or kept, nothing."""
    seen = found(tmp_path, LOST, asked(1, "o-1", version=1, value=written), version(1, stored))
    assert seen.verdict is (PASS if fits else FAIL)


def test_each_way_to_lose_a_write_is_counted(tmp_path: Path) -> None:
    """Two writers of one version, a change on a version that was not the last, a broken chain, an API that
    shows an older one: each is told of by name."""
    first = asked(1, "o-1", version=1)
    twice = found(tmp_path, LOST, first, change(2, 2, 1), change(3, 2, 1), version(1), version(2))
    assert twice.measures["versions_given_twice"] == 1
    assert "version 2 of o-1 was acknowledged to 2 writers" in twice.violations[0].statement
    assert [(v.key, v.t) for v in twice.violations] == [("o-1", 3.05)]
    blind = found(tmp_path, LOST, first, change(2, 3, 1), version(1), version(2), version(3))
    assert (blind.measures["overwritten_unseen"], blind.violation_count) == (1, 1)
    assert "made on version 1 became version 3" in blind.violations[0].statement
    gap = found(tmp_path, LOST, first, version(1), version(3))
    assert (gap.measures["broken_chains"], list(gap.wrong)) == (1, [])
    assert "2 rows, versions 1 to 3" in gap.violations[0].statement
    shown = op(9, "final_read", "o-1", 40.0, version=1)
    old = found(tmp_path, LOST, first, change(2, 2, 1), version(1), version(2), shown)
    assert (old.measures["shown_too_old"], list(old.wrong)) == (1, [2])
    assert "shows version 1 of o-1, version 2 had been acknowledged" in old.violations[0].statement
    none = op(9, "final_read", "o-1", 40.0)
    assert "shows version none" in found(tmp_path, LOST, first, version(1), none).violations[0].statement
    newest = op(9, "final_read", "o-1", 40.0, version=2)
    assert found(tmp_path, LOST, first, change(2, 2, 1), version(1), version(2), newest).verdict is PASS


def test_versions_that_nobody_was_told_of_are_exposed_too(tmp_path: Path) -> None:
    """The store alone knows of them; a chain that is broken there counts."""
    rows = [asked(1, "o-1", version=1), version(1), version(1, key="o-2"), version(2, key="o-2")]
    good = found(tmp_path, LOST, *rows)
    assert (good.verdict, good.exposed) == (PASS, 2)
    assert good.measures == {
        "acknowledged_writes": 1,
        "acknowledged_changes": 0,
        "orders_nobody_was_told_of": 1,
    }
    bad = found(tmp_path, LOST, *rows, version(4, key="o-2"))
    assert bad.statement == "1 broken chains, of 1 acknowledged write and 1 order that nobody was told of"


def test_a_write_without_a_version_needs_a_record_that_could_be_it(tmp_path: Path) -> None:
    """One with its value; for a journey that ends the thing, one in an end state."""
    told = asked(1, "o-1", value="30")
    assert found(tmp_path, LOST, told, version(1, "30")).verdict is PASS
    lost = found(tmp_path, LOST, told, version(1, "31"))
    assert lost.violations[0].statement == (
        "an order of o-1 (price 30) was acknowledged; the store orders has no version that could be it"
    )
    assert (list(lost.wrong), lost.measures["lost_changes"]) == ([1], 1)
    ends = f"{LOST}, ends: [change], ended: {{status: [gone]}}"
    rows = [asked(1, "o-1", version=1), change(2, None), version(1)]
    assert found(tmp_path, ends, *rows).measures["lost_changes"] == 1
    gone = record("orders", "order_version", "o-1", version=2, status="gone", t=2.0)
    assert found(tmp_path, ends, *rows, gone).verdict is PASS


def test_the_newest_write_is_what_the_api_must_show(tmp_path: Path) -> None:
    """Without versions: the last acknowledged write on the key was wrong, not the first."""
    plain = "kind: no_lost_write, things: order, operations: [order], record: {store: orders, kind: order}"
    gone = op(9, "final_read", "o-1", 40.0, value="absent")
    bad = found(tmp_path, plain, asked(1, "o-1"), asked(2, "o-1"), order("o-1"), gone)
    assert (bad.measures["not_shown"], list(bad.wrong)) == (1, [2])
    assert [(v.key, v.t) for v in bad.violations] == [("o-1", 40.05)]


HAS = "kind: each_has, things: order, has: {store: stock, kind: parcel}"


def parcel(key: str, t: float | None = 5.0, kind: str = "parcel") -> Record:
    return record("stock", kind, key, t=t)


def test_what_was_acknowledged_must_arrive(tmp_path: Path) -> None:
    """By its first acknowledged answer; keys that differ by a known beginning are of one thing."""
    binding = f"{HAS}, operations: [order], prefixes: [parcel-]"
    rows = [asked(1, "o-1"), asked(2, "o-2"), asked(4, "o-2"), asked(3, "o-3", "indeterminate")]
    good = found(tmp_path, binding, *rows, parcel("parcel-o-1"), parcel("o-2"))
    assert (good.verdict, good.exposed) == (PASS, 2)
    assert good.statement == "all 2 orders that were acknowledged reached the store stock"
    bad = found(tmp_path, binding, *rows, parcel("o-1"))
    assert bad.statement == "1 order of 2 that were acknowledged never reached the store stock"
    assert [(v.key, v.t, v.statement) for v in bad.violations] == [
        ("o-2", 2.05, "the order of o-2 never reached the store stock")
    ]
    assert bad.measures == {"acknowledged_orders": 2, "promised_orders": 2, "lost_orders": 1}
    assert list(bad.wrong) == [2]
    assert found(tmp_path, binding, *rows, *READ, parcel("o-3")).verdict is FAIL


def test_what_is_kept_must_arrive_too(tmp_path: Path) -> None:
    """In the states that promise it; the violation says what it is where it is kept, and when."""
    binding = f"{HAS}, operations: [order], kept: {{store: orders, kind: order, status: [queued, sent]}}"
    rows = [order("o-1", "queued", 3.0), order("o-2", "draft"), order("o-3", "sent", 4.0), asked(1, "o-4")]
    bad = found(tmp_path, binding, *rows, parcel("o-3"))
    assert (bad.exposed, bad.violation_count, list(bad.wrong)) == (3, 2, [1])
    assert [(v.key, v.t, v.statement) for v in bad.violations] == [
        ("o-4", 1.05, "the order of o-4 never reached the store stock; at orders it is unknown"),
        ("o-1", 3.0, "the order of o-1 never reached the store stock; at orders it is queued"),
    ]
    assert bad.measures == {
        "acknowledged_orders": 1,
        "promised_orders": 3,
        "lost_orders": 2,
        "still_queued": 1,
    }
    both = found(tmp_path, binding, order("o-1", "queued"), asked(1, "o-1"), parcel("o-9"))
    assert [row["type"] for row in both.violations[0].evidence] == ["record", "operation"]
    unread = [order("o-1", "queued"), parcel("o-1"), *read(stock=1)]
    assert found(tmp_path, binding, *unread).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("arrived", "late"), [(5.0, False), (13.0, False), (13.04, False), (13.06, True), (None, False)]
)
def test_what_arrives_after_its_time_is_late(arrived: float | None, late: bool, tmp_path: Path) -> None:
    """Ten seconds from the record that promises it, give or take the clocks; a record that says no time is
    not late."""
    binding = f"{HAS}, kept: {{store: orders, kind: order}}, within: 10s"
    seen = found(tmp_path, binding, order("o-1", t=3.0), parcel("o-1", arrived), *read(orders=1, stock=1))
    assert seen.verdict is (FAIL if late else PASS)
    assert seen.measures["late_orders"] == int(late)
    assert seen.measures["longest_wait_s"] == (0.0 if arrived is None else pytest.approx(arrived - 3.0))
    if late:
        assert seen.statement == (
            "1 order of 1 that were kept did not reach the store stock within 10 s: 1 later, 0 never"
        )
        assert seen.violations[0].statement.startswith(
            "the order of o-1 took 10.06 s to reach the store stock"
        )


def test_what_may_still_arrive_in_time_is_not_judged(tmp_path: Path) -> None:
    """Records were read at 41 s: of 10 s, what was promised at 31 s was due, what came later was not."""
    binding = f"{HAS}, kept: {{store: orders, kind: order}}, within: 10s"
    due, early = order("o-1", t=31.0), order("o-2", t=31.1)
    bad = found(tmp_path, binding, due, early, *read(orders=2, stock=0))
    assert (bad.verdict, bad.exposed, bad.measures["lost_orders"]) == (FAIL, 1, 1)
    assert bad.statement.endswith("did not reach the store stock within 10 s: 0 later, 1 never")
    none = found(tmp_path, binding, early, *read(orders=1, stock=0))
    assert none.statement == "not exercised: the time of no order was over when the records were read"
    scaled = f"{binding}, scaled: on"
    assert found(tmp_path, scaled, early, *read(orders=1, stock=0)).verdict is Verdict.INCONCLUSIVE


NEVER = "kind: never_allowed, things: order, record: {store: orders, kind: order, status: [lost]}"


def test_what_must_not_be_is_counted_beside_what_could_have_been(tmp_path: Path) -> None:
    """Things with a record in any state, and those that an operation that was sent had touched."""
    binding = f"{NEVER}, operations: [order]"
    rows = [asked(1, "o-1"), asked(2, "o-2", "rejected"), asked(3, "o-3", "rejected", sent=None)]
    rows += [order("o-4"), order("o-1", "lost", 9.0), order("o-1", "lost", 5.0)]
    bad = found(tmp_path, binding, *rows)
    assert (bad.verdict, bad.exposed, bad.violation_count) == (FAIL, 3, 1)
    assert bad.statement == "1 order of 3: order lost"
    assert [(v.key, v.t, v.statement) for v in bad.violations] == [("o-1", 9.0, "order o-1: order lost")]
    assert (list(bad.wrong), bad.measures) == ([1], {"orders": 3, "never_allowed": 1})
    good = found(tmp_path, binding, *rows[:4])
    assert good.statement == "none of 3 orders: order lost"
    nothing = found(tmp_path, binding, *READ)
    assert nothing.statement == "not exercised: no order was seen that could show it"


def test_what_another_record_allows_is_right(tmp_path: Path) -> None:
    """Without that store nothing is known; with it, only its keys are allowed."""
    binding = f"{NEVER}, unless: {{store: payments, kind: refund}}"
    allowed = record("payments", "refund", "o-1", t=1.0)
    good = found(tmp_path, binding, order("o-1", "lost"), allowed)
    assert (good.verdict, good.exposed) == (PASS, 1)
    bad = found(tmp_path, binding, order("o-1", "lost"), order("o-2", "lost"), allowed)
    assert [v.key for v in bad.violations] == ["o-2"]
    assert bad.violations[0].statement == "order o-2: order lost without refund"
    unread = found(tmp_path, binding, order("o-1", "lost"), *read(orders=1))
    assert unread.verdict is Verdict.INCONCLUSIVE


GHOST = "kind: no_ghost, things: order, operations: [order], record: {store: orders, kind: order}"


def test_a_record_of_what_was_refused_is_a_ghost(tmp_path: Path) -> None:
    """Neither of what was never sent may there be one; an acknowledged repeat may have left it."""
    rows = [asked(1, "o-1", "rejected"), asked(2, "o-2", "indeterminate", sent=None), asked(3, "o-3")]
    bad = found(tmp_path, GHOST, *rows, order("o-1", t=4.0), order("o-1", t=7.0), order("o-2"), order("o-3"))
    assert (bad.exposed, bad.violation_count, sorted(bad.wrong)) == (2, 2, [1, 2])
    assert bad.statement == "2 orders of 2 rejected orders in the store orders"
    assert [(v.key, v.t) for v in bad.violations] == [("o-2", 2.5), ("o-1", 7.0)]
    assert bad.measures == {"rejected": 2, "ghosts": 2}
    again = found(tmp_path, GHOST, asked(1, "o-1", "rejected"), asked(2, "o-1"), order("o-1"), *rows[1:2])
    assert (again.verdict, again.exposed) == (PASS, 1)
    unasked = found(tmp_path, f"{GHOST}, unasked: on", asked(3, "o-3"), order("o-3"), order("o-9", t=1.0))
    assert (unasked.verdict, unasked.exposed, list(unasked.wrong)) == (FAIL, 2, [])
    assert unasked.violations[0].statement == (
        "order o-9 was never asked for and has an order in the store orders"
    )


def test_a_record_must_have_been_seen_often_enough(tmp_path: Path) -> None:
    """Too few are no failure; a store that was not read is told of then."""
    binding = "kind: sometimes, record: {store: stock, kind: parcel}, at_least: 2"
    few = found(tmp_path, binding, parcel("o-1"), *READ[:2], *read(stock=1))
    assert (few.statement, few.measures) == ("not exercised: 1 parcel, 2 needed", {"seen": 1})
    enough = found(tmp_path, binding, parcel("o-1"), parcel("o-2"))
    assert (enough.verdict, enough.statement, enough.exposed) == (PASS, "2 parcels", 2)
    assert found(tmp_path, binding, *read(orders=0)).statement == (
        "not exercised: the records of stock were not read"
    )
    assert shop(tmp_path, f"bound: {{{binding}}}").properties["bound"].says == "Seen at least 2 parcels."
    assert mistakes(tmp_path, f"bound: {{{binding.replace('2', '0')}}}")[0].found == "at_least 0"


STALE = "kind: bounded_staleness, writes: [change], reads: [show], age: 2s"


def seen_at(t: float, version: int, **more: object) -> Row:
    return op(9, "show", "o-1", t, version=version, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("at", "fits"), [(4.0, True), (4.3, False)])
def test_a_read_may_be_as_old_as_its_bound(at: float, fits: bool, tmp_path: Path) -> None:
    """Version 2 was acknowledged at 2.25 s: version 1 may be shown until 4.25 s."""
    rows = [change(1, 1), op(2, "change", "o-1", 2.0, took=0.25, version=2)]
    told = found(tmp_path, STALE, *rows, seen_at(at, 1))
    assert told.verdict is (PASS if fits else FAIL)
    assert told.measures["beyond_bound"] == int(not fits)
    assert told.measures["unlabelled_lag_s_max"] == pytest.approx(at - 2.25)
    assert (told.measures["stale_reads"], told.measures["reads"]) == (1, 1)


def test_a_bound_may_be_met_by_versions(tmp_path: Path) -> None:
    """One version behind is allowed where a scenario says so, two are not."""
    system = shop(tmp_path, f"bound: {{{STALE}}}")
    rows = [change(1, 1), change(2, 2), change(3, 3)]
    allowed = scenario(staleness=Staleness(versions=1))
    find = system.properties["bound"].binding.find
    assert find(history(*rows, seen_at(30.0, 2)), allowed, system).verdict is PASS
    assert find(history(*rows, seen_at(30.0, 1)), allowed, system).verdict is FAIL


def test_a_label_may_be_a_tenth_of_a_second_younger(tmp_path: Path) -> None:
    """Its age is taken by the service before the client's clock; more than that misleads."""
    rows = [change(1, 1), op(2, "change", "o-1", 2.0, took=0.25, version=2)]
    honest = found(tmp_path, STALE, *rows, seen_at(5.25, 1, label="cached", age=2.95))
    assert (honest.verdict, honest.measures["unlabelled_stale_reads"]) == (PASS, 0)
    lies = found(tmp_path, STALE, *rows, seen_at(5.25, 1, label="cached", age=2.85))
    assert (lies.verdict, lies.measures["labels_that_understate"], list(lies.wrong)) == (FAIL, 1, [9])


VALUES = "kind: register, things: price, writes: [change], reads: [show], by: value"


@pytest.mark.parametrize(
    ("decided", "verdict", "count"),
    [
        ((True, True), PASS, 0),
        ((True, None), Verdict.INCONCLUSIVE, 0),
        ((False, None), FAIL, 1),
        ((False, False), FAIL, 2),
    ],
)
def test_a_register_that_was_not_decided_is_no_pass(
    decided: tuple[bool | None, ...],
    verdict: Verdict,
    count: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Time ran out on one of two; what is broken on the other stands."""
    keys = tuple(KeyVerdict(f"p-{n}", one, 3, 1, 9, reason="told") for n, one in enumerate(decided))
    monkeypatch.setattr(
        "measurement.properties.register.check_register", lambda *_, **__: RegisterVerdict(None, keys, 0.1)
    )
    seen = found(tmp_path, VALUES, change(1, None, value="1"), op(2, "show", "o-1", 2.0, value="1"))
    assert (seen.verdict, seen.violation_count) == (verdict, count)
    assert seen.measures == {"reads": 1, "registers": 2, "not_decided": decided.count(None)}
    if verdict is Verdict.INCONCLUSIVE:
        assert seen.statement == "not exercised: 1 price not decided in the time allowed"
    if verdict is FAIL:
        assert seen.statement == f"{count} of 2 prices not linearizable"
        assert seen.violations[0].statement == "price p-0 is not linearizable: told"
        assert (seen.violations[0].key, seen.violations[0].t) == ("p-0", None)


def test_values_that_nobody_was_told_of_are_no_reads(tmp_path: Path) -> None:
    """Neither what was rejected, nor what was never sent, nor an answer without a value."""
    wrote = change(1, None, value="1")
    unseen = [
        op(2, "show", "o-1", 2.0, value="9", outcome="rejected"),
        op(3, "show", "o-1", 2.0, value="9", outcome="indeterminate"),
        op(4, "show", "o-1", 2.0),
        op(5, "change", "o-1", 2.0, value="9", outcome="rejected"),
    ]
    assert found(tmp_path, VALUES, wrote, *unseen).statement == "not exercised: nothing was read"
    good = found(tmp_path, VALUES, wrote, *unseen, op(6, "show", "o-1", 3.0, value="1"))
    assert (good.verdict, good.exposed) == (PASS, 1)
    nine = found(tmp_path, VALUES, wrote, *unseen, op(6, "show", "o-1", 3.0, value="9"))
    assert nine.verdict is FAIL


@pytest.mark.parametrize(
    ("scaled", "scale", "late"), [(True, 10.0, True), (False, 10.0, False), (True, 1.0, False)]
)
def test_only_a_time_of_business_hours_goes_with_the_clock_of_the_run(
    scaled: bool, scale: float, late: bool, tmp_path: Path
) -> None:
    """Ten seconds of a day that is played ten times as fast are one; ten seconds of the run stay ten."""
    more = ", scaled: true" if scaled else ""
    binding = f"{HAS}, kept: {{store: orders, kind: order}}, within: 10s{more}"
    bound = shop(tmp_path, f"bound: {{{binding}}}").properties["bound"].binding
    rows = [order("o-1", t=3.0), parcel("o-1", 6.0), *read(orders=1, stock=1)]
    of_a_fast_day = build([replace(HEADER, clock_scale=scale), *frame()[1:], *rows])
    seen = bound.find(of_a_fast_day, scenario(), REFERENCE)
    assert seen.verdict is (FAIL if late else PASS)
    assert seen.measures["late_orders"] == int(late)
