"""What values with one writer decide without a search, against the definition and against the search."""

from __future__ import annotations

import random
from collections.abc import Hashable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from measurement.linearizability import RegisterOperation, check_register
from measurement.register_search import RegisterSearch
from measurement.register_zones import RegisterZones
from tests.measurement.registers import brute_force, op, register_history, up_to

WIDE = 40
# Every write and every first read overlaps every other one.
OVERLAPPING = [op(value, "write", value, value, 1000 + value) for value in range(WIDE)]
OVERLAPPING += [op(WIDE + value, "read", value, 100 + value, 1100 + value) for value in range(WIDE)]


def test_a_wide_history_is_decided_both_ways() -> None:
    """A search goes through the orders of forty writes; their values tell at once which one was last."""
    last = op(80, "read", 5, 2000, 2001)
    assert check_register([*OVERLAPPING, last], deadline_s=0.0).linearizable is True
    verdict = check_register([*OVERLAPPING, last, op(80, "read", 6, 2002, 2003)], deadline_s=0.0)
    assert verdict.linearizable is False
    failure = verdict.first_failure
    assert failure is not None
    assert failure.why == (
        "read 6 by process 80 fits no order of the 82 operations up to its completion; "
        "the register could have held 5; write 5 by process 5 had ended before read 6 by process 80 began "
        "and write 6 by process 6 had ended before read 5 by process 80 began, so that each value would "
        "have to come before the other"
    )


def test_a_value_that_all_overlaps_may_not_lie_inside_another() -> None:
    """A write and its read at one time belong before or after all of a value that was seen around them."""
    inside = [op(1, "write", 2, 10, 20), op(2, "read", 2, 11, 19)]
    around = [op(0, "write", 1, 0, 1), op(0, "read", 1, 30, 31)]
    assert check_register([*around, *inside]).linearizable is False
    assert check_register([around[0], op(0, "read", 1, 19, 31), *inside]).linearizable is True


def test_a_write_without_an_answer_ends_only_where_it_was_seen() -> None:
    """Unseen it says nothing; seen it has happened by the end of that read, at any time since it began."""
    lost, other = op(0, "write", 1, 0, None), op(1, "write", 2, 10, 20)
    assert check_register([lost, other, op(1, "read", 2, 30, 40)]).linearizable is True
    assert check_register([lost, other, op(1, "read", 1, 30, 40)]).linearizable is True
    seen_twice = [op(1, "read", 1, 1, 2), other, op(1, "read", 1, 30, 40)]
    assert check_register([lost, *seen_twice]).linearizable is False


def test_the_initial_value_came_before_every_write() -> None:
    """The reason says so, since no operation of a client wrote it."""
    operations = [op(0, "write", 1, float("-inf"), 1), op(1, "read", 7, 2, 3)]
    verdict = check_register(operations, initial=7)
    assert verdict.linearizable is False
    assert verdict.first_failure is not None
    assert verdict.first_failure.reason == (
        "write 1 by process 0 had ended before read 7 by process 1 began, which saw the initial value"
    )
    assert check_register([operations[0], op(1, "read", 7, 1, 3)], initial=7).linearizable is True


def test_among_values_with_several_writers_the_others_still_contradict() -> None:
    """Nor does a compare-and-set hide it; without a contradiction they decide nothing."""
    more = [op(90, "write", 0, 0, 3000), op(91, "cas", (3, "x"), 0, 3000)]
    last = [op(80, "read", 5, 2000, 2001), op(80, "read", 6, 2002, 2003)]
    verdict = check_register([*OVERLAPPING, *more, *last], deadline_s=0.0)
    assert verdict.linearizable is False
    assert verdict.first_failure is not None
    assert verdict.first_failure.witness is not None
    assert not verdict.first_failure.witness.minimal
    assert check_register([*OVERLAPPING, *more, last[0]], deadline_s=0.0).linearizable is None
    assert not RegisterZones([*OVERLAPPING, more[0]], None).exact
    assert not RegisterZones(OVERLAPPING, initial=7).exact


@st.composite
def histories(draw: st.DrawFn) -> tuple[Hashable, list[RegisterOperation]]:
    """A value that stood there first, and operations without a value that two of them wrote."""
    span = st.tuples(st.integers(0, 12), st.none() | st.integers(0, 8))
    spans = draw(st.lists(span, min_size=1, max_size=8))
    writes = draw(st.integers(0, len(spans)))
    initial = draw(st.sampled_from([None, 0, True]))
    seen = st.sampled_from([initial, *range(1, writes + 1), 99] if writes < 2 else [initial, 1, 2, writes])
    operations = []
    for number, (invoked, length) in enumerate(spans, 1):
        end = None if length is None else invoked + length
        value = number if number <= writes else draw(seen)
        operations.append(op(number, "write" if number <= writes else "read", value, invoked, end))
    return initial, [replace(o, value=50) if initial is True and o.value == 1 else o for o in operations]


def together(operations: Sequence[RegisterOperation], numbers: set[int]) -> list[RegisterOperation]:
    """Those operations, with the writes of what they saw."""
    values = {operations[number].value for number in numbers}
    return [
        o for n, o in enumerate(operations) if n in numbers or (o.function == "write" and o.value in values)
    ]


@settings(max_examples=1000, deadline=None)
@given(histories())
def test_it_is_the_definition(history: tuple[Hashable, list[RegisterOperation]]) -> None:
    """The answer is that of trying every order; the prefix is the smallest; the operations that are named
    contradict each other without all others; what could have stood there can be read."""
    initial, operations = history
    zones = RegisterZones(operations, initial)
    assert zones.exact
    found = zones.contradiction()
    assert (found is None) is brute_force(operations, initial)
    if found is None:
        return
    verdict = check_register(operations, initial)
    assert verdict.first_failure is not None
    witness = verdict.first_failure.witness
    assert witness is not None
    before, ended = up_to(operations, witness)
    assert not brute_force(ended, initial)
    assert len(ended) == witness.prefix_operations
    end = witness.operation.completed
    assert end is not None
    if [o.completed for o in ended].count(end) == 1:
        assert witness.minimal
        assert brute_force(before, initial)
        known = {initial, *(o.value for o in before if o.completed is not None)}
        readable = [v for v in known if brute_force([*before, op(50, "read", v, end - 0.5, end)], initial)]
        assert set(witness.possible_values) == (set(readable) if found.orders else set())
    for one, other in found.orders:
        one_end = operations[one].completed
        assert one_end is not None
        assert one_end < operations[other].invoked
    if found.orders:
        named = {number for order in found.orders for number in order}
        assert not brute_force(together(operations, named), initial)


@pytest.mark.parametrize("seed", range(60))
def test_it_agrees_with_the_search_on_longer_histories(seed: int) -> None:
    """Of a true register, and of one with a read that shows the value of another."""
    rng = random.Random(seed)
    operations = register_history(rng, 60, processes=rng.choice([2, 4, 6]), values=None, lost=0.1)
    assert RegisterZones(operations, None).exact
    assert RegisterZones(operations, None).contradiction() is None
    assert RegisterSearch(operations, None, None).run() is None
    reads = [number for number, o in enumerate(operations) if o.function == "read"]
    for _ in range(10):
        wrong = list(operations)
        changed, other = rng.sample(reads, 2)
        wrong[changed] = replace(wrong[changed], value=wrong[other].value)
        found = RegisterZones(wrong, None).contradiction()
        search = RegisterSearch(wrong, None, None)
        stage = search.run()
        assert (found is None) is (stage is None)
        if found is not None and stage is not None:
            assert found.operation == search.stages[stage].operation
            assert found.invoked == search.stages[stage].invoked
