"""A DiagnosticReport with its Observations inside, as it was sent: what is kept of it, and what is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from reference_system.common import fhir
from reference_system.services.lab.contract import CRITICAL

STATUSES = ("preliminary", "final", "corrected")


class Coding(msgspec.Struct, frozen=True):
    code: str | None = None


class Concept(msgspec.Struct, frozen=True):
    coding: list[Coding] = []


class Observed(msgspec.Struct, frozen=True):
    """The parts of a contained Observation that are read."""

    code: Concept = Concept()
    valueQuantity: fhir.Quantity = fhir.Quantity()
    interpretation: list[Concept] = []


class Contained(msgspec.Struct, frozen=True):
    contained: list[Observed] = []


_contained = msgspec.json.Decoder(Contained).decode


@dataclass(frozen=True, slots=True)
class Observation:
    """One value of a report, such as 6.9 mmol/L of 2823-3, flagged HH."""

    code: str
    value: float
    unit: str
    flag: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a request asks to be on record; `resource` is the DiagnosticReport as it came."""

    id: str
    patient: str
    status: str
    observations: tuple[Observation, ...]
    resource: dict[str, Any]

    @property
    def first(self) -> Observation:
        return self.observations[0]

    @property
    def urgency(self) -> str:
        """critical where one value is, else routine."""
        return "critical" if any(one.flag in CRITICAL for one in self.observations) else "routine"

    def stored(self, version: int, at: float) -> dict[str, Any]:
        meta = {"versionId": str(version), "lastUpdated": fhir.instant(at)}
        return {**self.resource, "id": self.id, "meta": meta, "issued": fhir.instant(at)}


def read_report(body: bytes, id_: str) -> Report:
    """The report in a request about the identifier `id_`. Raises Refused 400 with what is missing."""
    resource = fhir.parse(body, "DiagnosticReport")
    named = fhir.identifier(resource, fhir.LAB)
    if named != id_:
        raise fhir.Refused(
            400, f"found the identifier {named!r} in a report about {id_!r}; expected the same"
        )
    patient = fhir.reference_id(resource.get("subject"), "Patient")
    status = resource.get("status")
    if not patient or status not in STATUSES:
        raise fhir.Refused(400, f"a DiagnosticReport needs a subject Patient/… and a status of {STATUSES}")
    found = fhir.read(_contained, body, "Observations with a code and a valueQuantity").contained
    observations = tuple(_observation(one) for one in found)
    if not observations:
        raise fhir.Refused(400, "a DiagnosticReport without a contained Observation; expected one or more")
    return Report(id_, patient, status, observations, resource)


def _observation(one: Observed) -> Observation:
    code = one.code.coding[0].code if one.code.coding else None
    if not code or one.valueQuantity.value is None:
        raise fhir.Refused(400, "an Observation needs a code and a valueQuantity with a value")
    said = one.interpretation[0].coding if one.interpretation else []
    flag = said[0].code if said and said[0].code else "N"
    return Observation(code, one.valueQuantity.value, one.valueQuantity.unit or "", flag)
