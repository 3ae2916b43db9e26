"""What each journey says over the wire, and what its answers mean. Pure: no socket, no clock, no randomness.

A journey is two functions: its planned operation to an HTTP request, and an answer to the fields of the
history. Bodies are FHIR R4 JSON where FHIR has the resource.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from experiment.plan import PlannedOperation

IDENTIFIERS = "urn:codeblue:"  # + encounter, claim, invoice, rx
ELIGIBILITY_EXTENSION = "urn:codeblue:eligibility"
COVERAGE_EXTENSION = "urn:codeblue:coverage"
CALLER = "client"
FHIR_JSON = "application/fhir+json"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request to the entry service of its journey; `headers` without host and content-length."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""
    expected_version: int | None = None  # what If-Match names

    @property
    def keyed(self) -> bool:
        return "idempotency-key" in self.headers


@dataclass(frozen=True, slots=True)
class Answered:
    """What an answer said: version read or written, dose or state, its own label, its labelled age in
    seconds."""

    version: int | None = None
    value: str | None = None
    label: str | None = None
    age: float | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What a request may build on: the version that the visit last saw acknowledged, and the day (ISO
    date)."""

    version: int | None = None
    day: str = "2026-01-01"


@dataclass(frozen=True, slots=True)
class Reply:
    """A success as it came: lower-case header names, the body as plain JSON values."""

    status: int
    headers: Mapping[str, str]
    body: Any


class Unreadable(Exception):
    """A success whose body does not say what it must."""


Build = Callable[[PlannedOperation, Known], Request]
Read = Callable[[PlannedOperation, "Reply"], Answered]


@dataclass(frozen=True, slots=True)
class JourneyWire:
    build: Build
    read: Read


def request_for(op: PlannedOperation, known: Known, run_id: str) -> Request:
    """The request of an operation, traced. Raises KeyError for a journey without an entry in JOURNEYS."""
    request = JOURNEYS[op.journey].build(op, known)
    headers = {"traceparent": traceparent(run_id, op.id), "x-caller": CALLER, **request.headers}
    return Request(request.method, request.path, headers, request.body, request.expected_version)


def read_answer(op: PlannedOperation, status: int, headers: Mapping[str, str], body: bytes) -> Answered:
    """The fields of a success. Header names are lower-case. Raises Unreadable."""
    try:
        plain = msgspec.json.decode(body) if body else None
        answered = JOURNEYS[op.journey].read(op, Reply(status, headers, plain))
        age = headers.get("x-age-ms")
        return Answered(
            answered.version,
            answered.value,
            headers.get("x-label", answered.label),
            None if age is None else float(age) / 1000.0,
        )
    except (msgspec.DecodeError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise Unreadable(f"{op.journey} answered {status} with {body[:120]!r}: {error}") from None


def intended_value(op: PlannedOperation) -> str | None:
    """What a write puts into the register, also when nobody answers: the dose as text."""
    return None if op.dose_mg is None else dose_text(op.dose_mg)


def dose_text(dose_mg: float) -> str:
    return f"{dose_mg:g} mg"


def traceparent(run_id: str, operation: int) -> str:
    """W3C trace context of an operation; the same for the same run and operation."""
    digest = hashlib.blake2b(f"{run_id}/{operation}".encode(), digest_size=24).hexdigest()
    return f"00-{digest[:32]}-{digest[32:]}-01"


def trace_id(header: str) -> str:
    return header[3:35]


def entity_tag(version: int) -> str:
    return f'W/"{version}"'


def tagged_version(tag: str) -> int:
    """The version in an ETag such as W/"3". Raises ValueError."""
    return int(tag.removeprefix("W/").strip('"'))


def _json(plain: object) -> bytes:
    return msgspec.json.encode(plain)


def _identifier(kind: str, value: str) -> dict[str, str]:
    return {"system": f"{IDENTIFIERS}{kind}", "value": value}


def _renamed(key: str, prefix: str) -> str:
    """The business key of another thing of the same visit: inv-ab12cd-000007 to clm-ab12cd-000007."""
    return f"{prefix}-{key.partition('-')[2]}"


def _check_in(op: PlannedOperation, _known: Known) -> Request:
    encounter = {
        "resourceType": "Encounter",
        "identifier": [_identifier("encounter", op.key)],
        "status": "arrived",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": f"Patient/{op.patient}"},
        "extension": [
            {"url": COVERAGE_EXTENSION, "valueReference": {"reference": f"Coverage/{op.coverage}"}}
        ],
    }
    headers = {"content-type": FHIR_JSON, "idempotency-key": op.key}
    return Request("POST", "/checkins", headers, _json(encounter))


def eligibility_state(encounter: Mapping[str, Any]) -> str | None:
    """in-force, not-covered, pending or unverified, as the Encounter says it."""
    for extension in encounter.get("extension", ()):
        if extension.get("url") == ELIGIBILITY_EXTENSION:
            state: str | None = extension.get("valueCode") or extension.get("valueString")
            return state
    return None


def _checked_in(_op: PlannedOperation, reply: Reply) -> Answered:
    state = eligibility_state(reply.body)
    return Answered(value=state, label="pending" if state == "pending" else None)


def _claim(op: PlannedOperation, known: Known) -> Request:
    claim = {
        "resourceType": "Claim",
        "identifier": [
            _identifier("claim", _renamed(op.key, "clm")),
            _identifier("invoice", op.key),
        ],
        "status": "active",
        "type": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/claim-type", "code": "professional"}]
        },
        "use": "claim",
        "patient": {"reference": f"Patient/{op.patient}"},
        "created": known.day,
        "provider": {"reference": "Organization/clinic-1"},
        "priority": {"coding": [{"code": "normal"}]},
        "insurance": [{"sequence": 1, "focal": True, "coverage": {"reference": f"Coverage/{op.coverage}"}}],
        "total": {"value": op.amount, "currency": "USD"},
    }
    return Request("POST", "/claims", {"content-type": FHIR_JSON}, _json(claim))


def _claimed(_op: PlannedOperation, reply: Reply) -> Answered:
    return Answered(value=reply.body.get("status"), label="pending" if reply.status == 202 else None)


def _pay(op: PlannedOperation, _known: Known) -> Request:
    headers = {"content-type": JSON, "idempotency-key": _renamed(op.key, "pay")}
    return Request("POST", f"/invoices/{op.key}/pay", headers, _json({"amount": op.amount}))


def _paid(_op: PlannedOperation, reply: Reply) -> Answered:
    return Answered(value=reply.body["status"], label="pending" if reply.status == 202 else None)


def _prescription(op: PlannedOperation) -> dict[str, Any]:
    assert op.dose_mg is not None
    quantity = {
        "value": op.dose_mg,
        "unit": "mg",
        "system": "http://unitsofmeasure.org",
        "code": "mg",
    }
    return {
        "resourceType": "MedicationRequest",
        "id": op.key,
        "identifier": [_identifier("rx", op.key)],
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": op.medication},
        "subject": {"reference": f"Patient/{op.patient}"},
        "dosageInstruction": [{"text": dose_text(op.dose_mg), "doseAndRate": [{"doseQuantity": quantity}]}],
    }


def _prescribe(op: PlannedOperation, _known: Known) -> Request:
    headers = {
        "content-type": FHIR_JSON,
        "if-none-exist": f"identifier={op.key}",
    }
    return Request("POST", "/fhir/MedicationRequest", headers, _json(_prescription(op)))


def _change_dose(op: PlannedOperation, known: Known) -> Request:
    headers = {"content-type": FHIR_JSON}
    if known.version is not None:
        headers["if-match"] = entity_tag(known.version)
    path = f"/fhir/MedicationRequest/{op.key}"
    return Request("PUT", path, headers, _json(_prescription(op)), known.version)


def _written(op: PlannedOperation, reply: Reply) -> Answered:
    tag = reply.headers.get("etag") or reply.body["meta"]["versionId"]
    return Answered(version=tagged_version(tag), value=intended_value(op))


def _view_dose(op: PlannedOperation, _known: Known) -> Request:
    return Request("GET", f"/worklist/{op.key}", {})


def _viewed(_op: PlannedOperation, reply: Reply) -> Answered:
    return Answered(version=int(reply.body["version"]), value=reply.body["dose"])


def _dispense(op: PlannedOperation, _known: Known) -> Request:
    order = {"prescription": op.key, "identifier": f"{_renamed(op.key, 'md')}-{op.id}"}
    return Request("POST", "/dispenses", {"content-type": JSON}, _json(order))


def _dispensed(_op: PlannedOperation, reply: Reply) -> Answered:
    if reply.status == 202:
        return Answered(label="held")
    reference = reply.body["authorizingPrescription"][0]["reference"]
    return Answered(
        version=int(reference.rpartition("/_history/")[2]), value=reply.body["dosageInstruction"][0]["text"]
    )


JOURNEYS: dict[str, JourneyWire] = {
    "check_in": JourneyWire(_check_in, _checked_in),
    "claim": JourneyWire(_claim, _claimed),
    "pay": JourneyWire(_pay, _paid),
    "prescribe": JourneyWire(_prescribe, _written),
    "change_dose": JourneyWire(_change_dose, _written),
    "view_dose": JourneyWire(_view_dose, _viewed),
    "dispense": JourneyWire(_dispense, _dispensed),
}
