"""Writing in groups: what arrives within a short time goes into one statement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulation.engine.clock import Clock
from simulation.engine.tasks import Future, ModelError, Work, sleep


class Group:
    """Writes what arrives within `linger` in one statement; every member waits for it.

    `spawn` begins work of the process that the group lives in.
    """

    def __init__(
        self,
        clock: Clock,
        spawn: Callable[[Work[Any]], object],
        write: Callable[[list[Any]], Work[list[Any]]],
        linger: Callable[[], float],
    ) -> None:
        self._clock, self._spawn, self._write, self._linger = clock, spawn, write, linger
        self._waiting: list[tuple[Any, Future]] = []
        self._running = False

    def add(self, item: Any) -> Work[Any]:
        future = Future()
        self._waiting.append((item, future))
        if not self._running:
            self._running = True
            self._spawn(self._drain())
        result = yield future
        return result

    def _drain(self) -> Work[None]:
        while self._waiting:
            yield sleep(self._clock, self._linger())
            batch, self._waiting = self._waiting, []
            try:
                results = yield from self._write([item for item, _ in batch])
            except ModelError as error:
                for _, future in batch:
                    future.reject(error)
                continue
            for (_, future), result in zip(batch, results, strict=True):
                future.resolve(result)
        self._running = False
