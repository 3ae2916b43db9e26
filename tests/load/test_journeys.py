"""What goes over the wire: valid FHIR, the right headers, and answers read for what they say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fhir.resources.R4B.claim import Claim
from fhir.resources.R4B.encounter import Encounter
from fhir.resources.R4B.medicationrequest import MedicationRequest

from load.journeys import (
    JOURNEYS,
    Answered,
    Known,
    Unreadable,
    dose_text,
    intended_value,
    read_answer,
    request_for,
    tagged_version,
    traceparent,
)
from tests.load.plans import operation

RESOURCES: dict[str, Any] = {
    "check_in": Encounter,
    "claim": Claim,
    "prescribe": MedicationRequest,
    "change_dose": MedicationRequest,
}


def body_of(journey: str) -> Any:
    return json.loads(request_for(operation(3, journey, 0.0, visit=7), Known(), "run-1").body)


@pytest.mark.parametrize("journey", RESOURCES)
def test_bodies_are_valid_fhir(journey: str) -> None:
    """Every body that is a FHIR resource passes a full validator."""
    resource = RESOURCES[journey].model_validate(body_of(journey))
    assert resource.get_resource_type() == RESOURCES[journey].get_resource_type()


@pytest.mark.parametrize("journey", JOURNEYS)
def test_every_request_is_traced_and_says_who_calls(journey: str) -> None:
    """W3C trace context and the caller's name are on every request."""
    headers = request_for(operation(3, journey, 0.0), Known(), "run-1").headers
    version, trace, span, flags = headers["traceparent"].split("-")
    assert (version, len(trace), len(span), flags) == ("00", 32, 16, "01")
    assert headers["x-caller"] == "client"


def test_traces_differ_by_operation_and_run_and_are_repeatable() -> None:
    """The same operation of the same run has the same trace; no other has."""
    assert traceparent("run-1", 1) == traceparent("run-1", 1)
    assert len({traceparent(run, n) for run in ("run-1", "run-2") for n in range(100)}) == 200


def test_a_check_in_carries_its_key_patient_and_coverage() -> None:
    """The Encounter identifier is also the Idempotency-Key."""
    op = operation(0, "check_in", 0.0, visit=7)
    request = request_for(op, Known(), "run-1")
    assert (request.method, request.path) == ("POST", "/checkins")
    assert request.headers["idempotency-key"] == op.key == "enc-abc123-000007"
    assert request.keyed
    body = json.loads(request.body)
    assert body["identifier"] == [{"system": "urn:codeblue:encounter", "value": op.key}]
    assert body["subject"] == {"reference": "Patient/pat-00001"}
    assert body["extension"][0]["valueReference"] == {"reference": "Coverage/cov-00001"}


def test_a_claim_opens_the_invoice_that_is_paid() -> None:
    """Claim and payment of a visit name one invoice and one amount."""
    claim = body_of("claim")
    assert claim["identifier"] == [
        {"system": "urn:codeblue:claim", "value": "clm-abc123-000007"},
        {"system": "urn:codeblue:invoice", "value": "inv-abc123-000007"},
    ]
    assert claim["total"] == {"value": 12.5, "currency": "USD"}
    pay = request_for(operation(1, "pay", 0.0, visit=7), Known(), "run-1")
    assert (pay.method, pay.path) == ("POST", "/invoices/inv-abc123-000007/pay")
    assert pay.headers["idempotency-key"] == "pay-abc123-000007"
    assert json.loads(pay.body) == {"amount": 12.5}


def test_a_prescription_is_made_once_and_changed_conditionally() -> None:
    """POST with If-None-Exist, then PUT with If-Match on the known version; the dose stands as text and
    number."""
    make = request_for(operation(0, "prescribe", 0.0), Known(), "run-1")
    assert (make.method, make.path) == ("POST", "/fhir/MedicationRequest")
    assert make.headers["if-none-exist"] == "identifier=rx-abc123-000000"
    change = request_for(operation(1, "change_dose", 0.0, dose_mg=2.5), Known(4), "run-1")
    assert (change.method, change.path) == ("PUT", "/fhir/MedicationRequest/rx-abc123-000000")
    assert (change.headers["if-match"], change.expected_version) == ('W/"4"', 4)
    dosage = json.loads(change.body)["dosageInstruction"][0]
    assert dosage["text"] == "2.5 mg"
    assert dosage["doseAndRate"][0]["doseQuantity"]["value"] == 2.5


def test_a_change_of_an_unknown_version_is_unconditional() -> None:
    """Without a version seen there is no If-Match to invent."""
    change = request_for(operation(1, "change_dose", 0.0), Known(), "run-1")
    assert "if-match" not in change.headers
    assert change.expected_version is None


def test_two_dispenses_of_a_visit_are_two_things() -> None:
    """The dispense identifier is of the operation, not of the visit."""
    first, second = (
        json.loads(request_for(operation(n, "dispense", 0.0), Known(), "run-1").body) for n in (8, 9)
    )
    assert first["prescription"] == second["prescription"] == "rx-abc123-000000"
    assert first["identifier"] == "md-abc123-000000-8"
    assert second["identifier"] == "md-abc123-000000-9"


def test_a_view_is_a_read_without_body() -> None:
    """GET of the work list by prescription."""
    request = request_for(operation(0, "view_dose", 0.0), Known(), "run-1")
    assert (request.method, request.path, request.body) == ("GET", "/worklist/rx-abc123-000000", b"")


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
        ("prescribe", 201, {"etag": 'W/"1"'}, {}, Answered(version=1, value="5 mg")),
        ("change_dose", 200, {}, {"meta": {"versionId": "2"}}, Answered(version=2, value="5 mg")),
        ("view_dose", 200, {}, {"version": 2, "dose": "5 mg"}, Answered(version=2, value="5 mg")),
        ("dispense", 201, {}, DISPENSE, Answered(version=3, value="5 mg")),
        ("dispense", 202, {}, {}, Answered(label="held")),
    ],
)
def test_an_answer_is_read_for_what_it_says(
    journey: str, status: int, headers: dict[str, str], body: object, expected: Answered
) -> None:
    """Version, value, label and age come from the answer's own fields."""
    op = operation(0, journey, 0.0)
    assert read_answer(op, status, headers, json.dumps(body).encode()) == expected


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
        ("dispense", {}, b'{"authorizingPrescription": []}'),
    ],
)
def test_an_answer_that_does_not_say_it_is_unreadable(
    journey: str, headers: dict[str, str], body: bytes
) -> None:
    """Never a guess: what is missing or malformed is told with the journey, the status and the body."""
    with pytest.raises(Unreadable, match=f"{journey} answered 200"):
        read_answer(operation(0, journey, 0.0), 200, headers, body)


def test_versions_are_read_from_weak_and_strong_tags() -> None:
    """W/"3" and "3" both say 3."""
    assert (tagged_version('W/"3"'), tagged_version('"3"'), tagged_version("3")) == (3, 3, 3)


def test_doses_are_one_text_everywhere() -> None:
    """Whole and broken doses have one spelling, which records and answers are compared by."""
    assert [dose_text(dose) for dose in (5.0, 2.5, 0.05, 0.0125)] == [
        "5 mg",
        "2.5 mg",
        "0.05 mg",
        "0.0125 mg",
    ]
    assert intended_value(operation(0, "view_dose", 0.0)) is None
