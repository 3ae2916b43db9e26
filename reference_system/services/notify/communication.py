"""A notice as a FHIR R4 Communication."""

from __future__ import annotations

from reference_system.common import fhir
from reference_system.services.notify.ground import Notice, Status

NOTIFICATION = "urn:codeblue:notification"
STATES: dict[Status, str] = {"queued": "preparation", "told": "in-progress", "acknowledged": "completed"}


def communication(notice: Notice) -> fhir.Resource:
    """It names the report; what the result is, the reader looks up there."""
    return {
        "resourceType": "Communication",
        "id": notice.id,
        "identifier": [{"system": NOTIFICATION, "value": notice.id}],
        "status": STATES[notice.status],
        "category": [{"text": "notification"}],
        "priority": "stat",
        "subject": {"reference": f"Patient/{notice.patient}"},
        "about": [{"reference": f"DiagnosticReport/{notice.report}"}],
        "recipient": [{"display": "on call"}],
        "payload": [{"contentString": "A critical result waits for you."}],
        "sent": fhir.instant(notice.at),
    }
