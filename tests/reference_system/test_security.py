"""Who sees what, what is left of it on record, and what holds while authz or audit is away."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest
from fhir.resources.R4B.auditevent import AuditEvent

from reference_system.common import fhir
from reference_system.services.audit.service import line_of
from reference_system.services.authz import policy
from reference_system.workload import staff
from reference_system.workload.twin import disclosure, security
from tests.reference_system import journeys
from tests.reference_system.cluster import Answer, Cluster, wait_for
from tests.reference_system.designs import with_service

pytestmark = pytest.mark.live
PATIENT = "pat-0"


def see(cluster: Cluster, user: str, key: str, reason: str = "", patient: str = PATIENT) -> Answer:
    headers = {"x-user": user, "x-request-id": key, **({"x-break-glass": reason} if reason else {})}
    return cluster.call("registry", "GET", f"/fhir/Patient/{patient}", headers=headers)


def begin(cluster: Cluster, design: str = "resilient", **changes: Any) -> None:
    cluster.heal()
    made = cluster.design(design)
    cluster.reset(with_service(made, "registry", **changes) if changes else made, without=())


def lines(cluster: Cluster, kind: str) -> dict[str, str]:
    return {row["key"]: row["status"] for row in cluster.records("audit", kind)}


def test_only_who_cares_for_a_patient_sees_the_record(cluster: Cluster) -> None:
    """By role, ward and consent; every access and every refusal is in the audit, whose chain holds."""
    begin(cluster)
    seen = {
        "rec-a-1": see(cluster, staff.user_of("view_record", PATIENT), "rec-a-1"),
        "pry-a-1": see(cluster, staff.user_of("pry", PATIENT), "pry-a-1"),
        "rec-a-2": see(cluster, "usr-nobody", "rec-a-2"),
        "rec-a-3": see(cluster, "", "rec-a-3"),
        "rec-a-4": see(cluster, staff.PHARMACIST, "rec-a-4"),
        "rec-a-5": see(cluster, staff.ADMINISTRATOR, "rec-a-5"),
    }
    assert [answer.status for answer in seen.values()] == [200, 403, 403, 403, 200, 403]
    cluster.settled()
    found = lines(cluster, "access")
    assert found == {key: "shown" if one.status == 200 else "refused" for key, one in seen.items()}
    numbers = [row["version"] for row in cluster.records("audit", "number")]
    assert sorted(numbers) == [1, 2, 3, 4, 5, 6]
    assert cluster.call("audit", "GET", "/verify").body == {"events": 6, "intact": True, "broken_at": None}


def test_services_ask_by_tls_only(cluster: Cluster) -> None:
    """Users may come plain; a service may not, is counted, and goes on with what it knows when its callee's
    certificate is not valid."""
    begin(cluster)
    assert journeys.check_in(cluster, "enc-tls-1").status < 300
    plain = cluster.call("registry", "GET", f"/fhir/Patient/{PATIENT}", headers={"x-caller": "checkin"})
    assert (plain.status, plain.headers["x-not-done"]) == (426, "1")
    assert see(cluster, staff.user_of("view_record", PATIENT), "rec-tls-1").status == 200
    change(cluster, "certificate_expired", made=True)
    assert journeys.check_in(cluster, "enc-tls-2").headers["x-label"] == "cached"
    change(cluster, "certificate_expired", made=False)
    counted = cluster.call("registry", "GET", "/metrics").body
    assert (counted["plain_refused"], counted["plain"]) == ({"checkin": 1}, {})
    seen = {row["key"]: row["status"] for row in cluster.records("registry", "transport")}
    assert seen == {"checkin -> registry": "tls"}


def test_what_only_prefers_tls_is_asked_in_plain_text(cluster: Cluster) -> None:
    """Once the certificate is not valid: what that design gives away is on record."""
    begin(cluster, tls="preferred")
    change(cluster, "certificate_expired", made=True)
    assert journeys.check_in(cluster, "enc-plain-1").status < 300
    change(cluster, "certificate_expired", made=False)
    seen = {row["key"]: row["status"] for row in cluster.records("registry", "transport")}
    assert seen == {"checkin -> registry": "plain"}


def change(cluster: Cluster, name: str, *, made: bool) -> None:
    method, path = ("PUT" if made else "DELETE"), f"/admin/behaviour/{name}"
    assert cluster.call("registry", method, path).status == 200
    wait_for(name, lambda: cluster.call("registry", "GET", path).body["active"] is made)


def test_a_patient_may_bar_persons_who_would_see_the_record(cluster: Cluster) -> None:
    """A consent excludes by name; the others of the ward go on."""
    begin(cluster)
    restricted = next(f"pat-{n}" for n in range(20) if staff.is_restricted(f"pat-{n}"))
    assert see(cluster, staff.user_of("pry", restricted), "pry-b-1", patient=restricted).status == 403
    assert see(cluster, staff.user_of("view_record", restricted), "rec-b-1", patient=restricted).status == 200


def test_services_see_what_they_work_on(cluster: Cluster) -> None:
    """A prescription is written although the registry knows no user of that call; a person needs a role."""
    begin(cluster)
    assert journeys.prescribe(cluster, "rx-c1").status == 201
    path = "/fhir/MedicationRequest/rx-c1"
    assert cluster.call("prescriptions", "GET", path).status == 403
    headers = {"x-user": staff.AUDITOR}
    assert cluster.call("prescriptions", "GET", path, headers=headers).status == 200
    assert cluster.call("prescriptions", "GET", f"{path}/_history", headers=headers).status == 200


def write(cluster: Cluster, journey: str, key: str, user: str, reason: str = "") -> Answer:
    """One change of PATIENT's data, by a user; the resource is the one that the journey sends."""
    service, method, path, body = {
        "check_in": ("checkin", "POST", "/checkins", journeys.encounter(key)),
        "prescribe": ("prescriptions", "POST", "/fhir/MedicationRequest", journeys.medication(key)),
        "change_dose": ("prescriptions", "PUT", f"/fhir/MedicationRequest/{key}", journeys.medication(key)),
        "dispense": ("pharmacy", "POST", "/dispenses", {"prescription": key, "identifier": f"md-{user}"}),
        "order_lab": ("lab", "POST", "/fhir/ServiceRequest", journeys.order(key)),
        "report_result": (
            "lab", "PUT", f"/fhir/DiagnosticReport?identifier={key}", journeys.report_body(key),
        ),
        "note_allergy": ("registry", "POST", "/fhir/AllergyIntolerance", journeys.allergy(key)),
    }[journey]  # fmt: skip
    headers = {"x-user": user, "x-request-id": key, "idempotency-key": key, "if-match": 'W/"1"'}
    headers |= {"x-break-glass": reason} if reason else {}
    return cluster.call(service, method, path, body, headers=headers)


WRITES = {
    "check_in": "enc-w-1",
    "prescribe": "rx-w-1",
    "change_dose": "rx-w-1",
    "dispense": "rx-w-1",
    "order_lab": "lab-w-1",
    "report_result": "lab-w-1",
    "note_allergy": "alg-w-1",
}


def test_who_has_no_right_to_change_something_changes_nothing(cluster: Cluster) -> None:
    """Each change is one profession's work, and of one's own ward where there is one; each attempt and each
    change is in the audit. Without roles on writes anybody changes anything."""
    begin(cluster)
    doctor, nurse = staff.user_of("prescribe", PATIENT), staff.user_of("forbidden_order", PATIENT)
    for journey, key in WRITES.items():
        right = staff.user_of(journey, PATIENT)
        wrong = {doctor, nurse, staff.PHARMACIST, staff.CLERK, staff.LABORATORY, staff.AUDITOR} - {right}
        wrong |= {staff.user_of("forbidden_change", PATIENT), "usr-nobody", ""}
        if journey == "note_allergy":
            wrong -= {nurse}  # it is a nurse's work, too
        tried = {user: write(cluster, journey, key, user).status for user in sorted(wrong)}
        assert (journey, tried) == (journey, dict.fromkeys(sorted(wrong), 403))
        assert write(cluster, journey, key, right).status in (200, 201), journey
    cluster.settled()
    assert {lines(cluster, "access")[key] for key in WRITES.values()} == {"shown"}
    read = {"x-user": doctor}
    found = cluster.call("registry", "GET", f"/fhir/AllergyIntolerance?patient={PATIENT}", headers=read)
    assert (found.status, [entry["resource"]["id"] for entry in found.body["entry"]]) == (200, ["alg-w-1"])
    begin(cluster, "fragile")
    for journey, key in WRITES.items():
        if journey == "dispense":
            cluster.settled()  # the pharmacy's copy follows events
        assert write(cluster, journey, key, "usr-nobody").status in (200, 201), journey


def test_an_allergy_is_noted_once_and_of_a_known_patient(cluster: Cluster) -> None:
    """A repeat is answered by what is known; another content under its identifier is refused."""
    begin(cluster)
    doctor = staff.user_of("note_allergy", PATIENT)
    assert [write(cluster, "note_allergy", "alg-n-1", doctor).status for _ in range(2)] == [201, 200]
    other = {**journeys.allergy("alg-n-1"), "code": {"text": "latex"}}
    headers = {"x-user": doctor, "x-request-id": "alg-n-1"}
    path = "/fhir/AllergyIntolerance"
    assert cluster.call("registry", "POST", path, other, headers=headers).status == 422
    cluster.reset(cluster.design("resilient"))
    nobody = {**journeys.allergy("alg-n-2"), "patient": {"reference": "Patient/pat-999"}}
    assert cluster.call("registry", "POST", path, nobody, headers=headers).status == 404
    assert cluster.call("registry", "POST", path, {"resourceType": "AllergyIntolerance"}).status == 400


def test_in_an_emergency_a_change_is_made_under_a_grant_that_is_reviewed(cluster: Cluster) -> None:
    """By whose work it is; a grant to see does not make a nurse prescribe. Without an answer from authz
    nothing is changed but under a grant."""
    begin(cluster)
    far = staff.user_of("note_allergy_in_emergency", PATIENT)
    nurse = staff.user_of("forbidden_order", PATIENT)
    assert write(cluster, "note_allergy", "alg-e-1", far).status == 403
    assert write(cluster, "note_allergy", "btg-e-1", far, "unconscious").status == 201
    assert write(cluster, "prescribe", "rx-e-1", nurse, "in a hurry").status == 403
    assert see(cluster, nurse, "btg-e-2", "unconscious").status == 200
    assert write(cluster, "prescribe", "rx-e-1", nurse).status == 403
    cluster.refuse("registry -> authz")
    own = staff.user_of("note_allergy", PATIENT)
    assert write(cluster, "note_allergy", "alg-e-2", own).status == 503
    assert write(cluster, "note_allergy", "btg-e-3", own, "unconscious").status == 201
    cluster.heal()
    cluster.settled()
    wanted = {"btg-e-1", "btg-e-2", "btg-e-3"}
    wait_for("the reviews", lambda: {row["key"] for row in cluster.records("authz", "review")} == wanted)


def test_the_twin_knows_the_same_roles() -> None:
    """Who may change what, and who may break the glass."""
    assert {role: frozenset(names) for role, names in security.CHANGES.items()} == policy.CHANGES
    assert frozenset(security.CLINICAL) == policy.CLINICAL
    offices = disclosure.OFFICES
    people = {one["id"]: one["role"] for one in staff.register([PATIENT])["staff"]}
    assert {name: people[staff.user_of(name, PATIENT)] for name in offices} == offices


def test_without_an_answer_the_resilient_design_shows_nothing(cluster: Cluster) -> None:
    """But for a permission that it keeps; broken glass is a grant on record, which reaches its review."""
    begin(cluster)
    own, other = staff.user_of("view_record", PATIENT), staff.user_of("break_glass", PATIENT)
    assert see(cluster, own, "rec-d-1").status == 200
    cluster.refuse("registry -> authz")
    assert see(cluster, own, "rec-d-2").status == 200
    assert see(cluster, other, "rec-d-3").status == 503
    assert see(cluster, other, "btg-d-1", "unconscious").status == 200
    assert see(cluster, other, "rec-d-4").status == 200
    assert [row["key"] for row in cluster.records("registry", "grant")] == ["btg-d-1"]
    cluster.heal()
    cluster.settled()
    wait_for("the review", lambda: [row["key"] for row in cluster.records("authz", "review")] == ["btg-d-1"])
    assert see(cluster, staff.user_of("pry", PATIENT), "pry-d-1").status == 403


def test_who_fails_open_shows_everything_to_everybody(cluster: Cluster) -> None:
    """The failure that the fragile design has; with authz there, it refuses as the other does."""
    begin(cluster, "fragile")
    pries = staff.user_of("pry", PATIENT)
    assert see(cluster, pries, "pry-e-1").status == 403
    cluster.refuse("registry -> authz")
    assert see(cluster, pries, "pry-e-2").status == 200
    assert see(cluster, pries, "btg-e-1", "curious").status == 200
    assert cluster.records("registry", "grant") == []


def test_who_was_dismissed_is_refused_when_the_kept_permission_has_run_out(cluster: Cluster) -> None:
    """At once where none is kept."""
    begin(cluster, decision_cache=None)
    path, admin = "/roles/usr-f-1", {"x-user": staff.ADMINISTRATOR}
    role = {"role": "nurse", "wards": [staff.ward_of(PATIENT)]}
    assert cluster.call("authz", "PUT", path, role, headers={"x-user": "usr-f-1"}).status == 403
    assert cluster.call("authz", "PUT", path, role, headers=admin).status == 200
    assert see(cluster, "usr-f-1", "stf-f-1").status == 200
    assert cluster.call("authz", "DELETE", path, headers=admin).headers["etag"] == 'W/"2"'
    assert see(cluster, "usr-f-1", "stf-f-1").status == 403
    assert cluster.call("authz", "DELETE", "/roles/usr-f-2", headers=admin).status == 404
    wrong = cluster.call("authz", "PUT", path, {"role": "king", "wards": []}, headers=admin)
    assert (wrong.status, "physician" in str(wrong.body)) == (400, True)


def test_the_spool_keeps_what_audit_does_not_take_and_refuses_when_it_is_full(cluster: Cluster) -> None:
    """Nothing is missing afterwards, also over a crash of the service; best effort loses."""
    begin(cluster, spool_limit=5)
    own = staff.user_of("view_record", PATIENT)
    cluster.refuse("registry -> audit")
    answers = [see(cluster, own, f"rec-g-{n}").status for n in range(7)]
    assert answers == [200] * 5 + [503] * 2
    cluster.kill("registry")
    cluster.start("registry")
    cluster.ready("registry")
    assert see(cluster, own, "rec-g-8").status == 503
    cluster.heal()
    cluster.settled()
    assert see(cluster, own, "rec-g-9").status == 200
    cluster.settled()
    assert lines(cluster, "access").keys() == {
        "rec-g-0",
        "rec-g-1",
        "rec-g-2",
        "rec-g-3",
        "rec-g-4",
        "rec-g-9",
    }
    assert sorted(row["version"] for row in cluster.records("audit", "number")) == [1, 2, 3, 4, 5, 6]
    begin(cluster, "fragile")
    cluster.refuse("registry -> audit")
    assert see(cluster, own, "rec-h-1").status == 200
    wait_for(
        "the loss",
        lambda: cluster.call("registry", "GET", "/metrics").body["events"].get("audit_events_lost"),
    )
    cluster.heal()
    assert see(cluster, own, "rec-h-2").status == 200
    wait_for("the other", lambda: [row["version"] for row in cluster.records("audit", "number")] == [2])


async def _run(cluster: Cluster, service: str, sql: str) -> list[Any]:
    connection = await asyncpg.connect(
        host="127.0.0.1", port=cluster.ports["postgres"], user=service, password=service, database=service
    )
    try:
        return list(await connection.fetch(sql))
    finally:
        await connection.close()


def test_a_changed_or_missing_event_breaks_the_chain(cluster: Cluster) -> None:
    """Whoever can write to the database is found out, and told from where on nothing can be trusted."""
    begin(cluster)
    for n in range(4):
        see(cluster, staff.user_of("view_record", PATIENT), f"rec-i-{n}")
    cluster.settled()
    asyncio.run(_run(cluster, "audit", "UPDATE audit.line SET body = body || ' ' WHERE place = 3"))
    assert cluster.call("audit", "GET", "/verify").body == {"events": 2, "intact": False, "broken_at": 3}
    assert lines(cluster, "chain") == {"chain": "broken"}
    asyncio.run(_run(cluster, "audit", "DELETE FROM audit.line WHERE place = 2"))
    assert cluster.call("audit", "GET", "/verify").body["broken_at"] == 2


@pytest.mark.parametrize(("head", "intact"), [("database", True), ("memory", False)])
def test_the_chain_goes_on_after_a_crash_where_it_ended(cluster: Cluster, head: str, intact: bool) -> None:
    """From the last event on record; a process that knows no hash before its own leaves a break."""
    cluster.heal()
    design = with_service(cluster.design("resilient"), "audit", chain_head=head)
    cluster.reset(design, without=())
    own = staff.user_of("view_record", PATIENT)
    assert see(cluster, own, "rec-k-1").status == 200
    cluster.settled()
    cluster.kill("audit")
    cluster.start("audit", design)
    cluster.ready("audit")
    assert see(cluster, own, "rec-k-2").status == 200
    cluster.settled()
    broken = None if intact else 2
    found = cluster.call("audit", "GET", "/verify").body
    assert (found["intact"], found["broken_at"]) == (intact, broken)


def test_audit_takes_an_event_once_and_refuses_what_says_too_little(cluster: Cluster) -> None:
    """A repeat after a lost answer changes nothing."""
    begin(cluster)
    event = fhir.audit_event(
        "aud-x-1", "x", 1, 1.0, user="u", patient="p", action="Patient", done="R", request="rec-1",
        permitted=True, emergency=True,
    )  # fmt: skip
    assert AuditEvent.model_validate(event).type.code == "110113"
    assert line_of(event).request == "rec-1"
    for _ in range(2):
        assert cluster.call("audit", "POST", "/fhir/AuditEvent", event).status == 201
    assert len(cluster.records("audit", "access")) == 1
    for bad in ({"resourceType": "Patient"}, {"resourceType": "Bundle"}, {**event, "entity": []}):
        assert cluster.call("audit", "POST", "/fhir/AuditEvent", bad).status == 400


TABLES = {
    "registry": "SELECT body::text FROM registry.patient",
    "prescriptions": "SELECT body::text FROM prescriptions.rx_version",
    "pharmacy": "SELECT body::text FROM pharmacy.dispense",
    "checkin": "SELECT body::text || patient_name FROM checkin.encounter",
}


@pytest.mark.parametrize("encrypted", [True, False])
def test_who_reads_the_databases_reads_no_patient(cluster: Cluster, encrypted: bool) -> None:
    """With encryption nothing of the documents is legible there; without it everything is."""
    cluster.heal()
    cluster.reset(cluster.design("resilient" if encrypted else "fragile"))
    assert journeys.check_in(cluster, "enc-j1").status == 201
    assert journeys.prescribe(cluster, "rx-j1").status == 201
    wait_for("a hand-over", lambda: journeys.dispense(cluster, "rx-j1", "md-j1").status == 201)
    for service, sql in TABLES.items():
        rows = [str(row[0]) for row in asyncio.run(_run(cluster, service, sql))]
        assert rows, service
        legible = [row for row in rows if any(word in row for word in ("Doe", b"resourceType".hex()))]
        assert (service, bool(legible)) == (service, not encrypted)
    assert cluster.call("registry", "GET", "/fhir/Patient/pat-3").body["name"] == [
        {"family": "Doe3", "given": ["Jo"]}
    ]
