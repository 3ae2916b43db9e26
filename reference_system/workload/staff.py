"""Who works in the clinic, and who may see whom: made from the patients alone, so that the load knows the
truth whatever the system under test decides."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

WARDS = 8
PERSONS_A_ROLE = 3  # physicians and nurses of each ward
RESTRICTED_OF = 10  # of so many patients one has a consent that excludes the nurses of the ward
ADMINISTRATOR, AUDITOR, PHARMACIST = "usr-administrator", "usr-auditor", "usr-pharmacist"
CLERK, LABORATORY = "usr-clerk", "usr-laboratory"
JOURNEYS = (
    *("view_record", "look_up", "pry", "break_glass", "view_dose", "view_dashboard"),
    *("note_allergy", "note_allergy_in_emergency"),
    *("forbidden_check_in", "forbidden_order", "forbidden_change", "forbidden_dispense"),
    *("forbidden_report", "forbidden_allergy"),
)
OF_ENGAGED = ("engage", "view_engaged", "view_dismissed", "dismiss")
ALL_WARDS = [f"ward-{number}" for number in range(WARDS)]
OTHER_WARD, EMERGENCY_WARD = 1, 2  # how far away those are from who pries, and who helps in an emergency


BY_OFFICE = {  # who does it, where that is one person's office
    "check_in": CLERK,
    "view_dose": PHARMACIST,
    "dispense": PHARMACIST,
    "report_result": LABORATORY,
    "report_critical": LABORATORY,
    "correct_result": LABORATORY,
    "forbidden_check_in": PHARMACIST,
    "forbidden_allergy": CLERK,
}


def _number(text: str) -> int:
    return zlib.crc32(text.encode())


def ward_of(patient: str) -> str:
    """The ward that cares for a patient."""
    return ALL_WARDS[_number(patient) % WARDS]


def is_restricted(patient: str) -> bool:
    """Whether the patient's consent excludes the nurses of the ward."""
    return _number(f"consent {patient}") % RESTRICTED_OF == 0


def _persons(role: str, ward: str) -> list[str]:
    return [f"usr-{role}-{ward[5:]}-{number}" for number in range(PERSONS_A_ROLE)]


def _one(role: str, patient: str, away: int = 0) -> str:
    ward = ALL_WARDS[(_number(patient) + away) % WARDS]
    return _persons(role, ward)[_number(f"{role} {patient}") % PERSONS_A_ROLE]


def user_of(journey: str, patient: str) -> str:
    """Who does this. Nobody who pries has the right to see this patient, then or ever, and nobody who does
    what is forbidden the right to do it."""
    if journey == "pry":
        return _one("nurse", patient, 0 if is_restricted(patient) else OTHER_WARD)
    if journey == "break_glass":
        return _one("physician", patient, EMERGENCY_WARD)
    if journey == "note_allergy_in_emergency":
        return _one("physician", patient, EMERGENCY_WARD)
    if journey == "forbidden_change":
        return _one("physician", patient, OTHER_WARD)
    if journey in ("forbidden_order", "forbidden_report"):
        return _one("nurse", patient)
    return BY_OFFICE.get(journey) or _one("physician", patient)


def register(patients: Iterable[str]) -> dict[str, Any]:
    """What authz is told: the staff, and where each patient is cared for."""
    staff = [
        {"id": person, "role": role, "wards": [ward]}
        for ward in ALL_WARDS
        for role in ("physician", "nurse")
        for person in _persons(role, ward)
    ]
    staff += [
        {"id": ADMINISTRATOR, "role": "administrator", "wards": []},
        {"id": AUDITOR, "role": "auditor", "wards": []},
        {"id": PHARMACIST, "role": "pharmacist", "wards": ALL_WARDS},
        {"id": CLERK, "role": "clerk", "wards": ALL_WARDS},
        {"id": LABORATORY, "role": "laboratory", "wards": ALL_WARDS},
    ]
    care = [
        {
            "patient": patient,
            "ward": ward_of(patient),
            "barred": _persons("nurse", ward_of(patient)) if is_restricted(patient) else [],
        }
        for patient in patients
    ]
    return {"staff": staff, "care": care}
