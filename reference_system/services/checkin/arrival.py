"""What a check-in request says, read once."""

from __future__ import annotations

from dataclasses import dataclass

from reference_system.common import fhir
from reference_system.common.patterns import idempotency


@dataclass(frozen=True, slots=True)
class Arrival:
    """A patient at the door. `key` is the business key of the check-in, the same in every repeat."""

    key: str
    patient: str
    coverage: str
    encounter: fhir.Resource
    fingerprint: str


def read_arrival(body: bytes, key: str | None, key_required: bool) -> Arrival:
    """Raises fhir.Refused 400 with what is missing."""
    encounter = fhir.parse(body, "Encounter")
    identifier = fhir.identifier(encounter, fhir.ENCOUNTER)
    if key_required and not key:
        raise fhir.Refused(400, "no Idempotency-Key; expected the check-in's own key in that header")
    if key and not fhir.KEY.fullmatch(key):
        raise fhir.Refused(400, f"Idempotency-Key {key!r}; expected up to 128 letters, digits, and . _ : -")
    chosen = key or identifier
    patient = fhir.reference_id(encounter.get("subject"), "Patient")
    coverage = fhir.coverage_of(encounter)
    if not chosen or not patient or not coverage:
        missing = [
            name
            for name, value in (("identifier", chosen), ("subject", patient), ("coverage", coverage))
            if not value
        ]
        raise fhir.Refused(400, f"the Encounter has no {', '.join(missing)}")
    return Arrival(chosen, patient, coverage, encounter, idempotency.fingerprint(body))
