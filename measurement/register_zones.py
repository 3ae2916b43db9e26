"""What the values of one register say of its history without a search.

Where a value has one writer, every read of it names its write, and all that saw it follows that write before
another takes effect. So of two values one comes first as a whole, and it does as soon as an operation on it
ended before one on the other began. Two values that would each have to come before the other contradict, and
so does a value that was seen before its write began. When every value has one writer and nothing is compared
and set, a history without a contradiction is linearizable (Gibbons and Korach, "Testing shared memories",
SIAM Journal on Computing 26, 1997).

The zone of a value lies between the first end and the last start of its operations: forward, or backward when
they all overlap. Two values contradict exactly when their forward zones overlap, or when the backward zone of
one lies inside the forward zone of the other. More than two never contradict unless two do: in a circle, the
value that starts last and the one after it each come before the other.

What leaves out all operations on one value is still an order of the others. So where some values have several
writers, or stand in a compare-and-set, a contradiction among the others holds, but their agreement proves
nothing.
"""

from __future__ import annotations

import operator
from bisect import bisect_left
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, cast

from measurement.register_graph import Operation

START = -1  # the place of the write that left the initial value there
Identity = tuple[bool, Hashable]  # JSON's true is not its 1


class Zone(NamedTuple):
    """The first end and the last start among the operations on `value`, as places among all events."""

    first_end: int
    last_start: int
    value: Identity

    @property
    def forward(self) -> bool:
        return self.first_end < self.last_start


@dataclass(frozen=True, slots=True)
class Contradiction:
    """The completion of `operation` fits no order of the `invoked` operations that had begun by then.

    `orders`: pairs of operations of which the first had ended when the second began, and which have no order
    together; empty when nobody had written what `operation` saw. `held`: values of completed operations that
    the register could have held just before; empty when `RegisterZones.exact` is False, since it takes all.
    Operations are numbers.
    """

    operation: int
    invoked: int
    orders: tuple[tuple[int, int], ...] = ()
    held: tuple[Hashable, ...] = ()


class RegisterZones:
    """The zones of `operations` on a register that first holds `initial`.

    `exact`: a history without contradiction is linearizable, and the first contradiction ends the smallest
    prefix that is not.
    """

    def __init__(self, operations: Sequence[Operation], initial: Hashable) -> None:
        # At one instant invocations sort first, so that operations that touch count as concurrent.
        events = [(operation.invoked, False, number) for number, operation in enumerate(operations)]
        events += [(o.completed, True, n) for n, o in enumerate(operations) if o.completed is not None]
        events.sort()
        self._operation = [number for _, _, number in events]
        self._ends = [place for place, (_, completes, _) in enumerate(events) if completes]
        self._began = [0] * len(operations)
        self._seen = [_seen(operation) for operation in operations]
        left = [_left(operation) for operation in operations]
        self._initial = _identity(initial)
        self._written = {self._initial: START}  # where the first writer of a value began
        self._shared: set[Identity] = set()
        for place, (_, completes, number) in enumerate(events):
            if completes:
                continue
            self._began[number] = place
            for value in left[number]:
                if self._written.setdefault(value, place) != place:
                    self._shared.add(value)
        self._values = [
            [value for value in values if value not in self._shared]
            for values in map(operator.add, self._seen, left)
        ]
        self.exact = not self._shared and all(operation.function != "cas" for operation in operations)

    def contradiction(self) -> Contradiction | None:
        """The first one, in the order of completions; None says something only where `exact`."""
        total = len(self._ends)
        unwritten = next((count for count in range(total) if self._is_unwritten(count)), total)
        if self._clash(unwritten) is None:
            return None if unwritten == total else self._at(unwritten)
        # A contradiction stays one, whatever comes later.
        count = bisect_left(range(unwritten), True, key=lambda before: self._clash(before + 1) is not None)
        clash = self._clash(count + 1)
        assert clash is not None
        first, second = clash
        orders = tuple(
            (self._operation[one.first_end], self._operation[other.last_start])
            for one, other in ((first, second), (second, first))
            if one.first_end != START
        )
        return self._at(count, orders, self._held(count) if self.exact else ())

    def _at(
        self, count: int, orders: tuple[tuple[int, int], ...] = (), held: tuple[Hashable, ...] = ()
    ) -> Contradiction:
        end = self._ends[count]
        return Contradiction(self._operation[end], end - count, orders, held)

    def _is_unwritten(self, count: int) -> bool:
        end = self._ends[count]
        return any(self._written.get(value, end) >= end for value in self._seen[self._operation[end]])

    def _zones(self, count: int) -> list[Zone]:
        """Those of the first `count` completions; what has not completed may never happen."""
        first_end: dict[Identity, int] = {}
        last_start: dict[Identity, int] = {}
        if self._initial not in self._shared:
            first_end[self._initial] = last_start[self._initial] = START
        for end in self._ends[:count]:
            number = self._operation[end]
            began = self._began[number]
            for value in self._values[number]:
                if value not in first_end:
                    first_end[value], last_start[value] = end, self._written[value]
                if began > last_start[value]:
                    last_start[value] = began
        return [Zone(end, last_start[value], value) for value, end in first_end.items()]

    def _clash(self, count: int) -> tuple[Zone, Zone] | None:
        """Two zones of the first `count` completions each of which would have to come before the other."""
        # Values were met in the order of their first ends.
        zones = self._zones(count)
        forward = [zone for zone in zones if zone.forward]
        for one, other in pairwise(forward):
            if other.first_end < one.last_start:
                return one, other
        begins = [zone.first_end for zone in forward]
        for zone in zones:
            if not zone.forward and (at := bisect_left(begins, zone.last_start)):
                around = forward[at - 1]
                if zone.first_end < around.last_start:
                    return around, zone
        return None

    def _held(self, count: int) -> tuple[Hashable, ...]:
        """Values of which no other one has to come after, when `count` operations have completed."""
        zones = self._zones(count)
        latest = max(zones, key=lambda zone: zone.last_start)
        rest = max((zone.last_start for zone in zones if zone is not latest), default=START)
        return tuple(
            zone.value[1]
            for zone in zones
            if zone.first_end >= (rest if zone is latest else latest.last_start)
        )


def _seen(operation: Operation) -> tuple[Identity, ...]:
    """The value that it needs in the register to complete."""
    if operation.function == "write":
        return ()
    before = (
        cast(tuple[Hashable, Hashable], operation.value)[0]
        if operation.function == "cas"
        else operation.value
    )
    return (_identity(before),)


def _left(operation: Operation) -> tuple[Identity, ...]:
    """The value that it leaves there."""
    if operation.function == "read":
        return ()
    after = (
        cast(tuple[Hashable, Hashable], operation.value)[1]
        if operation.function == "cas"
        else operation.value
    )
    return (_identity(after),)


def _identity(value: Hashable) -> Identity:
    return isinstance(value, bool), value
