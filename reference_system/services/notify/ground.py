"""What the parts of notify need of the service that they belong to, and what they speak of."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import msgspec

from reference_system.common import fhir
from reference_system.common.link import Link
from reference_system.common.logs import Log
from reference_system.common.store import Store

NOTIFICATION = "urn:codeblue:notification"

Status = Literal["queued", "told", "acknowledged"]
STATES: dict[Status, str] = {"queued": "preparation", "told": "in-progress", "acknowledged": "completed"}


class Switches(msgspec.Struct, frozen=True):
    """The switches that notify obeys, besides those of every service; durations in seconds."""

    dedupe: bool
    delivery: Literal["forget", "queue"]
    escalation: float | None
    idempotency_key: bool
    session_store: Literal["memory", "database"]


@dataclass(slots=True)
class Notice:
    """Something that a person must learn of. `at` is unix seconds: when it became known."""

    id: str
    patient: str
    report: str
    at: float
    status: Status = "queued"

    def communication(self) -> fhir.Resource:
        """As a FHIR R4 Communication. It names the report; what the result is, the reader looks up there."""
        return {
            "resourceType": "Communication",
            "id": self.id,
            "identifier": [{"system": NOTIFICATION, "value": self.id}],
            "status": STATES[self.status],
            "category": [{"text": "notification"}],
            "priority": "stat",
            "subject": {"reference": f"Patient/{self.patient}"},
            "about": [{"reference": f"DiagnosticReport/{self.report}"}],
            "recipient": [{"display": "on call"}],
            "payload": [{"contentString": "A critical result waits for you."}],
            "sent": fhir.instant(self.at),
        }


class Ground(Protocol):
    """Changes with every reset, so that nothing of it is kept."""

    log: Log
    store: Store
    switches: Switches
    clock_scale: float

    @property
    def links(self) -> Mapping[str, Link]: ...

    async def of_run(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None: ...
