"""A notice is on record before anybody is told, and stays there until somebody was.

Each person's page is a row: due at once for the one on call, due later for the second, unless the first has
acknowledged by then. A page of unknown outcome is asked for again at the same channel with the same key; only
a channel that certainly refused it lets another one be tried. So nobody is told the same thing twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, cast

from reference_system.common.patterns.consumer import FRESH
from reference_system.common.patterns.schedule import Schedule
from reference_system.services.notify import statements
from reference_system.services.notify.channels import CHANNELS, Outcome, Person, page
from reference_system.services.notify.direct import Spawn
from reference_system.services.notify.ground import Ground, Notice, Status

LOOK_EVERY_S = 0.1  # for pages that are due
AGAIN_S = 0.5  # a page that no channel took, or of which nobody knows, is due again
AT_ONCE = 32  # pages on their way


class Queue:
    """The notices of notify in a design with a queue."""

    def __init__(self, ground: Ground, spawn: Spawn) -> None:
        self._ground = ground
        self._spawn = spawn
        self._schedule = Schedule(self._deliver, lambda: True, AT_ONCE)

    async def accept(self, notice: Notice) -> bool:
        """On record when this returns; False for a notice that is known. Raises StoreUnavailable."""
        return bool(await self.keep([notice.id], [notice], dedupe=False))

    async def keep(self, sources: Sequence[str], notices: Sequence[Notice], *, dedupe: bool) -> int:
        """Put the notices of these sources on record, those of known sources left out; how many are new.
        Raises StoreUnavailable."""
        after, scale = self._ground.switches.escalation, self._ground.clock_scale
        fresh = f"WITH {FRESH}" if dedupe else "WITH fresh AS (SELECT unnest($1::text[]) AS id)"
        rows = await self._ground.store.rows(
            fresh + statements.KEEP,
            list(sources),
            [notice.id for notice in notices],
            [notice.patient for notice in notices],
            [notice.report for notice in notices],
            [notice.at for notice in notices],
            None if after is None else after / scale,
        )
        for row in rows:
            self._schedule.put(f"{row['id']}/on-call", row["at"])
            if after is not None:
                self._schedule.put(f"{row['id']}/second", row["at"] + after / scale)
        await self._schedule.look(self._spawn)
        return len(rows)

    async def _deliver(self, key: str) -> None:
        """Page one person, by the channel that may have the page already, else by the first that takes it."""
        notice, _, name = key.rpartition("/")
        person, store = cast(Person, name), self._ground.store
        row = await store.row(statements.ONE_OPEN, notice, person)
        if row is None:
            return  # delivered, or acknowledged before it was due
        uncertain = row["status"] == "sending"
        for channel in (row["channel"],) if uncertain else CHANNELS[person]:
            if await store.row(statements.BEGIN, notice, person, channel) is None:
                return
            outcome = await page(self._ground, channel, notice, person)
            if outcome is Outcome.DELIVERED:
                return await store.run(statements.DELIVERED, notice, person)
            if outcome is Outcome.UNKNOWN:
                uncertain = True
                break
        if not uncertain:
            await store.run(statements.REFUSED, notice, person)
        self._schedule.put(key, time.time() + AGAIN_S)

    async def work(self) -> None:
        """Looks for what is due for as long as the process lives."""
        while True:
            await self._ground.of_run(lambda: self._schedule.look(self._spawn))
            await asyncio.sleep(LOOK_EVERY_S)

    async def resume(self) -> None:
        """After a crash: what is on record as open is due again, under the same keys."""
        self._schedule.clear()
        for row in await self._ground.store.rows(statements.OPEN):
            self._schedule.put(f"{row['notice']}/{row['person']}", float(row["due_at"]))

    async def acknowledge(self, id_: str) -> Status | None:
        """The state after it; None for an unknown notice. Raises StoreUnavailable."""
        row = await self._ground.store.row(statements.ACKNOWLEDGE, id_)
        if row is None:
            return None
        status: Status = row["status"]
        if status == "acknowledged":
            for person in CHANNELS:
                self._schedule.drop(f"{id_}/{person}")
        return status

    async def find(self, id_: str) -> Notice | None:
        row = await self._ground.store.row("SELECT * FROM notice WHERE id = $1", id_)
        return None if row is None else _notice(row)

    async def all(self) -> list[Notice]:
        return [_notice(row) for row in await self._ground.store.rows("SELECT * FROM notice ORDER BY at")]

    async def backlog(self) -> dict[str, int]:
        row = await self._ground.store.row(statements.BACKLOG, time.time())
        assert row is not None  # two counts are one row
        return {"notices_untold": int(row["untold"]), "pages_due": int(row["due"])}

    def clear(self) -> None:
        self._schedule.clear()


def _notice(row: Any) -> Notice:
    return Notice(row["id"], row["patient"], row["report"], row["at"], row["status"])
