"""The patients of a run: from a seeded generator, or from FHIR R4 bundles in a folder. All are synthetic."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import json
import random
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from experiment.errors import ConfigError, Location, Problem
from experiment.regular_files import LARGEST, TooLarge, read_regular
from experiment.workload import Population

from . import staff

FHIR_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")  # FHIR R4, data type id
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
    return Patient(patient_id, coverage_id, resource, _coverage(coverage_id, patient_id, "active"), medicines)


def _coverage(coverage_id: str, patient_id: str, status: str) -> dict[str, Any]:
    reference = {"reference": f"Patient/{patient_id}"}
    payor = [{"reference": "Organization/payer-1"}]
    return {
        "resourceType": "Coverage",
        "id": coverage_id,
        "status": status,
        "beneficiary": reference,
        "payor": payor,
    }


def read_bundles(folder: Path) -> Population:
    """Patients from FHIR bundles, `*.json` (one each) and `*.ndjson[.gz]` (one a line). Raises
    ConfigError."""
    files = sorted(path for pattern in ("*.json", "*.ndjson", "*.ndjson.gz") for path in folder.glob(pattern))
    patients: list[Patient] = []
    first: dict[str, Location] = {}
    for path in files:
        for line, bundle in _bundles(path):
            for patient in _from_bundle(bundle, path, line):
                where = Location(str(path), line)
                if patient.id in first:
                    found = f"the patient {patient.id} a second time"
                    raise ConfigError([Problem(where, found, f"each once (first at {first[patient.id]})")])
                first[patient.id] = where
                patients.append(patient)
    if not patients:
        where = Location(str(folder))
        expected = "a folder of FHIR R4 bundles with a Patient each (*.json, *.ndjson, *.ndjson.gz)"
        found = "no patient" if files else "no such file in it" if folder.is_dir() else "no such folder"
        raise ConfigError([Problem(where, found, expected)])
    people = tuple(patients)
    source = f"{folder.name} ({len(people)} patients from FHIR bundles, {_digest(people)})"
    return of_patients(source, people)


def _digest(people: tuple[Patient, ...]) -> str:
    """Tells folders of the same name with other patients apart."""
    plain = [
        (each.resource, each.coverage, [(m.text, m.dose_mg) for m in each.medications]) for each in people
    ]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:12]


def _unpacked(raw: bytes) -> bytes:
    """Raises OSError for what would fill the memory."""
    with gzip.open(io.BytesIO(raw)) as file:
        text = file.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise TooLarge(errno.EFBIG, f"more than {LARGEST:,} bytes when it is unpacked")
    return text


def _bundles(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        raw = read_regular(path)
        text = (_unpacked(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            [Problem(Location(str(path)), f"an unreadable file ({reason})", "FHIR JSON")]
        ) from None
    documents = [(1, text)] if path.suffix == ".json" else list(enumerate(text.split("\n"), 1))
    for number, document in documents:
        if not document.strip():
            continue
        try:
            bundle = json.loads(document)
        except RecursionError:
            where = Location(str(path), number)
            raise ConfigError([Problem(where, "JSON nested too deeply to read", "a FHIR bundle")]) from None
        except json.JSONDecodeError as error:
            where = Location(str(path), number + error.lineno - 1, error.colno)
            raise ConfigError(
                [Problem(where, f"text that is not JSON ({error.msg})", "a FHIR bundle")]
            ) from None
        except ValueError as error:  # a number of thousands of digits
            where = Location(str(path), number)
            found = f"JSON that cannot be read ({error})"
            raise ConfigError([Problem(where, found, "a FHIR bundle")]) from None
        if isinstance(bundle, dict) and bundle.get("resourceType") == "Bundle":
            yield number, bundle


def _from_bundle(bundle: dict[str, Any], path: Path, line: int) -> Iterator[Patient]:
    entries = [entry for entry in bundle.get("entry") or [] if isinstance(entry, dict)]
    resources = [entry["resource"] for entry in entries if isinstance(entry.get("resource"), dict)]
    medicines = tuple(
        medicine for resource in resources if (medicine := _medication(resource)) is not None
    ) or (Medication(*MEDICATIONS[0]),)
    covers = [resource for resource in resources if resource.get("resourceType") == "Coverage"]
    for resource in resources:
        if resource.get("resourceType") != "Patient":
            continue
        patient_id = resource.get("id")
        if not isinstance(patient_id, str) or FHIR_ID.fullmatch(patient_id) is None:
            found = "a Patient without id" if patient_id is None else f"a Patient with the id {patient_id!r}"
            expected = "an id of 1 to 64 letters, digits, - and ."
            raise ConfigError([Problem(Location(str(path), line), found, expected)])
        status = str(covers[0].get("status", "active")) if covers else "active"
        coverage_id = str(covers[0].get("id", f"cov-{patient_id}")) if covers else f"cov-{patient_id}"
        coverage = _coverage(coverage_id, patient_id, status)
        yield Patient(patient_id, coverage_id, resource, coverage, medicines)


def _medication(resource: dict[str, Any]) -> Medication | None:
    """The medicine of a MedicationRequest; its strength stands in the text ("... 24 MG Oral Tablet")."""
    if resource.get("resourceType") != "MedicationRequest":
        return None
    text = (resource.get("medicationCodeableConcept") or {}).get("text")
    if not isinstance(text, str):
        return None
    words = text.split()
    for number, unit in pairwise(words):
        if unit.upper() == "MG" and number.replace(".", "", 1).isdecimal() and float(number) > 0:
            return Medication(text, float(number))
    return Medication(text, 1.0)
