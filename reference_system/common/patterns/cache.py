"""T7: answers of a callee kept for the time it does not answer: bounded in number and in age, always
labelled."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

V = TypeVar("V")


class AgedCache(Generic[V]):
    """The last known values by key. `get` gives value and age in seconds, or None when absent or too old."""

    def __init__(
        self, max_age: float | None, size: int = 50_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.max_age = max_age
        self._size = size
        self._clock = clock
        self._held: OrderedDict[str, tuple[float, V]] = OrderedDict()

    def put(self, key: str, value: V) -> None:
        if self.max_age is None:
            return
        self._held[key] = (self._clock(), value)
        self._held.move_to_end(key)
        if len(self._held) > self._size:
            self._held.popitem(last=False)

    def get(self, key: str) -> tuple[V, float] | None:
        held = self._held.get(key)
        if held is None or self.max_age is None:
            return None
        age = self._clock() - held[0]
        return (held[1], age) if age <= self.max_age else None

    def clear(self) -> None:
        self._held.clear()
