"""The search behind `measurement.linearizability`, for one register, in the graph of
`measurement.register_graph`.

The first try is a plain depth-first search, which finds an order quickly where one exists. When it grows,
the same graph is built without counting what is spent: that relaxation is small, a history it cannot explain
is not linearizable, and otherwise it tells the exact search which configurations are dead ends.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from contextlib import suppress

from measurement.register_graph import Operation, Point, RegisterGraph, Stage

BUDGETS = ((20_000, 60_000), (200_000, 600_000), (None, None))  # of the exact and the relaxed search


class OutOfTimeError(Exception):
    """The monotonic limit passed before the search ended."""


class OutOfBudgetError(Exception):
    """One try took more configurations than it was given."""


class RegisterSearch:
    """Is there an order of `operations`, at least one of which completed, that a register could show?"""

    def __init__(self, operations: Sequence[Operation], initial: Hashable, limit: float | None) -> None:
        self._graph = RegisterGraph(operations, initial)
        self._limit = limit
        self.configurations = 0
        self._tried = 0
        self.minimal = True
        self._seen: dict[tuple[int, int, int], list[int]] = {}
        self._ends: set[tuple[int, int]] = set()

    @property
    def stages(self) -> Sequence[Stage]:
        return self._graph.stages

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
        graph, guard, lateness = self._graph, self._graph.guard, len(self.stages) - 1
        stack = [(graph.start, 0)]
        while stack:
            point, spent = stack.pop()
            at, value, mask, last = point = graph.settle(point, goal)
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
            stack.extend(graph.moves(point, spent))
        return False

    def _relaxed(self, goal: int, budget: int | None = None) -> tuple[int, set[Point]]:
        """The deepest stage reached when nothing is ever spent, and the points that lead there."""
        self._tried = self.configurations
        graph = self._graph
        start = graph.settle(graph.start, goal)
        before: dict[Point, list[Point]] = {start: []}
        frontier, deepest = [start], start[0]
        while frontier:
            point = frontier.pop()
            if point[0] == goal:
                continue
            self._tick(budget)
            for move, _ in graph.moves(point, None):
                following = graph.settle(move, goal)
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

    def held_at(self, stage: int) -> list[Hashable]:
        """Values that the register could have held before `stage`, after a run that ended there."""
        held = {value for at, value, _ in self._seen if at == stage}
        held |= {value for at, value in self._ends if at == stage}
        return [self._graph.values[value] for value in sorted(held)]
