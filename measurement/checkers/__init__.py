"""The properties that are judged on every history: one file and one line here each."""

from __future__ import annotations

from measurement.checkers import (
    bounded_staleness,
    bounded_waiting,
    no_duplicate_charge,
    no_duplicate_claim,
    no_lost_checkin,
    no_lost_claim,
    no_lost_prescription_change,
    no_retry_amplification,
    no_superseded_dispense,
    recovers,
    sagas_terminal,
)
from measurement.checkers.findings import Checker

CHECKERS: dict[str, Checker] = {
    checker.name: checker
    for checker in (
        Checker(
            "no_lost_checkin", "I1", True,
            "Every acknowledged check-in is in the database, once.", no_lost_checkin.find,
        ),
        Checker(
            "no_duplicate_charge", "I2", True,
            "No invoice is charged more than once, even when refunded.", no_duplicate_charge.find,
        ),
        Checker(
            "no_duplicate_claim", "I3", True,
            "The payer accepts no claim more than once.", no_duplicate_claim.find,
        ),
        Checker(
            "no_lost_claim", "I19", True,
            "Every claim that was acknowledged or kept reaches the payer.", no_lost_claim.find,
        ),
        Checker(
            "no_superseded_dispense", "I4", True,
            "No dispense hands over a version that a newer one or a stop had superseded.",
            no_superseded_dispense.find,
        ),
        Checker(
            "no_lost_prescription_change", "I5", True,
            "Every acknowledged change of a prescription is in its history, and versions form a chain.",
            no_lost_prescription_change.find,
        ),
        Checker(
            "sagas_terminal", "I6", True,
            "Every payment completes or is compensated, and money is conserved.", sagas_terminal.find,
        ),
        Checker(
            "bounded_staleness", "I13", False,
            "A projection shows what is current or within its bound, or says of itself that it is not.",
            bounded_staleness.find,
        ),
        Checker(
            "bounded_waiting", "I14", False,
            "No request outlives its deadline by more than 500 ms, and some are always answered.",
            bounded_waiting.find,
        ),
        Checker(
            "no_retry_amplification", "I15", False,
            "A link carries at most 1.1 calls for each logical request.", no_retry_amplification.find,
        ),
        Checker(
            "recovers", "I16", False,
            "After the heal quality is back at its baseline in time, under load.", recovers.find,
        ),
    )
}  # fmt: skip
