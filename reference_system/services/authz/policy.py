"""Who may see what, as a pure decision: by role, by ward, and by what the patient consented to."""

from __future__ import annotations

from dataclasses import dataclass

CLINICAL = frozenset(("physician", "nurse", "pharmacist"))  # may break the glass in an emergency
ADMINISTRATOR = "administrator"  # engages and dismisses staff, sees no patient
_MEDICATION = frozenset(("MedicationRequest", "MedicationDispense"))
_DESK = frozenset(("Patient", "Encounter", "Coverage"))
SEES: dict[str, frozenset[str] | None] = {  # None: everything
    "physician": None,
    "nurse": None,
    "pharmacist": _MEDICATION | {"Patient"},
    "clerk": _DESK,
    "auditor": None,
}
EVERYWHERE = frozenset(("auditor",))


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


def may_see(known: Known, action: str) -> tuple[bool, str]:
    """The decision and its reason."""
    if known.role is None:
        return False, "no role in force"
    if known.granted:
        return True, "break-glass grant"
    sees = SEES.get(known.role, frozenset())
    if sees is not None and action not in sees:
        return False, f"the role {known.role} does not see {action}"
    if known.role in EVERYWHERE:
        return True, known.role
    if known.ward is None or known.ward not in known.wards:
        return False, "the patient is in the care of another ward"
    if known.user in known.barred:
        return False, "the patient's consent excludes this person"
    return True, f"{known.role} of {known.ward}"


def may_break_glass(role: str | None) -> bool:
    """Whether a person of this role gets a grant in an emergency."""
    return role in CLINICAL
