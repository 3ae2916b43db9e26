"""The register check against hand-written histories, a brute-force checker and generated registers."""

from __future__ import annotations

import random
from collections.abc import Hashable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from measurement.linearizability import Function, KeyVerdict, RegisterOperation, Witness, check_register
from measurement.register_search import RegisterSearch
from tests.measurement.registers import brute_force, op, register_history, up_to


def judge(*operations: RegisterOperation, initial: Hashable = None) -> bool | None:
    return check_register(operations, initial).linearizable


def test_a_read_of_the_last_write_is_linearizable() -> None:
    """A write and a later read of its value have the obvious order."""
    assert judge(op(0, "write", 1, 0, 1), op(1, "read", 1, 2, 3)) is True


def test_a_value_that_nobody_wrote_is_told_without_a_search() -> None:
    """However many writes overlap; a write that came later does not count, the initial value does."""
    writes = [op(process, "write", process, 0, 1000 + process) for process in range(200)]
    verdict = check_register([*writes, op(300, "read", 999, 10, 11), op(301, "write", 999, 12, 13)])
    failure = verdict.first_failure
    assert failure is not None and failure.witness is not None
    assert failure.configurations == 0
    assert failure.reason == "nobody had written what it saw"
    assert failure.witness.prefix_operations == 201
    assert judge(op(0, "cas", (5, 6), 0, 1)) is False
    assert judge(op(0, "cas", (5, 6), 0, 1), initial=5) is True
    assert judge(op(0, "write", 1, 0, 1), op(1, "read", True, 2, 3)) is False


def test_a_read_of_a_replaced_value_is_not() -> None:
    """A read that begins after the second write may not see the first."""
    verdict = check_register([op(0, "write", 1, 0, 1), op(0, "write", 2, 2, 3), op(1, "read", 1, 4, 5)])
    assert verdict.linearizable is False
    assert verdict.first_failure is not None
    witness = verdict.first_failure.witness
    assert witness is not None
    assert witness.operation == op(1, "read", 1, 4, 5)
    assert witness.prefix_operations == 3
    assert witness.possible_values == (2,)
    assert "read 1 by process 1 fits no order of the 3 operations" in str(witness)


def test_overlapping_operations_may_go_either_way() -> None:
    """A read that overlaps a write may see the old or the new value, but not the old after the new."""
    write = op(0, "write", 1, 0, 10)
    assert judge(write, op(1, "read", None, 1, 2)) is True
    assert judge(write, op(1, "read", 1, 1, 2)) is True
    assert judge(write, op(1, "read", 1, 1, 2), op(1, "read", None, 3, 4)) is False


def test_operations_that_touch_at_one_instant_count_as_concurrent() -> None:
    """An equal time stamp proves no order, so both orders are allowed."""
    assert judge(op(0, "write", 1, 0, 5), op(1, "read", None, 5, 6)) is True


def test_an_indeterminate_write_may_happen_at_any_later_time_or_never() -> None:
    """A timed-out write is seen late, or not at all, but it cannot come and go."""
    lost = op(0, "write", 1, 0, None)
    assert judge(lost, op(1, "read", None, 100, 101)) is True
    assert judge(lost, op(1, "read", None, 100, 101), op(1, "read", 1, 200, 201)) is True
    assert judge(lost, op(1, "read", 1, 100, 101), op(1, "read", None, 200, 201)) is False


def test_an_indeterminate_write_happens_at_most_once() -> None:
    """The value of one lost write cannot come back after another write replaced it."""
    history = [
        op(0, "write", 1, 0, None),
        op(1, "read", 1, 1, 2),
        op(1, "write", 2, 3, 4),
        op(1, "read", 1, 5, 6),
    ]
    assert judge(*history) is False
    assert judge(*history, op(2, "write", 1, 0, None)) is True


def test_compare_and_set_needs_its_expected_value() -> None:
    """Of two acknowledged compare-and-sets from one value only one can have happened."""
    assert judge(op(0, "cas", (0, 1), 0, 1), op(1, "read", 1, 2, 3), initial=0) is True
    assert judge(op(0, "cas", (0, 1), 0, 9), op(1, "cas", (0, 2), 0, 9), initial=0) is False
    assert judge(op(0, "cas", (0, 1), 0, None), op(1, "cas", (0, 2), 0, 9), initial=0) is True


def test_keys_are_registers_of_their_own_and_the_worst_wins() -> None:
    """One key's failure fails the history; a key on which nothing completed does not count."""
    good = [op(0, "write", 1, 0, 1, "a"), op(0, "read", 1, 2, 3, "a")]
    unseen = [op(1, "write", 5, 0, None, "b")]
    assert judge(*good, *unseen) is True
    assert judge(*good, op(1, "read", 1, 4, 5, "c")) is False


def test_a_history_without_completions_rules_nothing_out() -> None:
    """Its operations may all never have happened; of no operation at all nothing is known."""
    assert judge() is None
    assert judge(op(0, "write", 1, 0, None)) is True


def test_true_is_not_one() -> None:
    """JSON's true and 1 are different values although Python calls them equal."""
    assert judge(op(0, "write", 1, 0, 1), op(1, "read", True, 2, 3)) is False


def test_time_that_runs_out_makes_the_verdict_unknown() -> None:
    """A deadline that has already passed leaves a hard history undecided."""
    operations = register_history(random.Random(4), 1000, processes=20, values=5, lost=0.05)
    verdict = check_register(operations, deadline_s=0.0)
    assert verdict.linearizable is None
    assert verdict.keys[0].reason == "the time allowed ran out"


@st.composite
def histories(draw: st.DrawFn) -> list[RegisterOperation]:
    small = st.integers(0, 2)
    operations = []
    for process in range(draw(st.integers(1, 8))):
        function: Function = draw(st.sampled_from(["read", "read", "write", "write", "cas"]))
        value: Hashable = draw(st.tuples(small, small) if function == "cas" else small)
        if function == "read" and draw(st.booleans()):
            value = draw(st.sampled_from([None, 0, 1]))
        invoked = draw(st.integers(0, 10))
        length = draw(st.none() | st.integers(0, 6))
        operations.append(op(process, function, value, invoked, None if length is None else invoked + length))
    return operations


@settings(max_examples=1500, deadline=None)
@given(histories())
def test_it_agrees_with_brute_force(operations: list[RegisterOperation]) -> None:
    """On small histories the check and the search alone give the definition's answer; a prefix that is said
    to be the smallest is, and what was told without a search is one that is not linearizable."""
    if all(operation.completed is None for operation in operations):
        return
    verdict = check_register(operations)
    assert verdict.linearizable is brute_force(operations)
    assert (RegisterSearch(operations, None, None).run() is None) is verdict.linearizable
    if verdict.first_failure is not None:
        witness = verdict.first_failure.witness
        assert witness is not None
        assert witness.minimal or not verdict.first_failure.configurations
        before, ended = up_to(operations, witness)
        if witness.minimal and [o.completed for o in ended].count(witness.operation.completed) == 1:
            assert brute_force(before)
        assert not brute_force(ended)
        assert len(ended) == witness.prefix_operations


def test_a_later_last_write_is_worth_keeping() -> None:
    """Two ways to the same state differ in how late their last write came, by one stage: the later one is the
    one that goes on. A search that takes them for the same finds no order here."""
    operations = [
        op(0, "write", 1, 2, None),
        op(1, "write", 2, 2, 7),
        op(2, "write", 0, 6, 8),
        op(3, "read", 1, 1, 6),
        op(4, "read", 2, 15, 21),
        op(5, "write", 2, 8, 9),
        op(6, "read", 2, 6, 8),
        op(7, "write", 0, 12, 13),
        op(8, "write", 2, 9, 12),
    ]
    assert brute_force(operations)
    assert RegisterSearch(operations, None, None).run() is None


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("processes", "values", "lost"), [(5, 5, 0.05), (10, 5, 0.1), (20, 5, 0.03), (10, 50, 0.1), (30, 8, 0.2)]
)
def test_a_true_register_with_lost_answers_is_linearizable(
    seed: int, processes: int, values: int, lost: float
) -> None:
    """Hundreds of operations with tens of indeterminate ones are explained."""
    operations = register_history(random.Random(seed), 400, processes=processes, values=values, lost=lost)
    assert any(operation.completed is None for operation in operations)
    assert judge(*operations) is True


@pytest.mark.parametrize("seed", range(6))
def test_a_lie_in_a_long_history_is_found(seed: int) -> None:
    """A read of a value that can no longer be there is named, however much is indeterminate before it."""
    operations = register_history(random.Random(seed), 300, processes=8, values=50, lost=0.1)
    end = max(operation.completed or operation.invoked for operation in operations)
    operations += [op(900, "write", "last", end + 1, end + 2), op(900, "read", "never", end + 3, end + 4)]
    verdict = check_register(operations)
    assert verdict.linearizable is False
    assert verdict.first_failure is not None
    assert verdict.first_failure.witness is not None
    assert verdict.first_failure.witness.operation.value == "never"


def test_a_witness_names_five_values_and_how_many_more() -> None:
    """The operation with its label, the operations up to it, and what the register could have held."""
    read = RegisterOperation(1, "read", 9, 4.0, 5.0, label="operation 7")
    witness = Witness(read, 3, (1, 2))
    assert str(witness) == (
        "read 9 by process 1 (operation 7) fits no order of the 3 operations up to its completion; "
        "the register could have held 1 or 2"
    )
    assert str(Witness(read, 1, ())).endswith("fits no order of the 1 operation up to its completion")
    assert str(replace(witness, possible_values=tuple(range(5)))).endswith("held 0 or 1 or 2 or 3 or 4")
    assert str(replace(witness, possible_values=tuple(range(7)))).endswith("3 or 4 or any of 2 more")


def test_a_verdict_says_why() -> None:
    """Witness and reason, or nothing; completed operations are those that are not in doubt."""
    key = KeyVerdict("k", None, 7, 2, 0, reason="the time allowed ran out")
    assert (key.completed, key.why) == (5, "the time allowed ran out")
    assert KeyVerdict("k", True, 7, 0, 0).why == ""
    none = check_register([])
    assert (none.linearizable, none.keys, none.first_failure) == (None, (), None)
    both = check_register(
        [
            RegisterOperation(0, "write", 1, 0.0, 1.0, key="b"),
            RegisterOperation(0, "read", 2, 2.0, 3.0, key="a"),
            RegisterOperation(0, "write", 2, 2.0, None, key="c"),
        ]
    )
    assert [(k.key, k.linearizable, k.operations, k.indeterminate) for k in both.keys] == [
        ("a", False, 1, 0),
        ("b", True, 1, 0),
        ("c", True, 1, 1),
    ]
    assert both.linearizable is False
    assert both.first_failure is both.keys[0]


def test_a_contradiction_names_who_came_before_whom() -> None:
    """A read of a value whose successor had been read already, and of the initial value after a write."""
    verdict = check_register(
        [op(0, "write", 1, 0, 1), op(0, "write", 2, 2, 3), op(1, "read", 2, 4, 5), op(1, "read", 1, 6, 7)]
    )
    assert verdict.first_failure is not None
    assert verdict.first_failure.reason.endswith("so that each value would have to come before the other")
    assert verdict.first_failure.reason.count(" had ended before ") == 2
    initial = check_register([op(0, "write", 1, 0, 1), op(1, "read", None, 2, 3)])
    assert initial.first_failure is not None
    assert initial.first_failure.reason == (
        "write 1 by process 0 had ended before read None by process 1 began, which saw the initial value"
    )


@pytest.mark.parametrize("budgets", [((20_000, 60_000), (None, None)), ((1, 60_000), (None, None))])
@pytest.mark.parametrize("bad", [1, 2, 3, 4, 7])
def test_the_search_alone_closes_in_on_the_first_read_that_fits_no_order(
    bad: int, budgets: tuple[tuple[int | None, int | None], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of eight writes, each with a read after it, the read number `bad` shows the value before: found at
    once, or stage by stage where the first budget is spent."""
    monkeypatch.setattr("measurement.register_search.BUDGETS", budgets)
    history = []
    for number in range(8):
        value = number - 1 if number == bad else number
        history += [
            op(0, "write", number, number * 10, number * 10 + 1),
            op(1, "read", value, number * 10 + 2, number * 10 + 3),
        ]
    search = RegisterSearch(history, None, None)
    stage = search.run()
    assert stage is not None
    assert history[search.stages[stage].operation] == history[2 * bad + 1]
    assert (search.held_at(stage), search.minimal) == ([bad], True)
