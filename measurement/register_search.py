"""The search behind `measurement.linearizability`, for one register.

A configuration is a point (stage, value, mask, last) and what it has spent: which completion comes next,
what the register holds, which pending operations have taken effect (a bit each), at which stage a write
last took effect, and how many indeterminate operations of each kind have been spent (packed counts).

A write that nobody saw before the next one replaced it may be placed just before that next one. So a write
takes effect early only where it is seen, and at its own completion it either takes effect then or was
replaced at once by the last write, if it was pending at that stage.

The first try is a plain depth-first search, which finds an order quickly where one exists. When it grows,
the same graph is built without counting what is spent: that relaxation is small, a history it cannot explain
is not linearizable, and otherwise it tells the exact search which configurations are dead ends.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, cast

BUDGETS = ((20_000, 60_000), (200_000, 600_000), (None, None))  # of the exact and the relaxed search

Change = tuple[int | None, int]  # (expected value or None for any, new value)
Point = tuple[int, int, int, int]  # (stage, value, mask, stage of the last write's effect or -1)


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


class OutOfTimeError(Exception):
    """The monotonic limit passed before the search ended."""


class OutOfBudgetError(Exception):
    """One try took more configurations than it was given."""


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


class RegisterSearch:
    """Is there an order of `operations`, at least one of which completed, that a register could show?"""

    def __init__(self, operations: Sequence[Operation], initial: Hashable, limit: float | None) -> None:
        self._codes: dict[tuple[bool, Hashable], int] = {}
        self.values: list[Hashable] = []
        self._initial = self._code(initial)
        self._classes: dict[Change, int] = {}
        self._width = len(operations).bit_length() + 1
        self._limit = limit
        self.stages = self._build(operations)
        self._class_list = [(expected, new, index) for (expected, new), index in self._classes.items()]
        self._guard = sum(1 << (self._width * (i + 1) - 1) for i in range(len(self._class_list) + 1))
        self.configurations = 0
        self._tried = 0
        self.minimal = True
        self._seen: dict[tuple[int, int, int], list[int]] = {}
        self._ends: set[tuple[int, int]] = set()

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

    def run(self) -> int | None:
        """None when an order exists, else the number of the first stage that no order passes.

        Raises OutOfTimeError. A stage found while time ran out is one that no order passes, but perhaps
        not the first: `minimal` is False then.
        """
        last = len(self.stages)
        for exact_budget, relaxed_budget in BUDGETS:
            with suppress(OutOfBudgetError):
                if self._exact(last, None, exact_budget):
                    return None
                return max(point[0] for point in self._seen)
            with suppress(OutOfBudgetError):
                deepest, alive = self._relaxed(last, relaxed_budget)
                if deepest == last and self._exact(last, alive):
                    return None
                return self._first_impassable(last if deepest == last else deepest + 1)
        raise AssertionError("the last budget has no bound")

    def _first_impassable(self, bad: int) -> int:
        """Close in on the first stage that no order passes; stage `bad` is known to be out of reach."""
        good, middle = 0, bad - 1
        try:
            while bad - good > 1:
                if self._exact(middle, self._relaxed(middle)[1]):
                    good = middle
                else:
                    bad = middle
                middle = (good + bad) // 2
        except OutOfTimeError:
            self.minimal = False
        return bad - 1

    def _settle(self, point: Point, goal: int) -> Point:
        """Pass every completion whose operation has taken effect; reads that see `value` do so at once."""
        at, value, mask, last = point
        while mask & self.stages[at].bit:
            mask &= ~self.stages[at].bit
            at += 1
            if at == goal:
                return at, value, 0, last
            mask |= self.stages[at].reads.get(value, 0)
        return at, value, mask, last

    @property
    def _start(self) -> Point:
        return 0, self._initial, self.stages[0].reads.get(self._initial, 0), -1

    def _tick(self, budget: int | None) -> None:
        """Count a configuration. Raises OutOfBudgetError and OutOfTimeError."""
        self.configurations += 1
        if budget is not None and self.configurations > self._tried + budget:
            raise OutOfBudgetError
        if self._limit and self.configurations % 512 == 0 and time.monotonic() > self._limit:
            raise OutOfTimeError

    def _exact(self, goal: int, alive: set[Point] | None, budget: int | None = None) -> bool:
        """Depth first to stage `goal`; `alive` are the points from which it may still be reached."""
        self._tried = self.configurations
        seen: dict[tuple[int, int, int], list[int]] = {}
        self._seen = seen
        guard, lateness = self._guard, len(self.stages) - 1
        stack = [(self._start, 0)]
        while stack:
            point, spent = stack.pop()
            at, value, mask, last = point = self._settle(point, goal)
            if at == goal:
                self._ends.add((at, value))
                return True
            if alive is not None and point not in alive:
                continue
            # Field by field no guard bit is borrowed exactly when `other` spent no more anywhere; the
            # lowest field makes a late last write, which excuses more pending writes, count as cheaper.
            cost = spent | (lateness - last)
            known = seen.setdefault((at, value, mask), [])
            if any(((cost | guard) - other) & guard == guard for other in known):
                continue
            known[:] = [other for other in known if ((other | guard) - cost) & guard != guard]
            known.append(cost)
            self._tick(budget)
            stack.extend(self._moves(point, spent))
        return False

    def _relaxed(self, goal: int, budget: int | None = None) -> tuple[int, set[Point]]:
        """The deepest stage reached when nothing is ever spent, and the points that lead there."""
        self._tried = self.configurations
        start = self._settle(self._start, goal)
        before: dict[Point, list[Point]] = {start: []}
        frontier, deepest = [start], start[0]
        while frontier:
            point = frontier.pop()
            if point[0] == goal:
                continue
            self._tick(budget)
            for move, _ in self._moves(point, None):
                following = self._settle(move, goal)
                if following not in before:
                    before[following] = []
                    frontier.append(following)
                    deepest = max(deepest, following[0])
                before[following].append(point)
        ends = [point for point in before if point[0] == deepest]
        alive = set(ends)
        while ends:
            for earlier in before[ends.pop()]:
                if earlier not in alive:
                    alive.add(earlier)
                    ends.append(earlier)
        return deepest, alive

    def _moves(self, point: Point, spent: int | None) -> list[tuple[Point, int]]:
        """Every configuration one effect further, the most promising last (it is tried first)."""
        at, value, mask, last = point
        stage = self.stages[at]
        reads, forced = stage.reads, stage.bit
        useful = {read for read, bits in reads.items() if bits & ~mask}
        useful.update(e for bit, e, _ in stage.changes if e is not None and not bit & mask)
        left = [
            (expected, new, number)
            for expected, new, number in self._class_list[: stage.classes]
            if spent is None or self._field(spent, number) < self._field(stage.available, number)
        ]
        useful.update(expected for expected, new, _ in left if expected is not None and expected != new)
        moves: list[tuple[Point, int]] = []
        for expected, new, number in left:
            # An unobserved effect that is overwritten at once might as well not have happened.
            if (expected is None or expected == value) and new != value and new in useful:
                more = 0 if spent is None else spent + (1 << (self._width * number))
                moves.append(
                    ((at, new, mask | reads.get(new, 0), last if expected is not None else at), more)
                )
        moves.sort(key=lambda move: bool(move[0][2] & forced))
        spent = spent or 0
        direct: list[tuple[Point, int]] = []
        for bit, expected, new in stage.changes:
            if bit & mask:
                continue
            effected = mask | bit | reads.get(new, 0)
            if expected is not None:
                if expected == value:
                    (direct if bit == forced else moves).append(((at, new, effected, last), spent))
            elif bit == forced:
                direct.append(((at, new, effected, at), spent))
                if last >= stage.first:
                    replaced = ((at, value, mask | bit, last), spent)
                    direct.insert(0 if new in useful else 1, replaced)
            elif new in useful:
                moves.append(((at, new, effected, at), spent))
        return moves + direct

    def _field(self, packed: int, number: int) -> int:
        return (packed >> (self._width * number)) & ((1 << self._width) - 1)

    def held_at(self, stage: int) -> list[Hashable]:
        """Values that the register could have held before `stage`, after a run that ended there."""
        held = {value for at, value, _ in self._seen if at == stage}
        held |= {value for at, value in self._ends if at == stage}
        return [self.values[value] for value in sorted(held)]
