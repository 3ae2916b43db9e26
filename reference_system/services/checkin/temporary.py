"""Temporary numbers: given to patients whom the registry could not be asked about, merged once it answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from uuid import uuid4

from reference_system.common.link import CallFailed, Link
from reference_system.common.logs import Log
from reference_system.common.store import Store, StoreUnavailable

LOOK_EVERY_S = 0.5  # while a patient has a temporary number
AT_ONCE = 16
MERGE = """
    UPDATE encounter SET patient_name = $2, label = NULL, merged_at = $3
    WHERE patient = $1 AND number IS NOT NULL AND merged_at IS NULL
"""


class Temporary:
    """The patients whose Encounters have temporary numbers; what a crash forgets is in the table."""

    def __init__(
        self,
        registry: Link,
        store: Store,
        log: Log,
        sealed: Callable[[str], str | None],
        known: Callable[[str, str], None],
    ) -> None:
        """`sealed` is a name as the table keeps it; `known` is told of each patient and her name."""
        self._registry = registry
        self._store = store
        self._log = log
        self._sealed = sealed
        self._known = known
        self._waiting: dict[str, None] = {}
        self._wanted = asyncio.Event()

    @staticmethod
    def number() -> str:
        """A number that no patient has."""
        return f"temporary-{uuid4().hex[:8]}"

    def add(self, patient: str) -> None:
        self._waiting[patient] = None
        self._wanted.set()

    def clear(self) -> None:
        self._waiting.clear()

    async def needed(self) -> None:
        """Returns when a patient waits and the registry may be asked again."""
        await self._wanted.wait()
        await asyncio.sleep(LOOK_EVERY_S)

    async def merge(self) -> None:
        """Ask for the patients who wait, and put their Encounters under their own records."""
        for patient in list(self._waiting)[:AT_ONCE]:
            if not self._registry.lets_through:
                return
            try:
                reply = await self._registry.call("GET", f"/fhir/Patient/{patient}")
                if reply.status not in (200, 404):
                    return
                if reply.status == 200:
                    name = name_of(reply.json())
                    await self._store.run(MERGE, patient, self._sealed(name), time.time())
                    self._known(patient, name)
            except (CallFailed, StoreUnavailable) as error:
                self._log.seldom("temporary numbers stay", why=str(error))
                return
            self._waiting.pop(patient, None)
        if not self._waiting:
            self._wanted.clear()


def name_of(patient: dict[str, object]) -> str:
    """The name in a Patient, in one line."""
    names = patient.get("name") or [{}]
    first = names[0] if isinstance(names, list) and isinstance(names[0], dict) else {}
    return " ".join([*(first.get("given") or []), first.get("family") or ""]).strip()
