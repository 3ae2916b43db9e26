"""What system.yaml cannot say of the users: FHIR R4 bodies, doses, and answers that need a look at a list."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from experiment.workload import Answered, Known, PlannedOperation, Population, Reply, Request

from . import staff
from .bundles import read_bundles
from .feed import read_messages
from .population import generate

IDENTIFIERS = "urn:codeblue:"  # + encounter, claim, invoice, rx
ELIGIBILITY_EXTENSION = "urn:codeblue:eligibility"
COVERAGE_EXTENSION = "urn:codeblue:coverage"
FHIR_JSON = {"content-type": "application/fhir+json"}
INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
POTASSIUM = {"coding": [{"system": "http://loinc.org", "code": "2823-3"}], "text": "potassium"}
GENERATED_PATIENTS = 200
ABSENT = "absent"


def population(folder: Path | None, seed: int) -> Population:
    """Patients from a folder of FHIR bundles, or synthetic ones from the seed."""
    return generate(GENERATED_PATIENTS, seed) if folder is None else read_bundles(folder)


def feed(name: str, folder: Path) -> dict[str, Any]:
    """The messages of a folder; the instrument that sends them gets them with the reset."""
    return {f"{name}_feed": read_messages(folder)}


def visit(people: Population, rng: random.Random) -> dict[str, Any]:
    """A patient and one of the medicines that she takes."""
    patient = rng.choice(people.subjects)
    medicine = rng.choice(patient["medications"])
    return {"patient": patient["patient"], "coverage": patient["coverage"], **medicine}


def arguments(subject: Mapping[str, Any], journey: str, nth: int) -> dict[str, Any]:
    """Who comes, and of a prescription the medicine with its dose: halved with every change, so that a dose
    tells its version."""
    person = {name: subject[name] for name in ("patient", "coverage")}
    if journey in staff.JOURNEYS:
        person["user"] = staff.user_of(journey, person["patient"])
    if journey in ("report_result", "report_critical", "correct_result", "forbidden_report"):
        return {**person, "status": "corrected" if journey == "correct_result" else "final"}
    if journey in staff.OF_ENGAGED:
        return {**person, "ward": staff.ward_of(person["patient"])}
    if journey not in ("prescribe", "change_dose", "stop", "forbidden_order", "forbidden_change"):
        return person
    halvings = nth + 1 if journey in ("change_dose", "forbidden_change") else nth
    return {**person, "medication": subject["medication"], "dose_mg": subject["dose_mg"] / 2**halvings}


def intended_value(op: PlannedOperation) -> str | None:
    """The dose that a prescription writes, as text, or the value of a result."""
    if "potassium" in op.arguments:
        return f"{op.arguments['potassium']:g}"
    dose_mg = op.arguments.get("dose_mg")
    return None if dose_mg is None else f"{dose_mg:g} mg"


def _by_user(op: PlannedOperation) -> dict[str, str]:
    """Who sends a FHIR resource. Of a request that is for anybody to send, whose office it is."""
    user = op.arguments.get("user") or staff.user_of(op.journey, op.arguments["patient"])
    return {**FHIR_JSON, "x-user": user, "x-request-id": op.key}


def _identifier(kind: str, value: str) -> dict[str, str]:
    return {"system": f"{IDENTIFIERS}{kind}", "value": value}


def _check_in(op: PlannedOperation, _known: Known) -> Request:
    encounter = {
        "resourceType": "Encounter",
        "identifier": [_identifier("encounter", op.key)],
        "status": "arrived",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": f"Patient/{op.arguments['patient']}"},
        "extension": [
            {
                "url": COVERAGE_EXTENSION,
                "valueReference": {"reference": f"Coverage/{op.arguments['coverage']}"},
            }
        ],
    }
    headers = {**_by_user(op), "idempotency-key": op.key}
    return Request("POST", "/checkins", headers, msgspec.json.encode(encounter))


def _eligibility(reply: Reply, path: str) -> str | None:
    """in-force, not-covered, pending or unverified, as the Encounter at the path says it."""
    encounter = reply.at(path)
    extensions = encounter.get("extension", ()) if isinstance(encounter, dict) else None
    if not isinstance(extensions, (list, tuple)) or not all(isinstance(one, dict) for one in extensions):
        raise reply.unreadable(f"no Encounter at {path}")
    for extension in extensions:
        if extension.get("url") == ELIGIBILITY_EXTENSION:
            state: str | None = extension.get("valueCode") or extension.get("valueString")
            return state
    return None


def _checked_in(_op: PlannedOperation, reply: Reply) -> Answered:
    state = _eligibility(reply, "body")
    return Answered(value=state, label="pending" if state == "pending" else None)


def _prescription(op: PlannedOperation, status: str = "active") -> bytes:
    quantity = {
        "value": op.arguments["dose_mg"],
        "unit": "mg",
        "system": "http://unitsofmeasure.org",
        "code": "mg",
    }
    return msgspec.json.encode(
        {
            "resourceType": "MedicationRequest",
            "id": op.key,
            "identifier": [_identifier("rx", op.key)],
            "status": status,
            "intent": "order",
            "medicationCodeableConcept": {"text": op.arguments["medication"]},
            "subject": {"reference": f"Patient/{op.arguments['patient']}"},
            "dosageInstruction": [{"text": op.value, "doseAndRate": [{"doseQuantity": quantity}]}],
        }
    )


def _prescribe(op: PlannedOperation, _known: Known) -> Request:
    headers = {**_by_user(op), "if-none-exist": f"identifier={op.key}"}
    return Request("POST", "/fhir/MedicationRequest", headers, _prescription(op))


def _change_dose(op: PlannedOperation, known: Known) -> Request:
    return _replaced(op, known, "active")


def _stop(op: PlannedOperation, known: Known) -> Request:
    return _replaced(op, known, "stopped")


def _replaced(op: PlannedOperation, known: Known, status: str) -> Request:
    headers = _by_user(op)
    if known.version is not None:
        headers["if-match"] = f'W/"{known.version}"'
    body = _prescription(op, status)
    return Request("PUT", f"/fhir/MedicationRequest/{op.key}", headers, body, known.version)


def _written(op: PlannedOperation, reply: Reply) -> Answered:
    return Answered(reply.version("header.etag?", "body.meta.versionId"), op.value)


def _dispensed(_op: PlannedOperation, reply: Reply) -> Answered:
    if reply.status == 202:
        return Answered(label="held")
    reference = reply.at("body.authorizingPrescription[0].reference")
    number = str(reference).rpartition("/_history/")[2]
    if not number.isdecimal():
        raise reply.unreadable(f"no version in {reference}")
    return Answered(version=int(number), value=reply.at("body.dosageInstruction[0].text"))


def _seen_by_engaged(_op: PlannedOperation, _reply: Reply) -> Answered:
    """Whoever was engaged for this visit sees it as version 1 of her role, whatever became of that since."""
    return Answered(version=1)


def _encounter(reply: Reply) -> Answered:
    entries = reply.at("body.entry?") or []
    if not entries:
        if not isinstance(reply.body, dict):
            raise reply.unreadable("no Bundle")
        return Answered(value=ABSENT)
    label = f"{len(entries)} found" if len(entries) > 1 else None
    return Answered(value=_eligibility(reply, "body.entry[0].resource"), label=label)


def _order_lab(op: PlannedOperation, _known: Known) -> Request:
    order = {
        "resourceType": "ServiceRequest",
        "identifier": [_identifier("lab", op.key)],
        "status": "active",
        "intent": "order",
        "code": POTASSIUM,
        "subject": {"reference": f"Patient/{op.arguments['patient']}"},
    }
    return Request("POST", "/fhir/ServiceRequest", _by_user(op), msgspec.json.encode(order))


def flag_of(potassium: float) -> str:
    """How a laboratory flags such a value, in mmol/L."""
    bounds = ((2.8, "LL"), (3.5, "L"), (5.2, "N"), (6.2, "H"))
    return next((flag for below, flag in bounds if potassium < below), "HH")


def _report(op: PlannedOperation, _known: Known) -> Request:
    value, subject = op.arguments["potassium"], {"reference": f"Patient/{op.arguments['patient']}"}
    observation = {
        "resourceType": "Observation",
        "id": "o1",
        "status": op.arguments["status"],
        "code": POTASSIUM,
        "subject": subject,
        "valueQuantity": {"value": value, "unit": "mmol/L", "system": "http://unitsofmeasure.org",
                          "code": "mmol/L"},
        "interpretation": [{"coding": [{"system": INTERPRETATION, "code": flag_of(value)}]}],
    }  # fmt: skip
    report = {
        "resourceType": "DiagnosticReport",
        # Its own number too: two corrections may say the same, and are two all the same.
        "identifier": [_identifier("lab", op.key), _identifier("accession", f"{op.key}-{op.id}")],
        "basedOn": [{"reference": f"ServiceRequest/{op.key}"}],
        "status": op.arguments["status"],
        "code": POTASSIUM,
        "subject": subject,
        "contained": [observation],
        "result": [{"reference": "#o1"}],
    }
    path = f"/fhir/DiagnosticReport?identifier={op.key}"
    return Request("PUT", path, _by_user(op), msgspec.json.encode(report))


def _reported(op: PlannedOperation, reply: Reply) -> Answered:
    return Answered(reply.version("header.etag?", "body.meta.versionId"), op.value)


def _note_allergy(op: PlannedOperation, _known: Known) -> Request:
    """In an emergency whoever notes it breaks the glass."""
    clinical = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
    allergy = {
        "resourceType": "AllergyIntolerance",
        "identifier": [_identifier("allergy", op.key)],
        "clinicalStatus": {"coding": [{"system": clinical, "code": "active"}]},
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "91936005"}], "text": "penicillin"},
        "patient": {"reference": f"Patient/{op.arguments['patient']}"},
    }
    headers = _by_user(op)
    if op.journey == "note_allergy_in_emergency":
        headers["x-break-glass"] = "unconscious in the emergency room"
    return Request("POST", "/fhir/AllergyIntolerance", headers, msgspec.json.encode(allergy))


def _dashboard(op: PlannedOperation, reply: Reply) -> Answered:
    """The result of this visit among those of the patient; one that is not shown has version 0."""
    entries = reply.at("body.parts.results.entries?")
    label, age = reply.at("header.x-label?"), reply.at("header.x-age-ms?")
    said = {"label": label, "age": None if age is None else float(age) / 1000}
    if not isinstance(entries, (list, tuple)):
        return Answered(version=None, **said)
    for entry in entries:
        if isinstance(entry, dict) and entry.get("report") == op.key:
            return Answered(entry.get("version"), entry.get("value"), **said)
    return Answered(version=0, **said)


REQUESTS = {
    "check_in": _check_in,
    "prescribe": _prescribe,
    "change_dose": _change_dose,
    "stop": _stop,
    "order_lab": _order_lab,
    "report_result": _report,
    "report_critical": _report,
    "correct_result": _report,
    "note_allergy": _note_allergy,
    "note_allergy_in_emergency": _note_allergy,
    "forbidden_allergy": _note_allergy,
    "forbidden_check_in": _check_in,
    "forbidden_order": _prescribe,
    "forbidden_change": _change_dose,
    "forbidden_report": _report,
}
ANSWERS = {
    "check_in": _checked_in,
    "forbidden_check_in": _checked_in,
    "forbidden_order": _written,
    "forbidden_change": _written,
    "forbidden_dispense": _dispensed,
    "forbidden_report": _reported,
    "prescribe": _written,
    "change_dose": _written,
    "stop": _written,
    "dispense": _dispensed,
    "report_result": _reported,
    "report_critical": _reported,
    "correct_result": _reported,
    "view_dashboard": _dashboard,
    "view_engaged": _seen_by_engaged,
    "view_dismissed": _seen_by_engaged,
}
FINAL_READS = {"enc": _encounter}
