"""What a message asks of other services, as FHIR: a report of the laboratory, a prescription, a patient's
record."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import hl7

from reference_system.common import fhir
from reference_system.services.hl7_gateway.messages import Reading, field, first, part

LAB, REGISTRY, PRESCRIPTIONS = "lab", "registry", "prescriptions"
CALLEES = (LAB, REGISTRY, PRESCRIPTIONS)
What = Literal["report", "order", "change", "person", "merged"]

# Events of ADT that tell who a patient is; the others tell where she is, which no other service keeps.
DEMOGRAPHICS = frozenset({"A01", "A04", "A05", "A08", "A28", "A31"})
MERGE = "A40"
REPORTED = {"C": "corrected", "F": "final", "P": "preliminary"}
STOPPED = frozenset({"CA", "DC", "OC", "OD"})  # of ORC-1
NEW = frozenset({"NW", "OK", ""})
GENDERS = {"F": "female", "M": "male", "O": "other", "U": "unknown"}
UNFIT = re.compile(r"[^A-Za-z0-9._:-]+")  # in the name of a resource


@dataclass(frozen=True, slots=True)
class Delivery:
    """One resource for one service. `key` is what it is called there; `status` is C for a correction, which
    wins over what it corrects."""

    callee: str
    key: str
    what: What
    body: bytes
    status: str = ""


def deliveries(reading: Reading) -> tuple[Delivery, ...]:
    """What a message that can be applied asks of others: one resource a name, nothing where it says nothing
    that they keep, or has no name that they could use."""
    of, event = reading.header.kind.partition("^")[::2]
    makes = {"ORU": _reports, "RDE": _prescriptions, "OMP": _prescriptions}.get(of)
    if reading.code != "AA" or not fhir.KEY.fullmatch(reading.patient):
        return ()
    if of == "ADT":
        return tuple(_persons(reading, event))
    return tuple(makes(reading)) if makes is not None else ()


def _name(reading: Reading, order: str) -> str:
    """Numbers of orders are unique in the system that gave them, not among all."""
    return UNFIT.sub("-", f"{reading.header.sender}-{order or reading.header.control}")[:128]


def _encoded(kind: str, **fields: Any) -> bytes:
    return fhir.encode({"resourceType": kind, **fields})


# results


def _reports(reading: Reading) -> Iterator[Delivery]:
    """One for each order that has a value in numbers; text and pictures stay in the message."""
    orders: dict[str, list[hl7.Segment]] = {}
    name = _name(reading, "")
    for segment in reading.segments:
        kind = field(segment, 0)
        if kind == "OBR":
            name = _name(reading, first(segment, 3) or first(segment, 2))
        elif kind == "OBX" and first(segment, 2) == "NM" and first(segment, 5):
            orders.setdefault(name, []).append(segment)
    for key, observed in orders.items():
        yield _report(reading, key, observed)


def _report(reading: Reading, key: str, observed: Sequence[hl7.Segment]) -> Delivery:
    told = {first(segment, 11) for segment in observed}
    status = next((code for code in REPORTED if code in told), "F")
    subject = {"reference": f"Patient/{reading.patient}"}
    contained = [_observation(number, one, subject) for number, one in enumerate(observed, 1)]
    body = _encoded(
        "DiagnosticReport",
        identifier=[
            {"system": fhir.LAB, "value": key},
            {"system": fhir.CONTROL, "value": reading.header.control},
        ],
        status=REPORTED[status],
        code=contained[0]["code"],
        subject=subject,
        contained=contained,
        result=[{"reference": f"#{one['id']}"} for one in contained],
    )
    return Delivery(LAB, key, "report", body, status)


def _observation(number: int, segment: hl7.Segment, subject: dict[str, str]) -> dict[str, Any]:
    unit = first(segment, 6)
    quantity = {"value": float(first(segment, 5)), **({"unit": unit} if unit else {})}
    flag = first(segment, 8)
    said = {"interpretation": [{"coding": [{"system": fhir.INTERPRETATION, "code": flag}]}]} if flag else {}
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": REPORTED.get(first(segment, 11), "final"),
        "code": {"coding": [{"system": "http://loinc.org", "code": first(segment, 3)}]},
        "subject": subject,
        "valueQuantity": quantity,
        **said,
    }


# prescriptions


def _prescriptions(reading: Reading) -> Iterator[Delivery]:
    """An order (ORC) with what is to be given (RXE, or RXO of an order that no pharmacy has seen)."""
    control, order = "", ""
    found: dict[str, Delivery] = {}
    for segment in reading.segments:
        kind = field(segment, 0)
        if kind == "ORC":
            control, order = first(segment, 1), first(segment, 2) or first(segment, 3)
        elif kind in ("RXE", "RXO"):
            medicine, amount, unit = (2, 3, 5) if kind == "RXE" else (1, 2, 4)
            dose = f"{first(segment, amount)} {first(segment, unit)}".strip()
            names = part(segment, medicine, 2) or first(segment, medicine)
            key = _name(reading, order)
            stopped = control in STOPPED
            body = _encoded(
                "MedicationRequest",
                identifier=[{"system": fhir.RX, "value": key}],
                status="stopped" if stopped else "active",
                intent="order",
                medicationCodeableConcept={"text": names},
                subject={"reference": f"Patient/{reading.patient}"},
                dosageInstruction=[{"text": dose}],
            )
            found[key] = Delivery(PRESCRIPTIONS, key, "order" if control in NEW else "change", body, control)
    yield from found.values()


# patients


def _persons(reading: Reading, event: str) -> Iterator[Delivery]:
    """Who a patient is, and whose record was merged into hers."""
    found = {field(segment, 0): segment for segment in reversed(reading.segments)}
    if event == MERGE:
        before = first(found["MRG"], 1)
        if fhir.KEY.fullmatch(before) and before != reading.patient:
            link = [{"other": {"reference": f"Patient/{reading.patient}"}, "type": "replaced-by"}]
            yield Delivery(REGISTRY, before, "merged", _encoded("Patient", active=False, link=link), event)
        return
    if event not in DEMOGRAPHICS:
        return
    said = _person(found["PID"])
    if said:
        yield Delivery(REGISTRY, reading.patient, "person", _encoded("Patient", **said), event)


def _person(segment: hl7.Segment) -> dict[str, Any]:
    """What PID says; what it leaves out stays as it is."""
    family, given, born = first(segment, 5), part(segment, 5, 2), first(segment, 7)
    said: dict[str, Any] = {}
    if family:
        said["name"] = [{"family": family, **({"given": [given]} if given else {})}]
    if len(born) >= 8 and born[:8].isdecimal():
        said["birthDate"] = f"{born[:4]}-{born[4:6]}-{born[6:8]}"
    if first(segment, 8) in GENDERS:
        said["gender"] = GENDERS[first(segment, 8)]
    return said
