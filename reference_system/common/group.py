"""Group commit: calls that fall into the same few milliseconds share one statement."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Grouped(Generic[T, R]):
    """Gathers items for `linger` seconds, hands them to `write` together, and gives each caller its own
    result."""

    def __init__(
        self, write: Callable[[list[T]], Awaitable[Sequence[R]]], linger: float, size: int = 500
    ) -> None:
        self._write = write
        self._linger = linger
        self._size = size
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._task: asyncio.Task[None] | None = None

    async def add(self, item: T) -> R:
        """Returns when the item is written; raises what the write raised."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain())
        return await future

    async def _drain(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._linger)
            batch, self._waiting = self._waiting[: self._size], self._waiting[self._size :]
            try:
                results = await self._write([item for item, _ in batch])
            except Exception as error:  # noqa: BLE001  every caller of the group gets it
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)
