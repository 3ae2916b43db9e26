"""Telemedicine sessions: opened, joined, ended. In the memory of the process they end with it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from reference_system.common import fhir
from reference_system.services.notify import statements
from reference_system.services.notify.ground import Ground


@dataclass(slots=True)
class Session:
    """A consultation at a distance; participants are references, such as Practitioner/prac-1."""

    id: str
    patient: str
    at: float
    status: str = "open"
    participants: list[str] = field(default_factory=list)

    def body(self) -> dict[str, Any]:
        """What its users are shown."""
        return {"id": self.id, "status": self.status, "participants": self.participants}


class Sessions:
    """The sessions of notify, where its design keeps them."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._memory: dict[str, Session] = {}

    @property
    def _durable(self) -> bool:
        return self._ground.switches.session_store == "database"

    async def open(self, id_: str, patient: str) -> bool:
        """False for a session that is known. Raises StoreUnavailable."""
        at = time.time()
        if self._durable:
            return await self._ground.store.row(statements.OPEN_SESSION, id_, patient, at) is not None
        new = id_ not in self._memory
        if new:
            self._memory[id_] = Session(id_, patient, at)
        return new

    async def join(self, id_: str, participant: str) -> Session:
        """Joining twice is joining once. Raises fhir.Refused 404 and 409, StoreUnavailable."""
        if self._durable:
            await self._ground.store.run(statements.JOIN_SESSION, id_, participant)
        session = await self.find(id_)
        if not self._durable and session.status == "open" and participant not in session.participants:
            session.participants.append(participant)
        if participant not in session.participants:
            raise fhir.Refused(409, f"session {id_} is {session.status}")
        return session

    async def end(self, id_: str) -> Session:
        """Ending twice is ending once. Raises fhir.Refused 404, StoreUnavailable."""
        if self._durable:
            await self._ground.store.run(statements.END_SESSION, id_)
        elif id_ in self._memory:
            self._memory[id_].status = "ended"
        return await self.find(id_)

    async def find(self, id_: str) -> Session:
        """Raises fhir.Refused 404, StoreUnavailable."""
        if self._durable:
            row = await self._ground.store.row("SELECT * FROM session WHERE id = $1", id_)
            found = None if row is None else _session(row)
        else:
            found = self._memory.get(id_)
        if found is None:
            raise fhir.Refused(404, f"session {id_} is not known")
        return found

    async def all(self) -> list[Session]:
        if not self._durable:
            return list(self._memory.values())
        rows = await self._ground.store.rows("SELECT * FROM session ORDER BY at")
        return [_session(row) for row in rows]

    def clear(self) -> None:
        self._memory.clear()


def _session(row: Any) -> Session:
    return Session(row["id"], row["patient"], row["at"], row["status"], list(row["participants"]))
