"""Is a register's history linearizable? Yes, no, or not known within the time allowed.

Where every value has one writer, `measurement.register_zones` decides at once, whatever the time allowed;
elsewhere it finds contradictions. What it leaves open is searched for an order.

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
from typing import Literal

from experiment.units import noun
from measurement.register_search import OutOfTimeError, RegisterSearch
from measurement.register_zones import RegisterZones

Function = Literal["read", "write", "cas"]
SHOWN = 5  # possible values of a witness in words


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

    def __str__(self) -> str:
        label = f" ({self.label})" if self.label else ""
        return f"{self.function} {self.value!r} by process {self.process}{label}"


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
        values = [repr(value) for value in self.possible_values[:SHOWN]]
        if len(self.possible_values) > SHOWN:
            values.append(f"any of {len(self.possible_values) - SHOWN} more")
        held = f"; the register could have held {' or '.join(values)}" if values else ""
        return (
            f"{self.operation} fits no order of the {noun(self.prefix_operations, 'operation')} "
            f"up to its completion{held}"
        )


@dataclass(frozen=True, slots=True)
class KeyVerdict:
    """The verdict on one register; `configurations` counts the search's steps, 0 where it was not needed."""

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

    @property
    def why(self) -> str:
        """What stands behind the verdict, in words; empty for a register with an order that was found."""
        return "; ".join(str(part) for part in (self.witness, self.reason) if part)


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
    zones = RegisterZones(operations, initial)
    found = zones.contradiction()
    if found is not None:
        witness = Witness(operations[found.operation], found.invoked, found.held, zones.exact)
        reason = _contradicting(operations, found.orders)
        return KeyVerdict(key, False, len(operations), indeterminate, 0, witness, reason)
    if zones.exact:
        return KeyVerdict(key, True, len(operations), indeterminate, 0)
    search = RegisterSearch(operations, initial, limit)
    try:
        stage = search.run()
    except OutOfTimeError:
        reason = "the time allowed ran out"
        return KeyVerdict(key, None, len(operations), indeterminate, search.configurations, reason=reason)
    if stage is None:
        return KeyVerdict(key, True, len(operations), indeterminate, search.configurations)
    failed, held = search.stages[stage], tuple(search.held_at(stage))
    witness = Witness(operations[failed.operation], failed.invoked, held, search.minimal)
    return KeyVerdict(key, False, len(operations), indeterminate, search.configurations, witness)


def _contradicting(operations: Sequence[RegisterOperation], orders: Sequence[tuple[int, int]]) -> str:
    """In words; `orders` as in `register_zones.Contradiction`."""
    if not orders:
        return "nobody had written what it saw"
    pairs = [f"{operations[one]} had ended before {operations[other]} began" for one, other in orders]
    if len(pairs) == 1:
        return f"{pairs[0]}, which saw the initial value"
    return f"{' and '.join(pairs)}, so that each value would have to come before the other"
