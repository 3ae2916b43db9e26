"""Patients from FHIR R4 files in a folder: bundles, and bulk exports of one resource a line.

What belongs to whom is told by references: `Patient/7`, an address that ends so, or the `urn:uuid:` of an
entry. What names nobody belongs to the only patient of its bundle.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from experiment.errors import ConfigError, Location, Problem
from experiment.regular_files import LARGEST, TooLarge, read_regular
from experiment.workload import Population

from .population import MEDICATIONS, Medication, Patient, coverage_of, of_patients

FHIR_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")  # FHIR R4, data type id
HALF = re.compile("[\ud800-\udfff]")  # of a surrogate pair, which JSON joins: what is left stands alone
READ = ("Patient", "Coverage", "MedicationRequest", "Medication")


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource, where it stands, and the address that its entry gives it."""

    content: Mapping[str, Any]
    where: Location
    address: str = ""

    @property
    def kind(self) -> str:
        return str(self.content.get("resourceType"))

    def part(self, name: str) -> Mapping[str, Any]:
        """A value that is an object; nothing where it is null, missing or something else."""
        found = self.content.get(name)
        return found if isinstance(found, dict) else {}

    def text(self, name: str) -> str:
        """A value that is text; empty where it is null or missing. Raises ConfigError for any other."""
        found = self.content.get(name)
        if found is None or isinstance(found, str):
            return found or ""
        raise self.mistake(f"a {self.kind} with the {name} {found!r}", "text")

    def id(self, needed: bool) -> str:
        """Raises ConfigError where it is none, or missing and needed."""
        found = self.content.get("id")
        if found is None and not needed:
            return ""
        if isinstance(found, str) and FHIR_ID.fullmatch(found):
            return found
        said = f"a {self.kind} without id" if found is None else f"a {self.kind} with the id {found!r}"
        raise self.mistake(said, "an id of 1 to 64 letters, digits, - and .")

    def mistake(self, found: str, expected: str) -> ConfigError:
        return ConfigError([Problem(self.where, found, expected)])


def read_bundles(folder: Path) -> Population:
    """Patients from FHIR files: `*.json` (a bundle, or a resource) and `*.ndjson[.gz]` (one of them a line).
    The resources of a bulk export are joined over all files of the folder. Raises ConfigError."""
    files = sorted(path for pattern in ("*.json", "*.ndjson", "*.ndjson.gz") for path in folder.glob(pattern))
    patients: list[Patient] = []
    first: dict[str, Location] = {}
    for group in _groups(files):
        for where, patient in _patients_of(group):
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


def _groups(files: Sequence[Path]) -> Iterator[list[Resource]]:
    """The resources of each bundle, and in the end those that stand alone."""
    alone: list[Resource] = []
    for path in files:
        for line, document in _documents(path):
            where = Location(str(path), line)
            if document.get("resourceType") == "Bundle":
                yield _entries(document, where)
            elif document.get("resourceType") in READ:
                alone.append(Resource(document, where))
    yield alone


def _entries(bundle: Mapping[str, Any], where: Location) -> list[Resource]:
    found = []
    for entry in _objects(bundle.get("entry")):
        address = entry.get("fullUrl")
        if isinstance(entry.get("resource"), dict):
            found.append(Resource(entry["resource"], where, address if isinstance(address, str) else ""))
    return found


def _objects(values: object) -> list[dict[str, Any]]:
    """The objects of a list; none where it is null or something else."""
    return [one for one in values if isinstance(one, dict)] if isinstance(values, list) else []


class _Index:
    """The resources of one kind by all that may name them."""

    def __init__(self, resources: Sequence[Resource], kind: str) -> None:
        self.own = [one for one in resources if one.kind == kind]
        self._kind = kind
        self._named: dict[str, Resource] = {}
        for one in self.own:
            for name in (one.address, f"{kind}/{one.content.get('id')}"):
                if name:
                    self._named.setdefault(name, one)

    def find(self, reference: object) -> Resource | None:
        """What a reference names: as it stands, or by its last two parts without a version."""
        if not isinstance(reference, str):
            return None
        short = re.search(rf"(?:^|/)({self._kind}/[A-Za-z0-9.-]{{1,64}})(?:/_history/[^/]+)?$", reference)
        return self._named.get(reference) or (self._named.get(short[1]) if short else None)

    def owner(self, reference: object) -> Resource | None:
        """Who is named; where nobody is, the only one there is."""
        if reference is None:
            return self.own[0] if len(self.own) == 1 else None
        return self.find(reference)


def _patients_of(resources: Sequence[Resource]) -> Iterator[tuple[Location, Patient]]:
    """Each patient with the first coverage and all medicines of that patient."""
    people, drugs = _Index(resources, "Patient"), _Index(resources, "Medication")
    covers: dict[int, Resource] = {}
    medicines: dict[int, list[Medication]] = {}
    for one in resources:
        if one.kind == "Coverage":
            owner = people.owner(one.part("beneficiary").get("reference"))
            if owner is not None:
                covers.setdefault(id(owner), one)
        elif one.kind == "MedicationRequest":
            owner, medicine = people.owner(one.part("subject").get("reference")), _medication(one, drugs)
            if owner is not None and medicine is not None:
                medicines.setdefault(id(owner), []).append(medicine)
    for person in people.own:
        patient_id, cover = person.id(needed=True), covers.get(id(person))
        coverage_id = (cover.id(needed=False) if cover else "") or f"cov-{patient_id}"
        status = (cover.text("status") if cover else "") or "active"
        taken = tuple(medicines.get(id(person), ())) or (Medication(*MEDICATIONS[0]),)
        coverage = coverage_of(coverage_id, patient_id, status)
        yield person.where, Patient(patient_id, coverage_id, dict(person.content), coverage, taken)


def _medication(request: Resource, drugs: _Index) -> Medication | None:
    """The medicine of a MedicationRequest; its strength stands in the text ("... 24 MG Oral Tablet")."""
    text = _concept_text(request.part("medicationCodeableConcept"))
    reference = request.part("medicationReference").get("reference")
    if not text and isinstance(reference, str):
        text = _concept_text(_drug(request, reference, drugs)) or str(
            request.part("medicationReference").get("display") or ""
        )
    if not text:
        return None
    words = text.split()
    for number, unit in pairwise(words):
        if unit.upper() == "MG" and number.replace(".", "", 1).isdecimal() and float(number) > 0:
            return Medication(text, float(number))
    return Medication(text, 1.0)


def _drug(request: Resource, reference: str, drugs: _Index) -> Mapping[str, Any]:
    """The code of the Medication that is named: a resource beside the request, or one inside it (`#id`)."""
    if reference.startswith("#"):
        inner = [Resource(one, request.where) for one in _objects(request.content.get("contained"))]
        found = next((one for one in inner if one.content.get("id") == reference[1:]), None)
    else:
        found = drugs.find(reference)
    return found.part("code") if found is not None else {}


def _concept_text(concept: Mapping[str, Any]) -> str:
    """The text of a CodeableConcept, else what a coding is displayed as."""
    if isinstance(concept.get("text"), str):
        return str(concept["text"])
    shown = [one.get("display") for one in _objects(concept.get("coding"))]
    return next((text for text in shown if isinstance(text, str)), "")


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


def _documents(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file, each with its line. Raises ConfigError."""
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
            found = json.loads(document)
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
            said = f"JSON that cannot be read ({error})"
            raise ConfigError([Problem(where, said, "a FHIR bundle")]) from None
        if not isinstance(found, dict):
            continue
        if half := HALF.search(json.dumps(found, ensure_ascii=False)):
            where, said = (
                Location(str(path), number),
                f"the escape \\u{ord(half[0]):04x}, which is half a character",
            )
            raise ConfigError([Problem(where, said, "text that can be written")])
        yield number, found
