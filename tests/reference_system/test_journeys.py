"""What the system does when nothing is broken, in the resilient design, over real PostgreSQL and NATS."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from tests.reference_system import journeys
from tests.reference_system.cluster import Cluster, wait_for

pytestmark = pytest.mark.live


@pytest.fixture
def system(cluster: Cluster) -> Cluster:
    cluster.reset(cluster.design("resilient"))
    return cluster


def valid(resource: dict[str, Any]) -> dict[str, Any]:
    """Raises unless a full FHIR R4 validator accepts the resource."""
    get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    return resource


def test_a_check_in_is_on_record_with_its_insurance(system: Cluster) -> None:
    """An accepted check-in is one Encounter whose eligibility agrees with the payer's truth."""
    first, second = journeys.check_in(system, "enc-a1", 0), journeys.check_in(system, "enc-a2", 4)
    assert (first.status, first.headers["x-eligibility"]) == (201, "in-force")
    assert (second.status, second.headers["x-eligibility"]) == (201, "not-covered")
    system.settled()
    rows = {row["key"]: row["status"] for row in system.records("checkin", "encounter")}
    assert rows == {"enc-a1": "in-force", "enc-a2": "not-covered"}


def test_a_repeated_check_in_is_the_same_encounter(system: Cluster) -> None:
    """The same key and body give 200 and the first Encounter; another body under the key is refused with
    422."""
    first, again = journeys.check_in(system, "enc-b1"), journeys.check_in(system, "enc-b1")
    assert (first.status, again.status) == (201, 200)
    assert again.body["id"] == first.body["id"]
    other = system.call(
        "checkin", "POST", "/checkins", journeys.encounter("enc-b1", 3), headers={"idempotency-key": "enc-b1"}
    )
    assert other.status == 422
    assert len(system.records("checkin", "encounter")) == 1


def test_an_invoice_is_paid_once(system: Cluster) -> None:
    """Paying twice gives the same charge; ledger, invoice and saga agree, and the claim is with the payer."""
    assert journeys.claim(system, "c1").status == 201
    assert journeys.claim(system, "c1").status == 200
    paid, again = journeys.pay(system, "c1"), journeys.pay(system, "c1")
    assert (paid.status, again.status) == (200, 200)
    assert paid.body["charge"] == again.body["charge"]
    system.settled()
    assert [row["amount"] for row in system.records("payments", "charge")] == [120.5]
    assert [row["status"] for row in system.records("billing", "invoice")] == ["paid"]
    assert [row["status"] for row in system.records("billing", "saga")] == ["completed"]
    assert [row["key"] for row in system.records("payer", "claim")] == ["clm-c1"]


def test_a_claim_with_another_amount_is_refused(system: Cluster) -> None:
    """A known claim identifier with another amount is 422 and changes nothing."""
    journeys.claim(system, "c2", 10.0)
    assert journeys.claim(system, "c2", 11.0).status == 422
    assert system.call("billing", "GET", "/invoices/inv-c2").body["amount"] == 10.0


def test_an_invoice_belongs_to_one_claim(system: Cluster) -> None:
    """A second claim on a known invoice is 409 and leaves amount and ledger as they are."""
    journeys.claim(system, "c3", 10.0)
    for amount in (10.0, 11.0):
        body = journeys.claim_body("clm-other", "inv-c3", amount)
        assert system.call("billing", "POST", "/claims", body).status == 409
    system.settled()
    assert [row["key"] for row in system.records("billing", "claim")] == ["clm-c3"]
    assert "clm-other" not in {row["key"] for row in system.records("payer", "claim")}
    assert system.call("billing", "GET", "/invoices/inv-c3").body["amount"] == 10.0


def test_versions_form_a_chain(system: Cluster) -> None:
    """A change needs the current version: 412 names it, 428 asks for it, and every version stays in the
    history."""
    assert journeys.prescribe(system, "rx-d1").headers["etag"] == 'W/"1"'
    assert journeys.prescribe(system, "rx-d1").status == 200
    assert journeys.prescribe(system, "rx-d1", "other").status == 422
    assert journeys.change(system, "rx-d1", 1, "10 mg once daily").headers["etag"] == 'W/"2"'
    lost = journeys.change(system, "rx-d1", 1, "20 mg once daily")
    assert (lost.status, lost.headers["etag"]) == (412, 'W/"2"')
    path = "/fhir/MedicationRequest/rx-d1"
    assert system.call("prescriptions", "PUT", path, journeys.medication("rx-d1")).status == 428
    rows = system.records("prescriptions", "rx_version")
    assert [(row["version"], row["value"]) for row in rows] == [
        (1, "5 mg once daily"),
        (2, "10 mg once daily"),
    ]


def test_a_dispense_follows_the_current_version(system: Cluster) -> None:
    """Work list and hand-over show the version that was acknowledged last; a stopped one is not handed
    over."""
    journeys.prescribe(system, "rx-e1")
    journeys.change(system, "rx-e1", 1, "10 mg once daily")
    seen = journeys.view(system, "rx-e1")
    assert (seen.body["version"], seen.body["dose"]) == (2, "10 mg once daily")
    assert "x-label" not in seen.headers
    given, again = journeys.dispense(system, "rx-e1", "md-e1"), journeys.dispense(system, "rx-e1", "md-e1")
    assert (given.status, again.status) == (201, 200)
    assert given.body["authorizingPrescription"][0]["reference"].endswith("rx-e1/_history/2")
    journeys.change(system, "rx-e1", 2, "10 mg once daily", "stopped")
    assert journeys.dispense(system, "rx-e1", "md-e2").status == 409
    assert journeys.dispense(system, "rx-unknown", "md-e3").status == 404
    assert [row["version"] for row in system.records("pharmacy", "dispense")] == [2]


def test_the_copy_in_pharmacy_follows_the_events(system: Cluster) -> None:
    """After settling, pharmacy's projection equals the newest version of every prescription."""
    for n in range(5):
        journeys.prescribe(system, f"rx-f{n}")
        journeys.change(system, f"rx-f{n}", 1, "10 mg")
    system.settled()

    def newest() -> bool:
        return sorted(row["version"] for row in system.records("pharmacy", "projection")) == [2] * 5

    wait_for("the projection", newest)


def test_a_patient_is_not_overwritten(system: Cluster) -> None:
    """Registry takes a change under the current ETag only."""
    path = "/fhir/Patient/pat-1"
    held = system.call("registry", "GET", path)
    assert held.headers["etag"] == 'W/"1"'
    body = {**held.body, "gender": "female"}
    assert system.call("registry", "PUT", path, body, headers={"if-match": 'W/"1"'}).status == 200
    assert system.call("registry", "PUT", path, body, headers={"if-match": 'W/"1"'}).status == 412
    unknown = "/fhir/Patient/pat-unknown"
    assert system.call("registry", "PUT", unknown, body, headers={"if-match": 'W/"3"'}).status == 412
    assert system.call("registry", "GET", unknown).status == 404


def test_what_leaves_the_system_is_valid_fhir(system: Cluster) -> None:
    """Encounter, bundles, Claim, MedicationRequest, MedicationDispense, Patient, Coverage and
    OperationOutcome pass a full FHIR R4 validator."""
    valid(journeys.check_in(system, "enc-g1").body)
    valid(system.call("checkin", "GET", "/fhir/Encounter?identifier=enc-g1").body)
    valid(journeys.claim(system, "g1").body)
    valid(journeys.prescribe(system, "rx-g1").body)
    valid(journeys.change(system, "rx-g1", 1, "1 mg", "stopped").body)
    valid(system.call("prescriptions", "GET", "/fhir/MedicationRequest/rx-g1/_history").body)
    valid(journeys.change(system, "rx-g1", 1, "2 mg").body)
    journeys.prescribe(system, "rx-g2")
    valid(journeys.dispense(system, "rx-g2", "md-g1").body)
    valid(system.call("registry", "GET", "/fhir/Patient/pat-1").body)
    valid(system.call("eligibility", "GET", "/fhir/Coverage/cov-1").body)


def test_an_eligibility_answer_is_valid_fhir(system: Cluster) -> None:
    """Eligibility answers with a valid CoverageEligibilityResponse."""
    request = {
        "resourceType": "CoverageEligibilityRequest",
        "identifier": [{"system": "urn:codeblue:encounter", "value": "enc-h1"}],
        "status": "active",
        "purpose": ["validation"],
        "patient": {"reference": "Patient/pat-1"},
        "created": "2026-01-05",
        "insurer": {"reference": "Organization/payer"},
        "insurance": [{"focal": True, "coverage": {"reference": "Coverage/cov-1"}}],
    }
    valid(request)
    answer = system.call("eligibility", "POST", "/fhir/CoverageEligibilityRequest", request)
    assert answer.status == 200
    assert valid(answer.body)["insurance"][0]["inforce"] is True


Send = Callable[[Cluster], Any]


@pytest.mark.parametrize(
    ("send", "status"),
    [
        (lambda c: c.call("checkin", "POST", "/checkins", b"{", headers={"idempotency-key": "x"}), 400),
        (lambda c: c.call("checkin", "POST", "/checkins", {"resourceType": "Patient"}), 400),
        (lambda c: c.call("checkin", "POST", "/checkins", journeys.encounter("enc-i")), 400),
        (lambda c: journeys.check_in(c, "enc-i", 9999), 404),
        (lambda c: c.call("billing", "POST", "/claims", {"resourceType": "Claim"}), 400),
        (lambda c: c.call("billing", "POST", "/claims", journeys.claim_body("a\r\nb", "inv-1")), 400),
        (lambda c: journeys.pay(c, "unknown"), 404),
        (lambda c: journeys.change(c, "rx-unknown", 10**12, "x"), 400),
        (lambda c: journeys.change(c, "rx-unknown", 1, "x"), 404),
        (lambda c: c.call("pharmacy", "POST", "/dispenses", {}), 400),
        (lambda c: c.call("payments", "POST", "/v1/charges", {"invoice": 1}), 400),
        (lambda c: c.call("payments", "POST", "/v1/charges", {"invoice": "inv-1", "amount": -1}), 400),
        (lambda c: c.call("payments", "POST", "/v1/charges", {"invoice": "inv-1", "amount": True}), 400),
        (lambda c: journeys.claim(c, "negative", -5.0), 400),
        (lambda c: journeys.claim(c, "truth", True), 400),
        (lambda c: c.call("payer", "PUT", "/admin/behaviour/nonsense", {}), 404),
        (lambda c: c.call("payer", "PUT", "/admin/behaviour/lost_response", {"shar": 1}), 400),
    ],
)
def test_a_bad_request_is_refused_with_its_reason(system: Cluster, send: Send, status: int) -> None:
    """Whatever is wrong with a request is said in an OperationOutcome."""
    answer = send(system)
    assert answer.status == status
    assert answer.body["resourceType"] == "OperationOutcome"
    assert answer.body["issue"][0]["diagnostics"]


def test_one_trace_runs_through_all_services(system: Cluster) -> None:
    """The trace id of the client's traceparent is in the spans of every service that the check-in
    reached, over HTTP and over events."""
    trace = "ab" * 16
    headers = {"idempotency-key": "enc-j1", "traceparent": f"00-{trace}-{'cd' * 8}-01"}
    system.call("checkin", "POST", "/checkins", journeys.encounter("enc-j1"), headers=headers)

    def services() -> bool:
        found = {
            (span["service"], span["kind"])
            for path in system.folder.glob("*.spans.jsonl")
            for span in map(__import__("json").loads, path.read_text().splitlines())
            if span["trace"] == trace
        }
        wanted = {
            ("checkin", "server"),
            ("registry", "server"),
            ("eligibility", "server"),
            ("payer", "server"),
        }
        return wanted | {("eligibility", "consumer"), ("checkin", "consumer")} <= found

    wait_for("spans of the trace", services)


def test_a_reset_empties_everything(system: Cluster) -> None:
    """After a reset no service knows a record or a counter of the run before. The collector hears at once of
    what services do by themselves in the new one."""
    journeys.check_in(system, "enc-k1")
    journeys.claim(system, "k1")
    journeys.pay(system, "k1")
    journeys.prescribe(system, "rx-k1")
    before = time.time()
    system.reset(system.design("resilient"))
    assert all(span["at"] >= before for span in system.call("telemetry", "GET", "/records").body)
    for service in set(system.services) - {"telemetry"}:
        assert system.call(service, "GET", "/records").body == []
        assert system.call(service, "GET", "/metrics").body["requests"] == 0


def test_what_is_under_way_at_a_reset_does_not_reach_the_next_run(system: Cluster) -> None:
    """A claim that the payer works on, one that still waits for its batch, and a request of the run before
    that arrives late: none of them is in the next run's ledger."""
    system.call("payer", "PUT", "/admin/behaviour/slow_processing", {"delay_s": 0.6})
    before = system.call("billing", "GET", "/metrics").body["run"]
    journeys.claim(system, "r1")
    time.sleep(0.2)  # the payer has it and does not answer yet
    journeys.claim(system, "r2")
    run = system.reset(system.design("resilient"))
    time.sleep(0.8)
    late = {"claims": [{"claim": "r3", "invoice": "r3", "amount": 1.0, "key": "r3"}]}
    assert system.call("payer", "POST", "/x12/837", late, headers={"x-run": before}).status == 410
    assert system.call("payer", "GET", "/records").body == []
    assert system.call("payer", "GET", "/metrics").body["requests"] == 0
    assert system.call("payer", "POST", "/x12/837", late, headers={"x-run": run}).status == 200
    journeys.claim(system, "r4")
    wait_for("the next run's claims", lambda: len(system.records("payer", "claim")) == 2)
