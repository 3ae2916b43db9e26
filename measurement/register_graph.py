"""What may happen next to one register: the graph that `measurement.register_search` walks.

A configuration is a point (stage, value, mask, last) and what it has spent: which completion comes next,
what the register holds, which pending operations have taken effect (a bit each), at which stage a write
last took effect, and how many indeterminate operations of each kind have been spent (packed counts).

A write that nobody saw before the next one replaced it may be placed just before that next one. So a write
takes effect early only where it is seen, and at its own completion it either takes effect then or was
replaced at once by the last write, if it was pending at that stage.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

Change = tuple[int | None, int]  # (expected value or None for any, new value)
Point = tuple[int, int, int, int]  # (stage, value, mask, stage of the last write's effect or -1)
Move = tuple[Point, int]  # a point, and what has been spent on the way to it


class Operation(Protocol):
    """What the search reads of an operation; see `linearizability.RegisterOperation`."""

    @property
    def function(self) -> str: ...
    @property
    def value(self) -> Hashable: ...
    @property
    def invoked(self) -> float: ...
    @property
    def completed(self) -> float | None: ...


@dataclass(slots=True)
class Stage:
    """What is pending just before one completion. Bits name operations, integers name values."""

    operation: int
    bit: int
    first: int  # the first stage at which the operation was pending
    reads: dict[int, int]
    changes: list[tuple[int, int | None, int]]
    available: int
    classes: int
    invoked: int


class RegisterGraph:
    """The configurations of a register under `operations`, from `start`, at which it holds `initial`.

    `guard` has the topmost bit of every packed count, which no count reaches.
    """

    def __init__(self, operations: Sequence[Operation], initial: Hashable) -> None:
        self._codes: dict[tuple[bool, Hashable], int] = {}
        self.values: list[Hashable] = []
        self._initial = self._code(initial)
        self._classes: dict[Change, int] = {}
        self._width = len(operations).bit_length() + 1
        self.stages = self._build(operations)
        self._class_list = [(expected, new, index) for (expected, new), index in self._classes.items()]
        self.guard = sum(1 << (self._width * (i + 1) - 1) for i in range(len(self._class_list) + 1))

    @property
    def start(self) -> Point:
        return 0, self._initial, self.stages[0].reads.get(self._initial, 0), -1

    def _code(self, value: Hashable) -> int:
        identity = (isinstance(value, bool), value)  # JSON's true is not its 1
        if identity not in self._codes:
            self._codes[identity] = len(self.values)
            self.values.append(value)
        return self._codes[identity]

    def _change(self, operation: Operation) -> Change:
        if operation.function == "write":
            return None, self._code(operation.value)
        expected, new = cast(tuple[Hashable, Hashable], operation.value)
        return self._code(expected), self._code(new)

    def _build(self, operations: Sequence[Operation]) -> list[Stage]:
        marks: list[tuple[float, bool, int]] = []
        for index, operation in enumerate(operations):
            # At one instant invocations sort first, so that operations that touch count as concurrent.
            marks.append((operation.invoked, False, index))
            if operation.completed is not None:
                marks.append((operation.completed, True, index))
        stages: list[Stage] = []
        free: list[int] = []
        bits: dict[int, tuple[int, int]] = {}
        available = invoked = used_bits = 0
        for _, completes, index in sorted(marks):
            operation = operations[index]
            if completes:
                stages.append(self._stage(operations, index, bits, available, invoked))
                free.append(bits.pop(index)[0])
                continue
            invoked += 1
            if operation.completed is not None:
                if not free:
                    free.append(1 << used_bits)
                    used_bits += 1
                bits[index] = (free.pop(), len(stages))
            elif operation.function != "read":
                number = self._classes.setdefault(self._change(operation), len(self._classes) + 1)
                available += 1 << (self._width * number)
        return stages

    def _stage(
        self,
        operations: Sequence[Operation],
        index: int,
        bits: dict[int, tuple[int, int]],
        available: int,
        invoked: int,
    ) -> Stage:
        reads: dict[int, int] = {}
        changes: list[tuple[int, int | None, int]] = []
        for other, (bit, _) in bits.items():
            if operations[other].function == "read":
                value = self._code(operations[other].value)
                reads[value] = reads.get(value, 0) | bit
            else:
                changes.append((bit, *self._change(operations[other])))
        return Stage(index, *bits[index], reads, changes, available, len(self._classes), invoked)

    def settle(self, point: Point, goal: int) -> Point:
        """Pass every completion whose operation has taken effect; reads that see `value` do so at once."""
        at, value, mask, last = point
        while mask & self.stages[at].bit:
            mask &= ~self.stages[at].bit
            at += 1
            if at == goal:
                return at, value, 0, last
            mask |= self.stages[at].reads.get(value, 0)
        return at, value, mask, last

    def moves(self, point: Point, spent: int | None) -> list[Move]:
        """Every configuration one effect further, the most promising last. `spent` None: nothing is ever
        spent."""
        stage, mask = self.stages[point[0]], point[2]
        left = [
            (expected, new, number)
            for expected, new, number in self._class_list[: stage.classes]
            if spent is None or self._field(spent, number) < self._field(stage.available, number)
        ]
        useful = {read for read, bits in stage.reads.items() if bits & ~mask}
        useful.update(e for bit, e, _ in stage.changes if e is not None and not bit & mask)
        useful.update(expected for expected, new, _ in left if expected is not None and expected != new)
        pending = self._pending(point, spent or 0, useful)
        return self._lost(point, spent, left, useful) + pending if left else pending

    def _lost(
        self, point: Point, spent: int | None, left: list[tuple[int | None, int, int]], useful: set[int]
    ) -> list[Move]:
        """An indeterminate operation takes effect. One that nobody sees before it is overwritten might as
        well not have happened."""
        at, value, mask, last = point
        reads, forced = self.stages[at].reads, self.stages[at].bit
        moves: list[Move] = []
        for expected, new, number in left:
            if (expected is None or expected == value) and new != value and new in useful:
                more = 0 if spent is None else spent + (1 << (self._width * number))
                moves.append(
                    ((at, new, mask | reads.get(new, 0), last if expected is not None else at), more)
                )
        moves.sort(key=lambda move: bool(move[0][2] & forced))
        return moves

    def _pending(self, point: Point, spent: int, useful: set[int]) -> list[Move]:
        """An operation that will complete takes effect; last the one that completes next."""
        at, value, mask, last = point
        stage = self.stages[at]
        early: list[Move] = []
        direct: list[Move] = []
        for bit, expected, new in stage.changes:
            if bit & mask:
                continue
            effected = mask | bit | stage.reads.get(new, 0)
            if expected is not None:
                if expected == value:
                    (direct if bit == stage.bit else early).append(((at, new, effected, last), spent))
            elif bit == stage.bit:
                direct.append(((at, new, effected, at), spent))
                if last >= stage.first:
                    replaced = ((at, value, mask | bit, last), spent)
                    direct.insert(0 if new in useful else 1, replaced)
            elif new in useful:
                early.append(((at, new, effected, at), spent))
        return early + direct

    def _field(self, packed: int, number: int) -> int:
        return (packed >> (self._width * number)) & ((1 << self._width) - 1)
