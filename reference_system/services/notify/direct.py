"""Fire and forget: a notice is paged once, by one channel, and is kept in the memory of this process only."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from reference_system.services.notify.channels import CHANNELS, Outcome, page
from reference_system.services.notify.ground import Ground, Notice, Status

Spawn = Callable[[Coroutine[Any, Any, Any]], Any]


class Direct:
    """The notices of notify in a design without a queue."""

    def __init__(self, ground: Ground, spawn: Spawn) -> None:
        self._ground = ground
        self._spawn = spawn
        self._notices: dict[str, Notice] = {}

    async def accept(self, notice: Notice) -> bool:
        """Page it behind the answer; False for a notice that is known."""
        new = notice.id not in self._notices
        if new:
            self.send(notice)
        return new

    def send(self, notice: Notice) -> None:
        """Page it, whether it is known or not."""
        kept = self._notices.setdefault(notice.id, notice)
        self._spawn(self._page(kept))

    async def _page(self, notice: Notice) -> None:
        if await page(self._ground, CHANNELS["on-call"][0], notice.id, "on-call") is Outcome.DELIVERED:
            notice.status = "told" if notice.status == "queued" else notice.status

    async def acknowledge(self, id_: str) -> Status | None:
        """The state after it; None for an unknown notice."""
        notice = self._notices.get(id_)
        if notice is None:
            return None
        if notice.status == "told":
            notice.status = "acknowledged"
        return notice.status

    async def find(self, id_: str) -> Notice | None:
        return self._notices.get(id_)

    async def all(self) -> list[Notice]:
        return list(self._notices.values())

    def clear(self) -> None:
        self._notices.clear()
