"""Every route that takes a body gets bodies of the wrong shape: each is refused, none breaks a service."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from tests.reference_system import journeys
from tests.reference_system.cluster import Cluster, coverage, patient

pytestmark = pytest.mark.live

WRONG: tuple[Any, ...] = (None, True, -1, 1e308, 10**400, "", "a\u0000b", "\ud800", [], [None], {}, [[{}]])
NOT_JSON = (b"", b"{", b"null", b"[]", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"a": "\xff"}')
RESOURCES = {"identifier": [{"system": "urn:codeblue:encounter", "value": "enc-fuzz"}], "status": "active"}
ELIGIBILITY = {
    "resourceType": "CoverageEligibilityRequest",
    **RESOURCES,
    "patient": {"reference": "Patient/pat-1"},
    "insurance": [{"coverage": {"reference": "Coverage/cov-1"}}],
}
CLAIMS = {"claims": [{"claim": "clm-1", "amount": 3.0, "key": "clm-1"}]}
RESET = {"run": "r", "seed": 1, "clock_scale": 1.0, "patients": [patient(1)], "coverages": [coverage(1)]}
BODIES: tuple[tuple[str, str, str, Any], ...] = (
    ("checkin", "POST", "/checkins", journeys.encounter("enc-fuzz", 1)),
    ("registry", "POST", "/fhir/AllergyIntolerance", journeys.allergy("alg-fuzz", 1)),
    ("eligibility", "POST", "/fhir/CoverageEligibilityRequest", ELIGIBILITY),
    ("payer", "POST", "/x12/270", {"coverage": "cov-1"}),
    ("payer", "POST", "/x12/837", CLAIMS),
    ("registry", "PUT", "/fhir/Patient/pat-1", patient(1)),
    ("prescriptions", "POST", "/fhir/MedicationRequest", journeys.medication("rx-fuzz", n=1)),
    ("prescriptions", "PUT", "/fhir/MedicationRequest/rx-1", journeys.medication("rx-1", n=1)),
    ("prescriptions", "POST", "/fhir/MedicationRequest/rx-1/$reserve", {"dispense": "md-1"}),
    ("pharmacy", "POST", "/dispenses", {"prescription": "rx-1", "identifier": "md-1"}),
    ("billing", "POST", "/claims", journeys.claim_body("clm-fuzz", "inv-fuzz")),
    ("billing", "POST", "/invoices/inv-1/pay", {"amount": 1.0}),
    ("payments", "POST", "/v1/charges", {"invoice": "inv-1", "amount": 1.0}),
    ("payments", "POST", "/v1/refunds", {"charge": "ch-1"}),
    ("notify", "POST", "/fhir/Communication", journeys.communication("ntf-fuzz")),
    ("notify", "POST", "/sessions", {"identifier": "ses-fuzz", "patient": "pat-1"}),
    ("notify", "POST", "/sessions/ses-1/participants", {"participant": "Practitioner/prac-1"}),
    ("sms", "POST", "/v1/messages", {"about": "ntf-1", "kind": "page"}),
    ("payer", "PUT", "/admin/behaviour/lost_response", {"share": 0.0, "caller": "x"}),
)


def mutated(body: Any) -> Iterator[Any]:
    """The body with every value at every depth replaced by every wrong one, and left out."""
    if isinstance(body, dict | list):
        for place in list(body) if isinstance(body, dict) else range(len(body)):
            for wrong in (*WRONG, *mutated(body[place])):
                changed = copy.copy(body)
                changed[place] = wrong
                yield changed
            changed = copy.copy(body)
            del changed[place]
            yield changed


@pytest.mark.parametrize(("service", "method", "path", "body"), BODIES)
def test_a_malformed_body_is_refused(
    cluster: Cluster, service: str, method: str, path: str, body: Any
) -> None:
    """No wrong type anywhere in a body is the server's own error; what is refused says why."""
    cluster.heal()
    cluster.reset(cluster.design("resilient"))
    journeys.prescribe(cluster, "rx-1")
    journeys.claim(cluster, "1")
    journeys.open_session(cluster, "ses-1")
    for number, wrong in zip(itertools.count(), [*NOT_JSON, *mutated(body)], strict=False):
        headers = {"idempotency-key": f"fuzz-{number}", "if-match": 'W/"1"'}
        answer = cluster.call(service, method, path, wrong, headers=headers)
        assert answer.status < 500, (wrong if isinstance(wrong, bytes) else repr(wrong)[:300], answer)


@pytest.mark.parametrize("service", ["registry", "payer"])
def test_a_malformed_reset_is_refused_and_changes_nothing(cluster: Cluster, service: str) -> None:
    """A reset that cannot be carried out is 400, and the run that was on goes on."""
    cluster.heal()
    run = cluster.reset(cluster.design("resilient"))
    for wrong in ({}, {**RESET, "patients": [1]}, {**RESET, "patients": [{}], "coverages": [{}]}):
        assert cluster.call(service, "POST", "/admin/reset", wrong).status == 400
    assert cluster.call(service, "GET", "/metrics").body["run"] == run


@pytest.mark.parametrize(
    ("service", "path"),
    [
        ("registry", "/fhir/Patient/a%00b"),
        ("pharmacy", "/worklist/a%00b"),
        ("checkin", "/fhir/Encounter?identifier=a%00b"),
        ("payments", "/v1/charges?invoice=a%00b"),
    ],
)
def test_a_name_that_no_table_can_hold_is_refused(cluster: Cluster, service: str, path: str) -> None:
    """The character NUL in a path or a query is 400, not an error of the database."""
    assert cluster.call(service, "GET", path).status == 400
