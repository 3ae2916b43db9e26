"""The workload of the reference system: the plans, the bytes on the wire and the answers that it has always
had."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.allergyintolerance import AllergyIntolerance
from fhir.resources.R4B.claim import Claim
from fhir.resources.R4B.communication import Communication
from fhir.resources.R4B.diagnosticreport import DiagnosticReport
from fhir.resources.R4B.encounter import Encounter
from fhir.resources.R4B.medicationrequest import MedicationRequest
from fhir.resources.R4B.servicerequest import ServiceRequest

from execution.catalogue import default_catalogue
from execution.options import Options
from execution.runs.preflight import planner
from experiment.requests import PlannedOperation, Request
from experiment.traces import traced
from experiment.workload import Answered, Known, Unreadable, load_workload
from load.exchange import Endpoint
from reference_system.workload import staff
from runtimes.runtime import RunSettings
from runtimes.service_files import reset_body
from tests.load.plans import operation

CATALOGUE = default_catalogue()
SYSTEM = CATALOGUE.system()
WORKLOAD = load_workload(SYSTEM)
WIRE = Path(__file__).parent / "requests"
DAY = "2026-02-03"
RESOURCES: dict[str, Any] = {
    "check_in": Encounter,
    "claim": Claim,
    "notify_critical": Communication,
    "prescribe": MedicationRequest,
    "change_dose": MedicationRequest,
    "stop": MedicationRequest,
    "order_lab": ServiceRequest,
    "report_result": DiagnosticReport,
    "correct_result": DiagnosticReport,
    "note_allergy": AllergyIntolerance,
}
HL7: dict[str, dict[str, float | str]] = {
    "send_hl7": {"message": "ORU^R01", "number": 4},
    "deliver_hl7": {"message": "ORU^R01", "number": 4},
    "tell_of_patient": {"number": 4},
    "send_odd_hl7": {"defect": "wrong_type", "number": 4},
    "send_file": {"defect": "twice"},
}


MORE: dict[str, dict[str, Any]] = {  # arguments besides who it is
    "forbidden_order": {"medication": "warfarin oral tablet", "dose_mg": 2.5},
    "forbidden_change": {"medication": "warfarin oral tablet", "dose_mg": 2.5},
    "forbidden_report": {"potassium": 6.9, "status": "final"},
}


def planned(journey: str, number: int = 3) -> PlannedOperation:
    if journey in HL7:
        made = operation(number, journey, 0.5, visit=7)
        return replace(made, arguments={**made.arguments, **HL7[journey]})
    if journey == "pay_other_amount":
        return operation(number, journey, 0.5, visit=7, other_amount=120.5)
    if journey in ("prescribe", "change_dose", "stop"):
        return operation(number, journey, 0.5, visit=7, dose_mg=2.5)
    if journey in ("report_result", "report_critical", "correct_result"):
        status = "corrected" if journey == "correct_result" else "final"
        return operation(number, journey, 0.5, visit=7, potassium=6.9, status=status)
    if journey in staff.JOURNEYS:
        more = MORE.get(journey, {})
        return operation(number, journey, 0.5, visit=7, user=staff.user_of(journey, "pat-00001"), **more)
    if journey in staff.OF_ENGAGED:
        return operation(number, journey, 0.5, visit=7, ward=staff.ward_of("pat-00001"))
    return operation(number, journey, 0.5, visit=7)


def request_of(journey: str, version: int | None = None, number: int = 3) -> Request:
    return WORKLOAD.request(planned(journey, number), Known(version, DAY))


def read(journey: str, status: int, headers: dict[str, str], body: bytes) -> Answered:
    return WORKLOAD.read(planned(journey), status, headers, body)


@pytest.mark.parametrize("path", sorted(WIRE.glob("*.http")), ids=lambda path: path.stem)
def test_every_journey_sends_the_bytes_that_it_has_always_sent(path: Path) -> None:
    """Whether Python makes the request or system.yaml says it: the first byte to the last."""
    journey, _, version = path.stem.partition("_of_version_")
    request, _ = traced(request_of(journey, int(version) if version else None), "run-1", 3)
    sent = Endpoint("http://127.0.0.1:8080")._encode(request)
    assert sent == path.read_bytes()


def test_the_bytes_of_every_journey_are_written_down() -> None:
    """A new journey brings its file along."""
    assert {path.stem.partition("_of_version_")[0] for path in WIRE.glob("*.http")} == set(SYSTEM.journeys)


@pytest.mark.parametrize(
    ("scenario", "design", "seed", "count", "token", "digest"),
    [
        ("control", "fragile", 1, 258, "244e23", "130cf5c73346fc3d"),
        ("control", "fragile", 2, 308, "009d2a", "85ed44b17cee9b0f"),
        ("control", "resilient", 77, 286, "7b834c", "c430e3469704ec46"),
        ("charge_response_lost", "fragile", 1, 413, "253414", "d82cb08b922c1143"),
        ("charge_response_lost", "resilient", 2, 432, "53fdee", "141e21aef19545ee"),
        ("charge_response_lost", "resilient", 77, 408, "82485b", "42ca2edc1c4e6218"),
    ],
)
def test_a_seed_gives_the_plan_that_it_has_always_given(
    scenario: str, design: str, seed: int, count: int, token: str, digest: str
) -> None:
    """Times, keys, patients, medicines, doses and amounts, to the last digit."""
    chosen = CATALOGUE.scenario(scenario, SYSTEM), CATALOGUE.design(design, SYSTEM)
    made = planner(SYSTEM, Options())(*chosen, seed)
    drawn = [
        (
            op.id,
            op.journey,
            op.at_s.hex(),
            op.key,
            op.visit,
            op.needs,
            op.arguments["patient"],
            op.arguments["coverage"],
            op.arguments.get("medication", ""),
            op.arguments.get("dose_mg"),
            op.arguments["amount"] if op.journey in ("claim", "pay") else None,
        )
        for op in made.operations
    ]
    assert (len(drawn), made.run_id) == (count, f"{scenario}-{design}-s{seed}-{token}")
    assert hashlib.sha256(json.dumps(drawn).encode()).hexdigest()[:16] == digest


def test_the_services_are_given_the_patients_that_they_have_always_been_given() -> None:
    """POST /admin/reset carries the population beside the design."""
    population = WORKLOAD.population(None, 7)
    body = reset_body(RunSettings("r-1", 7, CATALOGUE.design("fragile", SYSTEM), population))
    plain, told = json.loads(body), ["staff", "care"]
    assert list(plain) == ["run", "seed", "design", "clock_scale", "patients", "coverages", *told]
    known = json.dumps([plain["patients"], plain["coverages"]]).encode()
    assert hashlib.sha256(known).hexdigest()[:16] == "886ebf0eae8c59f0"


@pytest.mark.parametrize("journey", RESOURCES)
def test_bodies_are_valid_fhir(journey: str) -> None:
    """Every body that is a FHIR resource passes a full validator."""
    resource = RESOURCES[journey].model_validate(json.loads(request_of(journey).body))
    assert resource.get_resource_type() == RESOURCES[journey].get_resource_type()


def test_two_dispenses_of_a_visit_are_two_things() -> None:
    """The dispense identifier is of the operation, not of the visit."""
    first, second = (json.loads(request_of("dispense", number=n).body) for n in (8, 9))
    assert first["prescription"] == second["prescription"] == "rx-abc123-000007"
    assert (first["identifier"], second["identifier"]) == ("md-abc123-000007-8", "md-abc123-000007-9")


def test_only_keyed_and_conditional_journeys_are_known_as_such() -> None:
    """What the twin is told of the requests."""
    traits = {name: WORKLOAD.traits(planned(name)) for name in SYSTEM.journeys}
    assert {name for name, one in traits.items() if one is not None and one.keyed} == {
        "check_in",
        "pay",
        "pay_other_amount",
        "forbidden_check_in",
    }
    assert {name for name, one in traits.items() if one is not None and one.conditional} == {
        "change_dose",
        "forbidden_change",
        "stop",
    }


DISPENSE = {
    "authorizingPrescription": [{"reference": "MedicationRequest/rx-1/_history/3"}],
    "dosageInstruction": [{"text": "5 mg"}],
}


@pytest.mark.parametrize(
    ("journey", "status", "headers", "body", "expected"),
    [
        (
            "check_in",
            201,
            {},
            {"extension": [{"url": "urn:codeblue:eligibility", "valueCode": "in-force"}]},
            Answered(value="in-force"),
        ),
        (
            "check_in",
            201,
            {},
            {"extension": [{"url": "urn:codeblue:eligibility", "valueCode": "pending"}]},
            Answered(value="pending", label="pending"),
        ),
        (
            "check_in",
            201,
            {"x-label": "cached", "x-age-ms": "250"},
            {"extension": []},
            Answered(label="cached", age=0.25),
        ),
        ("claim", 201, {}, {"status": "submitted"}, Answered(value="submitted")),
        ("claim", 202, {}, {"status": "queued"}, Answered(value="queued", label="pending")),
        ("pay", 200, {}, {"status": "paid"}, Answered(value="paid")),
        ("pay", 202, {}, {"status": "processing"}, Answered(value="processing", label="pending")),
        ("prescribe", 201, {"etag": 'W/"1"'}, {}, Answered(version=1, value="2.5 mg")),
        ("change_dose", 200, {}, {"meta": {"versionId": "2"}}, Answered(version=2, value="2.5 mg")),
        ("view_dose", 200, {}, {"version": 2, "dose": "5 mg"}, Answered(version=2, value="5 mg")),
        ("dispense", 201, {}, DISPENSE, Answered(version=3, value="5 mg")),
        ("dispense", 202, {}, {}, Answered(label="held")),
    ],
)
def test_an_answer_is_read_for_what_it_says(
    journey: str, status: int, headers: dict[str, str], body: object, expected: Answered
) -> None:
    """Version, value, label and age come from the answer's own fields."""
    assert read(journey, status, headers, json.dumps(body).encode()) == expected


@pytest.mark.parametrize(
    ("journey", "headers", "body"),
    [
        ("view_dose", {}, b"<html>"),
        ("view_dose", {}, b""),
        ("view_dose", {}, b"{}"),
        ("view_dose", {}, b'{"version": "x", "dose": "5 mg"}'),
        ("view_dose", {"x-age-ms": "old"}, b'{"version": 1, "dose": "5 mg"}'),
        ("prescribe", {}, b"{}"),
        ("prescribe", {"etag": '"abc"'}, b"{}"),
        ("check_in", {}, b"[]"),
        ("check_in", {}, b'{"extension": 7}'),
        ("check_in", {}, b'{"extension": [7]}'),
        ("claim", {}, b"<html>"),
        ("pay", {}, b"{}"),
        ("dispense", {}, b'{"authorizingPrescription": []}'),
        ("dispense", {}, b'{"authorizingPrescription": [{"reference": "Medication/1"}]}'),
    ],
)
def test_an_answer_that_does_not_say_it_is_unreadable(
    journey: str, headers: dict[str, str], body: bytes
) -> None:
    """Never a guess, and never taken for a mistake of the workload: told with the status and the body."""
    with pytest.raises(Unreadable, match="200 with"):
        read(journey, 200, headers, body)


def test_doses_are_one_text_everywhere() -> None:
    """Whole and broken doses have one spelling, which records and answers are compared by."""
    doses = [operation(0, "prescribe", 0.0, dose_mg=dose) for dose in (5.0, 2.5, 0.05, 0.0125)]
    assert [WORKLOAD.intended_value(op) for op in doses] == ["5 mg", "2.5 mg", "0.05 mg", "0.0125 mg"]
    assert WORKLOAD.intended_value(operation(0, "view_dose", 0.0)) is None
