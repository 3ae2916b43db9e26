"""Is a register's history linearizable? Yes, no, or not known within the time allowed.

The search is that of Wing and Gong (1993) with Lowe's memoisation ("Testing for linearizability",
2017), partitioned by key (Herlihy and Wing 1990, locality), and just in time: an operation takes effect
only when some completion forces it to. Two properties of a register keep the search small:

- a completed read whose value stands in the register takes effect at once: it can only help;
- indeterminate operations stay open for ever, so two with the same arguments are interchangeable, and a
  configuration that has spent fewer of them covers every one that has spent more.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from experiment.units import noun
from measurement.register_search import OutOfTimeError, RegisterSearch

Function = Literal["read", "write", "cas"]


@dataclass(frozen=True, slots=True)
class RegisterOperation:
    """One operation on one register.

    `value`: what was read, what was written, or `(expected, new)` of a compare-and-set.
    `completed` is None when the outcome is indeterminate: it may take effect at any time after
    `invoked`, or never. Operations that certainly did not happen are left out of a history.
    `label` is carried into the evidence (an operation id, or the line of a file).
    """

    process: int | str
    function: Function
    value: Hashable
    invoked: float
    completed: float | None
    key: str | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Witness:
    """A completion that no order of the operations before it explains.

    The operations invoked up to it are a prefix that is not linearizable, the smallest one when `minimal`;
    `possible_values` are values that the register could have held just before.
    """

    operation: RegisterOperation
    prefix_operations: int
    possible_values: tuple[Hashable, ...]
    minimal: bool = True

    def __str__(self) -> str:
        values = " or ".join(repr(value) for value in self.possible_values)
        label = f" ({self.operation.label})" if self.operation.label else ""
        held = f"; the register could have held {values}" if values else ""
        return (
            f"{self.operation.function} {self.operation.value!r} by process {self.operation.process}{label} "
            f"fits no order of the {noun(self.prefix_operations, 'operation')} up to its completion{held}"
        )


@dataclass(frozen=True, slots=True)
class KeyVerdict:
    """The verdict on one register; `configurations` counts the search's steps."""

    key: str | None
    linearizable: bool | None
    operations: int
    indeterminate: int
    configurations: int
    witness: Witness | None = None
    reason: str = ""

    @property
    def completed(self) -> int:
        return self.operations - self.indeterminate


@dataclass(frozen=True, slots=True)
class RegisterVerdict:
    """The verdict on all registers of a history: the worst wins.

    A register on which nothing completed is linearizable, since no order is ruled out; of no register at all
    nothing is known.
    """

    linearizable: bool | None
    keys: tuple[KeyVerdict, ...]
    elapsed_s: float

    @property
    def first_failure(self) -> KeyVerdict | None:
        return next((key for key in self.keys if key.linearizable is False), None)


def check_register(
    operations: Iterable[RegisterOperation],
    initial: Hashable = None,
    deadline_s: float | None = None,
) -> RegisterVerdict:
    """Judge every key's register on its own. `deadline_s` bounds the whole check; what it cuts is unknown."""
    started = time.monotonic()
    limit = None if deadline_s is None else started + deadline_s
    by_key: dict[str | None, list[RegisterOperation]] = defaultdict(list)
    for operation in operations:
        by_key[operation.key].append(operation)
    verdicts = [
        _check_key(key, own, initial, limit)
        for key, own in sorted(by_key.items(), key=lambda item: (len(item[1]), str(item[0])))
    ]
    verdicts.sort(key=lambda verdict: str(verdict.key))
    results = {verdict.linearizable for verdict in verdicts}
    worst: bool | None = True if results == {True} else None
    if False in results:
        worst = False
    return RegisterVerdict(worst, tuple(verdicts), time.monotonic() - started)


def _check_key(
    key: str | None, operations: Sequence[RegisterOperation], initial: Hashable, limit: float | None
) -> KeyVerdict:
    indeterminate = sum(operation.completed is None for operation in operations)
    if indeterminate == len(operations):
        reason = "no operation completed, so that no order is ruled out"
        return KeyVerdict(key, True, len(operations), indeterminate, 0, reason=reason)
    unwritten = _unwritten(operations, initial)
    if unwritten is not None:
        reason = "nobody had written what it saw"
        return KeyVerdict(key, False, len(operations), indeterminate, 0, unwritten, reason)
    search = RegisterSearch(operations, initial, limit)
    try:
        stage = search.run()
    except OutOfTimeError:
        reason = "the time allowed ran out"
        return KeyVerdict(key, None, len(operations), indeterminate, search.configurations, reason=reason)
    witness = None
    if stage is not None:
        failed = search.stages[stage]
        held = tuple(search.held_at(stage))
        witness = Witness(operations[failed.operation], failed.invoked, held, search.minimal)
    return KeyVerdict(key, stage is None, len(operations), indeterminate, search.configurations, witness)


def _unwritten(operations: Sequence[RegisterOperation], initial: Hashable) -> Witness | None:
    """The first completion that saw a value which no operation invoked before it could have left there.

    Told without a search, which such a value would send through every order.
    """
    # At one instant invocations sort first, as in the search.
    marks = [(operation.invoked, False, number) for number, operation in enumerate(operations)]
    marks += [(o.completed, True, number) for number, o in enumerate(operations) if o.completed is not None]
    held = {_identity(initial)}
    invoked = 0
    for _, completes, number in sorted(marks):
        function, value = operations[number].function, operations[number].value
        before, after = cast(tuple[Hashable, Hashable], value) if function == "cas" else (value, value)
        if not completes:
            invoked += 1
            if function != "read":
                held.add(_identity(after))
        elif function != "write" and _identity(before) not in held:
            return Witness(operations[number], invoked, (), minimal=False)
    return None


def _identity(value: Hashable) -> tuple[bool, Hashable]:
    return isinstance(value, bool), value  # JSON's true is not its 1
