"""Models of the reference system's services for the simulated runtime: one module a service or two."""

from __future__ import annotations

from simulation.modelling import Node

from .billing import Billing
from .checkin import Checkin
from .eligibility import Eligibility
from .hl7 import Hl7Gateway, Hl7Sender
from .instruments import Payer, Payments, Registry, Telemetry
from .medication import Pharmacy, Prescriptions
from .notify import Notify, Sms
from .results import Analytics, Dashboard, Lab
from .routing import Router
from .security import Audit, Authz

MODELS: dict[str, type[Node]] = {
    "checkin": Checkin,
    "eligibility": Eligibility,
    "payer": Payer,
    "registry": Registry,
    "registry_b": Registry,
    "router": Router,
    "prescriptions": Prescriptions,
    "pharmacy": Pharmacy,
    "billing": Billing,
    "payments": Payments,
    "hl7_gateway": Hl7Gateway,
    "hl7_sender": Hl7Sender,
    "notify": Notify,
    "sms": Sms,
    "pager": Sms,
    "lab": Lab,
    "dashboard": Dashboard,
    "analytics": Analytics,
    "telemetry": Telemetry,
    "authz": Authz,
    "audit": Audit,
}
# A service's server span to the operation of its model, for calibration.
OPERATIONS: dict[str, dict[str, str]] = {
    "checkin": {"POST /checkins": "check_in"},
    "eligibility": {"POST /fhir/CoverageEligibilityRequest": "ask"},
    "payer": {"POST /x12/270": "inquire", "POST /x12/837": "claim"},
    "registry": {"GET /fhir/Patient/*": "read"},
    "registry_b": {"GET /fhir/Patient/*": "read"},
    "router": {"GET /fhir/Patient/*": "look_up"},
    "prescriptions": {
        "GET /fhir/MedicationRequest/*": "read",
        "POST /fhir/MedicationRequest": "prescribe",
        "PUT /fhir/MedicationRequest/*": "change_dose",
        "POST /fhir/MedicationRequest/*/$reserve": "reserve",
    },
    "pharmacy": {"GET /worklist/*": "view_dose", "POST /dispenses": "dispense"},
    "billing": {"POST /claims": "claim", "POST /invoices/*/pay": "pay"},
    "lab": {
        "POST /fhir/ServiceRequest": "order_lab",
        "PUT /fhir/DiagnosticReport": "report_result",
        "GET /results": "results",
    },
    "dashboard": {"GET /dashboard/*": "view_dashboard"},
    "analytics": {"GET /stats": "view_stats"},
    "payments": {"POST /v1/charges": "charge", "GET /v1/charges/by-key/*": "by_key"},
    "hl7_gateway": {"HL7 message": "take", "POST /batches": "file"},
    "hl7_sender": {
        "POST /messages": "send_hl7",
        "POST /odd-messages": "send_odd_hl7",
        "POST /files": "send_file",
    },
    "notify": {
        "POST /fhir/Communication": "notify_critical",
        "POST /fhir/Communication/*/$acknowledge": "acknowledge_critical",
        "POST /sessions": "open_session",
        "POST /sessions/*/participants": "join_session",
        "POST /sessions/*/end": "end_session",
    },
    "sms": {"POST /v1/messages": "page"},
    "pager": {"POST /v1/messages": "page"},
    "telemetry": {"POST /v1/traces": "export"},
    "authz": {
        "POST /decide": "decide",
        "POST /breakglass": "break_glass",
        "PUT /roles/*": "engage",
        "DELETE /roles/*": "dismiss",
    },
    "audit": {"POST /fhir/AuditEvent": "take"},
}
