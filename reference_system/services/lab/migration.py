"""The change of the observations' columns, while reports are written and read: four columns are renamed and
the old names go.

In place, as it is often done, one transaction renames them: whoever knows the old names fails from then on.
By expand and contract the new columns are added, written beside the old ones and filled in small batches;
the old ones go when nothing reads or writes them any more. Taking it back is the same the other way round.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import asyncpg

from reference_system.common.store import Store
from reference_system.services.lab.statements import NEW, OLD, Columns

TYPES = ("text", "float8", "text", "text")
BATCH = 200
PAUSE_S = 0.02  # between batches: the users' statements go first
LOCK_WITHIN_MS = 200  # for a moment alone with the table; else the users would wait behind us
AGAIN_S = 0.05

COLUMNS = """
    SELECT attname AS name FROM pg_attribute
    WHERE attrelid = 'observation'::regclass AND attnum > 0 AND NOT attisdropped
"""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns of observations are read, and which are written."""

    reads: Columns
    writes: tuple[Columns, ...]


BEFORE, AFTER = Layout(OLD, (OLD,)), Layout(NEW, (NEW,))


class Migration:
    """The table of observations on its way between its two layouts; one step at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = asyncio.Lock()
        self.layout = BEFORE

    async def look(self) -> tuple[bool, bool]:
        """Whether the table has any old column, and any new one, as the database says."""
        names = {row["name"] for row in await self._store.rows(COLUMNS)}
        return not names.isdisjoint(OLD), not names.isdisjoint(NEW)

    async def opened(self) -> None:
        """A process that begins takes the table as it is; half-way it goes back."""
        old, new = await self.look()
        self.layout = AFTER if not old else BEFORE
        if old and new:
            await self.to(OLD, in_place=False)

    async def to(self, target: Columns, *, in_place: bool) -> None:
        """Bring the table to these columns. Raises StoreUnavailable."""
        async with self._lock:
            source = NEW if target is OLD else OLD
            old, new = await self.look()
            if not (new if source is NEW else old):
                return
            if in_place and old != new:
                await self._rename(source, target)
            else:
                await self._expand_and_contract(source, target)

    async def _rename(self, source: Columns, target: Columns) -> None:
        renames = "; ".join(
            f"ALTER TABLE observation RENAME COLUMN {one} TO {other}"
            for one, other in zip(source, target, strict=True)
        )
        await self._store.run(f"BEGIN; {renames}; COMMIT")
        self.layout = Layout(target, (target,))

    async def _expand_and_contract(self, source: Columns, target: Columns) -> None:
        added = ", ".join(
            f"ADD COLUMN IF NOT EXISTS {name} {kind}" for name, kind in zip(target, TYPES, strict=True)
        )
        await self._alone(f"ALTER TABLE observation {added}")
        self.layout = Layout(source, (source, target))
        copied = ", ".join(f"{new} = {old}" for old, new in zip(source, target, strict=True))
        missing = f"{target[0]} IS NULL AND {source[0]} IS NOT NULL"
        some = f"SELECT report, seq FROM observation WHERE {missing} LIMIT {BATCH}"
        while await self._store.rows(
            f"UPDATE observation SET {copied} WHERE (report, seq) IN ({some}) RETURNING seq"
        ):
            await asyncio.sleep(PAUSE_S)
        # A statement that was on its way when the layout changed may have written the old columns alone.
        dropped = ", ".join(f"DROP COLUMN {name}" for name in source)
        self.layout = Layout(target, (source, target))
        await self._alone(
            f"LOCK TABLE observation; UPDATE observation SET {copied} WHERE {missing}; "
            f"ALTER TABLE observation {dropped}"
        )
        self.layout = Layout(target, (target,))

    async def _alone(self, statements: str) -> None:
        """Run them in one transaction that holds the table for itself, once nobody else does."""
        while True:
            try:
                await self._store.run(
                    f"BEGIN; SET LOCAL lock_timeout = {LOCK_WITHIN_MS}; {statements}; COMMIT"
                )
                return
            except asyncpg.LockNotAvailableError:
                await asyncio.sleep(AGAIN_S)
