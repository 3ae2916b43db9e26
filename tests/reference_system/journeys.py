"""What users do, as plain calls; the same bodies that the load sends."""

from __future__ import annotations

from typing import Any

from reference_system.workload import staff
from tests.reference_system.cluster import Answer, Cluster


def encounter(key: str, n: int = 0) -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "identifier": [{"system": "urn:codeblue:encounter", "value": key}],
        "status": "arrived",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": f"Patient/pat-{n}"},
        "extension": [{"url": "urn:codeblue:coverage", "valueReference": {"reference": f"Coverage/cov-{n}"}}],
    }


def claim_body(claim: str, invoice: str, amount: float = 120.5) -> dict[str, Any]:
    return {
        "resourceType": "Claim",
        "identifier": [
            {"system": "urn:codeblue:claim", "value": claim},
            {"system": "urn:codeblue:invoice", "value": invoice},
        ],
        "status": "active",
        "type": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/claim-type", "code": "professional"}]
        },
        "use": "claim",
        "patient": {"reference": "Patient/pat-0"},
        "created": "2026-01-05",
        "provider": {"reference": "Organization/org-1"},
        "priority": {"coding": [{"code": "normal"}]},
        "insurance": [{"sequence": 1, "focal": True, "coverage": {"reference": "Coverage/cov-0"}}],
        "total": {"value": amount, "currency": "USD"},
    }


def medication(rx: str, dose: str = "5 mg once daily", status: str = "active", n: int = 0) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "identifier": [{"system": "urn:codeblue:rx", "value": rx}],
        "status": status,
        "intent": "order",
        "medicationCodeableConcept": {"text": "warfarin oral tablet"},
        "subject": {"reference": f"Patient/pat-{n}"},
        "dosageInstruction": [{"text": dose}],
    }


POTASSIUM = {"coding": [{"system": "http://loinc.org", "code": "2823-3"}], "text": "potassium"}


def order(key: str, n: int = 0) -> dict[str, Any]:
    return {
        "resourceType": "ServiceRequest",
        "identifier": [{"system": "urn:codeblue:lab", "value": key}],
        "status": "active",
        "intent": "order",
        "code": POTASSIUM,
        "subject": {"reference": f"Patient/pat-{n}"},
    }


def report_body(
    key: str, value: float = 4.1, status: str = "final", flag: str = "N", n: int = 0
) -> dict[str, Any]:
    scale = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
    subject = {"reference": f"Patient/pat-{n}"}
    observation = {
        "resourceType": "Observation",
        "id": "o1",
        "status": status,
        "code": POTASSIUM,
        "subject": subject,
        "valueQuantity": {"value": value, "unit": "mmol/L"},
        "interpretation": [{"coding": [{"system": scale, "code": flag}]}],
    }
    return {
        "resourceType": "DiagnosticReport",
        "identifier": [{"system": "urn:codeblue:lab", "value": key}],
        "status": status,
        "code": POTASSIUM,
        "subject": subject,
        "contained": [observation],
        "result": [{"reference": "#o1"}],
    }


def allergy(key: str, n: int = 0) -> dict[str, Any]:
    return {
        "resourceType": "AllergyIntolerance",
        "identifier": [{"system": "urn:codeblue:allergy", "value": key}],
        "code": {"text": "penicillin"},
        "patient": {"reference": f"Patient/pat-{n}"},
    }


def by(journey: str, n: int = 0) -> dict[str, str]:
    """Who does it whose work it is."""
    return {"x-user": staff.user_of(journey, f"pat-{n}")}


def report(
    cluster: Cluster, key: str, value: float = 4.1, status: str = "final", flag: str = "N", n: int = 0
) -> Answer:
    path = f"/fhir/DiagnosticReport?identifier={key}"
    return cluster.call(
        "lab", "PUT", path, report_body(key, value, status, flag, n), headers=by("report_result", n)
    )


def check_in(cluster: Cluster, key: str, n: int = 0, **keywords: Any) -> Answer:
    headers = {"idempotency-key": key, **by("check_in", n)}
    return cluster.call("checkin", "POST", "/checkins", encounter(key, n), headers=headers, **keywords)


def claim(cluster: Cluster, name: str, amount: float = 120.5) -> Answer:
    return cluster.call("billing", "POST", "/claims", claim_body(f"clm-{name}", f"inv-{name}", amount))


def pay(cluster: Cluster, name: str, **keywords: Any) -> Answer:
    headers = {"idempotency-key": f"client-{name}"}
    return cluster.call("billing", "POST", f"/invoices/inv-{name}/pay", b"", headers=headers, **keywords)


def prescribe(cluster: Cluster, rx: str, dose: str = "5 mg once daily") -> Answer:
    body = medication(rx, dose)
    return cluster.call("prescriptions", "POST", "/fhir/MedicationRequest", body, headers=by("prescribe"))


def change(cluster: Cluster, rx: str, version: int, dose: str, status: str = "active") -> Answer:
    headers = {"if-match": f'W/"{version}"', **by("change_dose")}
    path = f"/fhir/MedicationRequest/{rx}"
    return cluster.call("prescriptions", "PUT", path, medication(rx, dose, status), headers=headers)


def dispense(cluster: Cluster, rx: str, md: str) -> Answer:
    body = {"prescription": rx, "identifier": md}
    return cluster.call("pharmacy", "POST", "/dispenses", body, headers=by("dispense"))


def view(cluster: Cluster, rx: str) -> Answer:
    return cluster.call("pharmacy", "GET", f"/worklist/{rx}")


def communication(key: str, n: int = 0) -> dict[str, Any]:
    return {
        "resourceType": "Communication",
        "identifier": [{"system": "urn:codeblue:notification", "value": key}],
        "status": "preparation",
        "priority": "stat",
        "subject": {"reference": f"Patient/pat-{n}"},
        "about": [{"reference": f"DiagnosticReport/{key.replace('ntf-', 'lab-')}"}],
    }


def notify_critical(cluster: Cluster, key: str, **keywords: Any) -> Answer:
    return cluster.call("notify", "POST", "/fhir/Communication", communication(key), **keywords)


def acknowledge_critical(cluster: Cluster, key: str) -> Answer:
    return cluster.call("notify", "POST", f"/fhir/Communication/{key}/$acknowledge")


def open_session(cluster: Cluster, key: str) -> Answer:
    return cluster.call("notify", "POST", "/sessions", {"identifier": key, "patient": "pat-0"})


def join_session(cluster: Cluster, key: str, who: str = "Practitioner/prac-1") -> Answer:
    return cluster.call("notify", "POST", f"/sessions/{key}/participants", {"participant": who})
