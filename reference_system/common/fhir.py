"""FHIR R4 resources as plain JSON: reading what came, building what goes out. Checked in tests with a full
validator."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import msgspec
from starlette.responses import Response

Resource = dict[str, Any]

ENCOUNTER = "urn:codeblue:encounter"
CLAIM = "urn:codeblue:claim"
INVOICE = "urn:codeblue:invoice"
RX = "urn:codeblue:rx"
LAB = "urn:codeblue:lab"
ALLERGY = "urn:codeblue:allergy"
CONTROL = "urn:codeblue:hl7-control"
DISPENSE = "urn:codeblue:dispense"
COVERAGE_EXTENSION = "urn:codeblue:coverage"
ELIGIBILITY_EXTENSION = "urn:codeblue:eligibility"
STAFF = "urn:codeblue:staff"
SERVICE = "urn:codeblue:service"
AUDIT_NUMBER = "urn:codeblue:audit-number"
INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
MEDIA_TYPE = "application/fhir+json"
KEY = re.compile(r"[A-Za-z0-9._:-]{1,128}")
LARGEST_VERSION = 2**31 - 2
NOT_DONE = {"x-not-done": "1"}  # on a 503: refused before any effect, so that anybody may ask again

Amount = Annotated[float, msgspec.Meta(gt=0, le=1e9)]

encode = _encode = msgspec.json.Encoder().encode
decode = _decode = msgspec.json.Decoder(dict[str, Any]).decode
T = TypeVar("T")

ISSUE_CODES = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    402: "business-rule",
    404: "not-found",
    409: "conflict",
    412: "conflict",
}
ISSUE_CODES |= {422: "processing", 428: "required", 429: "throttled", 503: "transient", 504: "timeout"}


class Refused(Exception):
    """A request that is answered with an OperationOutcome; nothing was done."""

    def __init__(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = headers or {}

    def response(self) -> Response:
        return outcome(self.status, self.text, self.headers)


def reply(status: int, body: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(_encode(body), status, headers, MEDIA_TYPE)


def outcome(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    code = ISSUE_CODES.get(status, "exception")
    issue = {"severity": "error", "code": code, "diagnostics": text}
    return reply(status, {"resourceType": "OperationOutcome", "issue": [issue]}, headers)


class Reference(msgspec.Struct, frozen=True):
    reference: str | None = None


class Identifier(msgspec.Struct, frozen=True):
    system: str | None = None
    value: str | None = None


class Extension(msgspec.Struct, frozen=True):
    url: str | None = None
    valueReference: Reference | None = None


class Insurance(msgspec.Struct, frozen=True):
    coverage: Reference | None = None


class Quantity(msgspec.Struct, frozen=True):
    value: float | None = None
    unit: str | None = None


class DoseAndRate(msgspec.Struct, frozen=True):
    doseQuantity: Quantity | None = None


class Dosage(msgspec.Struct, frozen=True):
    text: str | None = None
    doseAndRate: list[DoseAndRate] | None = None


class Money(msgspec.Struct, frozen=True):
    value: Amount | None = None


class HumanName(msgspec.Struct, frozen=True):
    family: str | None = None
    given: list[str] | None = None


class Shape(msgspec.Struct, frozen=True):
    """The parts of resources that the services read. Whatever else a resource has is kept as it came."""

    resourceType: str | None = None
    identifier: list[Identifier] | Identifier | None = None
    status: str | None = None
    subject: Reference | None = None
    patient: Reference | None = None
    extension: list[Extension] | None = None
    insurance: list[Insurance] | None = None
    dosageInstruction: list[Dosage] | None = None
    total: Money | None = None
    name: list[HumanName] | None = None
    about: list[Reference] | None = None


_shape = msgspec.json.Decoder(Shape).decode


def read(decode: Callable[[bytes], T], body: bytes, expected: str) -> T:
    """A request body by its decoder. Raises Refused 400 with what was found, where, and what was expected."""
    try:
        if b"\\u0000" in body:
            raise ValueError("found the character NUL, which no table can hold")
        return decode(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"{error}; expected {expected}") from error


def parse(body: bytes, expected: str) -> Resource:
    """The resource in a request body, its shape checked. Raises Refused 400."""
    found = read(_shape, body, f"a {expected} as JSON").resourceType
    if found != expected:
        raise Refused(400, f"found resourceType {found!r}; expected {expected!r}")
    return read(_decode, body, f"a {expected} as JSON")


def identifier(resource: Resource, system: str) -> str | None:
    """The value of the identifier with this system; with one identifier only, its value whatever the system.

    Raises Refused 400 for a value that cannot be a key: it goes into headers, paths and tables.
    """
    identifiers = resource.get("identifier") or []
    if isinstance(identifiers, dict):
        identifiers = [identifiers]
    named = [entry for entry in identifiers if entry.get("system") == system]
    chosen = named[0] if named else identifiers[0] if len(identifiers) == 1 else {}
    value = chosen.get("value")
    if value is not None and not (isinstance(value, str) and KEY.fullmatch(value)):
        raise Refused(400, f"identifier {value!r}; expected up to 128 letters, digits, and . _ : -")
    return value


def reference_id(resource: Resource | None, kind: str) -> str | None:
    """`pat-1` of {"reference": "Patient/pat-1"}."""
    text = str((resource or {}).get("reference", ""))
    return text.removeprefix(f"{kind}/") if text.startswith(f"{kind}/") else None


def coverage_of(encounter: Resource) -> str | None:
    """The Coverage that an Encounter names in its extension."""
    for extension in encounter.get("extension") or []:
        found = reference_id(extension.get("valueReference"), "Coverage")
        if found is not None:
            return found
    return None


def dose_of(request: Resource) -> str:
    """The dose as people read it: the instruction's text, else quantity and unit."""
    instructions = request.get("dosageInstruction") or [{}]
    text = instructions[0].get("text")
    if text:
        return str(text)
    quantity = ((instructions[0].get("doseAndRate") or [{}])[0]).get("doseQuantity") or {}
    return f"{quantity.get('value', '')} {quantity.get('unit', '')}".strip()


def instant(at: float) -> str:
    """Unix seconds as a FHIR instant in UTC, to the millisecond."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
    return f"{whole}.{int(at % 1 * 1000):03d}Z"


def etag(version: int) -> str:
    return f'W/"{version}"'


def version_of(if_match: str | None) -> int | None:
    """The number in W/"n"; None when the header is absent. Raises Refused 400 when it is something else."""
    if if_match is None:
        return None
    text = if_match.strip().removeprefix("W/").strip('"')
    if not text.isdigit() or int(text) > LARGEST_VERSION:
        raise Refused(400, f'If-Match is {if_match!r}; expected W/"n"')
    return int(text)


def encounter_reply(encounter: Resource, id_: str, eligibility: str, patient_name: str | None) -> Resource:
    """The Encounter as it stands, with the state of its insurance in an extension."""
    subject = dict(encounter.get("subject") or {})
    if patient_name:
        subject["display"] = patient_name
    kept = [e for e in encounter.get("extension") or [] if e.get("url") != ELIGIBILITY_EXTENSION]
    extension = [*kept, {"url": ELIGIBILITY_EXTENSION, "valueCode": eligibility}]
    return {**encounter, "id": id_, "subject": subject, "extension": extension}


def eligibility_request(encounter: str, coverage: str, patient: str, at: float) -> Resource:
    return {
        "resourceType": "CoverageEligibilityRequest",
        "identifier": [{"system": ENCOUNTER, "value": encounter}],
        "status": "active",
        "purpose": ["validation"],
        "patient": {"reference": f"Patient/{patient}"},
        "created": instant(at),
        "insurer": {"reference": "Organization/payer"},
        "insurance": [{"focal": True, "coverage": {"reference": f"Coverage/{coverage}"}}],
    }


def eligibility_response(encounter: str, coverage: str, patient: str, status: str, at: float) -> Resource:
    """`status` in-force or not-covered is a complete answer; anything else is queued."""
    known = status in ("in-force", "not-covered")
    insurance: Resource = {"coverage": {"reference": f"Coverage/{coverage}"}}
    if known:
        insurance["inforce"] = status == "in-force"
    return {
        "resourceType": "CoverageEligibilityResponse",
        "id": encounter,
        "status": "active",
        "purpose": ["validation"],
        "patient": {"reference": f"Patient/{patient}"},
        "created": instant(at),
        "request": {"identifier": {"system": ENCOUNTER, "value": encounter}},
        "outcome": "complete" if known else "queued",
        "disposition": status,
        "insurer": {"reference": "Organization/payer"},
        "insurance": [insurance],
    }


def medication_request(request: Resource, rx: str, version: int, status: str, at: float) -> Resource:
    """The stored MedicationRequest as one version of it."""
    meta = {"versionId": str(version), "lastUpdated": instant(at)}
    return {**request, "id": rx, "meta": meta, "status": "active" if status == "active" else "stopped"}


def medication_dispense(dispense: str, rx: str, version: int, dose: str, patient: str, at: float) -> Resource:
    return {
        "resourceType": "MedicationDispense",
        "id": dispense,
        "identifier": [{"system": DISPENSE, "value": dispense}],
        "status": "completed",
        "medicationCodeableConcept": {"text": dose},
        "subject": {"reference": f"Patient/{patient}"},
        "authorizingPrescription": [{"reference": f"MedicationRequest/{rx}/_history/{version}"}],
        "whenHandedOver": instant(at),
        "dosageInstruction": [{"text": dose}],
    }


def history_bundle(entries: list[Resource]) -> Resource:
    """A history bundle, the newest version first."""
    return {
        "resourceType": "Bundle",
        "type": "history",
        "total": len(entries),
        "entry": [
            {
                "fullUrl": f"urn:codeblue:MedicationRequest:{entry['id']}",
                "resource": entry,
                "request": {"method": "PUT", "url": f"MedicationRequest/{entry['id']}"},
                "response": {"status": "200", "etag": etag(int(entry["meta"]["versionId"]))},
            }
            for entry in entries
        ],
    }


def audit_event(
    id_: str,
    source: str,
    number: int,
    at: float,
    *,
    user: str,
    patient: str,
    action: str,
    done: str,
    request: str,
    permitted: bool,
    emergency: bool,
) -> Resource:
    """One access to patient data, to read (`done` is R), create or update: codes of DICOM PS3.16, "Patient
    Record" or, where the glass was broken, "Security Alert" with "Emergency Override Started" and the purpose
    ETREAT."""
    event: Resource = {
        "resourceType": "AuditEvent",
        "id": id_,
        "extension": [{"url": AUDIT_NUMBER, "valueDecimal": number}],
        "type": _dicom(*(("110113", "Security Alert") if emergency else ("110110", "Patient Record"))),
        "action": done,
        "recorded": instant(at),
        "outcome": "0" if permitted else "4",
        "purposeOfEvent": [{"coding": [{"system": ACT_REASON, "code": "ETREAT" if emergency else "TREAT"}]}],
        "agent": [{"who": {"identifier": {"system": STAFF, "value": user or "unknown"}}, "requestor": True}],
        "source": {"observer": {"identifier": {"system": SERVICE, "value": source}}},
        "entity": [
            {
                "what": {"reference": f"Patient/{patient}"},
                "detail": [
                    {"type": "request", "valueString": request},
                    {"type": "resource", "valueString": action},
                ],
            }
        ],
    }
    if emergency:
        event["subtype"] = [_dicom("110127", "Emergency Override Started")]
    return event


def _dicom(code: str, display: str) -> Resource:
    return {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": code, "display": display}
