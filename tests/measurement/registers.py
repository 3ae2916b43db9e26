"""Register histories for tests: one operation in short, the definition by brute force, a true register."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from measurement.linearizability import Function, RegisterOperation, Witness


def op(
    process: int,
    function: Function,
    value: Hashable,
    invoked: float,
    completed: float | None,
    key: str | None = None,
) -> RegisterOperation:
    return RegisterOperation(process, function, value, invoked, completed, key)


def brute_force(operations: Sequence[RegisterOperation], initial: Hashable = None) -> bool:
    """Try every order: the definition, with nothing clever about it."""

    def explain(left: frozenset[int], value: Hashable) -> bool:
        if all(operations[i].completed is None for i in left):
            return True
        ends = [c for i in left if (c := operations[i].completed) is not None]
        for i in left:
            one = operations[i]
            if one.invoked > min(ends):
                continue
            after = value
            if one.function == "write":
                after = one.value
            elif one.function == "cas":
                assert isinstance(one.value, tuple)
                if one.value[0] != value:
                    continue
                after = one.value[1]
            elif one.completed is not None and one.value != value:
                continue
            if explain(left - {i}, after):
                return True
        return False

    return explain(frozenset(range(len(operations))), initial)


def up_to(
    operations: Sequence[RegisterOperation], witness: Witness
) -> tuple[list[RegisterOperation], list[RegisterOperation]]:
    """The prefix that ends just before the witness's completion, and the one that ends with it."""
    end = witness.operation.completed
    assert end is not None
    started = [o for o in operations if o.invoked <= end]

    def open_from(place: float, o: RegisterOperation) -> RegisterOperation:
        return replace(o, completed=None if o.completed is None or o.completed >= place else o.completed)

    before = [open_from(end, o) for o in started]
    ended = [open_from(math.nextafter(end, math.inf), o) for o in started]
    return before, ended


@dataclass
class Call:
    process: int
    function: Function
    value: Hashable
    change: tuple[int, int]
    invoked: float
    lost: bool
    completed: float | None = None
    applied: bool = True


def register_history(
    rng: random.Random, size: int, *, processes: int, values: int | None, lost: float
) -> list[RegisterOperation]:
    """The history of a true register whose clients lose some answers; such operations may happen late.

    Without a number of `values` nothing is compared and set, and every write has a value of its own.
    """
    heap: list[tuple[float, int, str, Call | None]] = []
    for process in range(processes):
        heapq.heappush(heap, (rng.random(), process, "invoke", None))
    history: list[Call] = []
    register: Hashable = None
    serial = processes
    while heap:
        now, process, what, call = heapq.heappop(heap)
        if call is None:
            if len(history) == size:
                continue
            function: Function = rng.choices(["read", "cas", "write"], [4, 3 if values else 0, 3])[0]  # type: ignore[assignment]
            change = (rng.randrange(values), rng.randrange(values)) if values else (0, len(history))
            value: Hashable = change if function == "cas" else change[1]
            call = Call(process, function, value, change, now, function != "read" and rng.random() < lost)
            history.append(call)
            if call.lost:
                heapq.heappush(heap, (now + 1, serial, "invoke", None))
                serial += 1
            if not call.lost or rng.random() < 0.5:
                delay = rng.random() * (50 if call.lost else 1)
                heapq.heappush(heap, (now + delay, process, "effect", call))
        elif what == "effect":
            if call.function == "read":
                call.value = register
            elif call.function == "write":
                register = call.value
            else:
                call.applied = call.lost or register == call.change[0]
                register = call.change[1] if register == call.change[0] else register
            if not call.lost:
                heapq.heappush(heap, (now + rng.random(), process, "complete", call))
        else:
            call.completed = now
            heapq.heappush(heap, (now + rng.random() * 0.3, process, "invoke", None))
    return [
        op(call.process, call.function, call.value, call.invoked, call.completed)
        for call in history
        if call.applied and (call.lost or call.completed is not None)
    ]
