"""The patients of a run, and those that a seeded generator makes. All are synthetic."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from experiment.workload import Population

from . import staff

FAMILY = (
    "Abel",
    "Bach",
    "Cohen",
    "Diaz",
    "Eriksen",
    "Fox",
    "Garcia",
    "Haas",
    "Ito",
    "Jansen",
    "Kaya",
    "Lopez",
)
GIVEN = (
    "Ada",
    "Ben",
    "Cora",
    "Dan",
    "Eva",
    "Finn",
    "Gita",
    "Hugo",
    "Ines",
    "Jon",
    "Kim",
    "Lea",
    "Max",
    "Noa",
)
MEDICATIONS = (
    ("warfarin oral tablet", 5.0),
    ("metformin oral tablet", 500.0),
    ("lisinopril oral tablet", 10.0),
    ("levothyroxine oral tablet", 0.05),
    ("metoprolol oral tablet", 25.0),
)


@dataclass(frozen=True, slots=True)
class Medication:
    """A medicine as text, and the dose of one take in mg."""

    text: str
    dose_mg: float


@dataclass(frozen=True, slots=True)
class Patient:
    """One patient; `resource` and `coverage` are FHIR R4 JSON (Patient, Coverage)."""

    id: str
    coverage_id: str
    resource: dict[str, Any]
    coverage: dict[str, Any]
    medications: tuple[Medication, ...]


def of_patients(source: str, patients: tuple[Patient, ...]) -> Population:
    """What a visit needs of each patient, and the resources that the services are given."""
    subjects = tuple(
        {
            "patient": patient.id,
            "coverage": patient.coverage_id,
            "medications": [{"medication": m.text, "dose_mg": m.dose_mg} for m in patient.medications],
        }
        for patient in patients
    )
    resources = {
        "patients": [patient.resource for patient in patients],
        "coverages": [patient.coverage for patient in patients],
        **staff.register(patient.id for patient in patients),
    }
    return Population(source, subjects, resources)


def generate(count: int, seed: int) -> Population:
    """`count` synthetic patients, the same for the same seed."""
    rng = random.Random(f"population-{seed}")
    patients = tuple(_generated(index, rng) for index in range(count))
    return of_patients(f"generated ({count} patients)", patients)


def _generated(index: int, rng: random.Random) -> Patient:
    patient_id, coverage_id = f"pat-{index:05d}", f"cov-{index:05d}"
    born = f"{rng.randint(1930, 2020)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
    resource = {
        "resourceType": "Patient",
        "id": patient_id,
        "name": [{"family": rng.choice(FAMILY), "given": [rng.choice(GIVEN)]}],
        "gender": rng.choice(("female", "male")),
        "birthDate": born,
    }
    medicines = tuple(Medication(text, dose) for text, dose in rng.sample(MEDICATIONS, 2))
    coverage = coverage_of(coverage_id, patient_id, "active")
    return Patient(patient_id, coverage_id, resource, coverage, medicines)


def coverage_of(coverage_id: str, patient_id: str, status: str) -> dict[str, Any]:
    """A FHIR R4 Coverage of one patient."""
    reference = {"reference": f"Patient/{patient_id}"}
    payor = [{"reference": "Organization/payer-1"}]
    return {
        "resourceType": "Coverage",
        "id": coverage_id,
        "status": status,
        "beneficiary": reference,
        "payor": payor,
    }
