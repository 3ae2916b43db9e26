"""Who may see and change what, as a pure decision: by role, by ward, and by what the patient consented to."""

from __future__ import annotations

from dataclasses import dataclass

from reference_system.common.patterns.authorisation import WRITE

CLINICAL = frozenset(("physician", "nurse", "pharmacist"))  # may break the glass in an emergency
ADMINISTRATOR = "administrator"  # engages and dismisses staff, sees no patient
_MEDICATION = frozenset(("MedicationRequest", "MedicationDispense"))
_DESK = frozenset(("Patient", "Encounter", "Coverage"))
SEES: dict[str, frozenset[str] | None] = {  # None: everything
    "physician": None,
    "nurse": None,
    "pharmacist": _MEDICATION | {"Patient", "AllergyIntolerance"},
    "laboratory": frozenset(("ServiceRequest", "DiagnosticReport")),
    "clerk": _DESK,
    "auditor": None,
}
CHANGES: dict[str, frozenset[str]] = {  # a role that is not here changes nothing
    "physician": frozenset(("MedicationRequest", "ServiceRequest", "AllergyIntolerance")),
    "nurse": frozenset(("AllergyIntolerance",)),
    "pharmacist": frozenset(("MedicationDispense",)),
    "laboratory": frozenset(("DiagnosticReport",)),
    "clerk": frozenset(("Encounter", "Patient")),
}
EVERYWHERE = frozenset(("auditor",))
OF_NO_WARD = frozenset(("pharmacist", "laboratory", "clerk"))  # they serve all wards


@dataclass(frozen=True, slots=True)
class Known:
    """What authz knows of a person and a patient. `role` is None for nobody or somebody dismissed, `ward` for
    a patient in nobody's care. `barred` are the persons whom the patient's consent excludes."""

    user: str
    role: str | None
    wards: frozenset[str]
    ward: str | None
    barred: frozenset[str]
    granted: bool


def may(known: Known, action: str) -> tuple[bool, str]:
    """The decision and its reason. A grant opens every record of the patient, and lifts ward and consent from
    what the role may change."""
    if known.role is None:
        return False, "no role in force"
    changes, of_role = action.endswith(WRITE), _is_of_role(known.role, action)
    if known.granted and (of_role or not changes):
        return True, "break-glass grant"
    if not of_role:
        verb = "change" if changes else "see"
        return False, f"the role {known.role} does not {verb} {action.removesuffix(WRITE)}"
    if known.role in EVERYWHERE:
        return True, known.role
    of_ward = known.ward is not None and known.ward in known.wards
    if not of_ward and known.role not in OF_NO_WARD:
        return False, "the patient is in the care of another ward"
    if known.user in known.barred:
        return False, "the patient's consent excludes this person"
    return True, f"{known.role} of {known.ward}" if of_ward else known.role


def _is_of_role(role: str, action: str) -> bool:
    """Whether it is the work of this role to see what the action names, or to change it."""
    if action.endswith(WRITE):
        return action.removesuffix(WRITE) in CHANGES.get(role, frozenset())
    sees = SEES.get(role, frozenset())
    return sees is None or action in sees


def may_break_glass(role: str | None, action: str) -> bool:
    """Whether a person of this role gets a grant in an emergency: to see whatever helps, but not to change
    what is another's work."""
    return role in CLINICAL and (not action.endswith(WRITE) or _is_of_role(str(role), action))
