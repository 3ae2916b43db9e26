"""I3: no claim is accepted more than once, judged from the payer's ledger (one row per acceptance)."""

from __future__ import annotations

import polars as pl

from experiment.history import History
from experiment.scenario import Scenario
from experiment.topology import System
from experiment.units import noun
from experiment.verdict import Violation
from measurement.checkers.findings import SHOWN, Finding, conclude, evidence, saw_nothing

STORE, KIND = "payer", "claim"


def find(history: History, _scenario: Scenario, _system: System) -> Finding:
    """Exposed are the claims that the payer accepted at least once."""
    accepted = (
        history.records.lazy()
        .filter((pl.col("store") == STORE) & (pl.col("kind") == KIND))
        .group_by("key")
        .agg(pl.len().alias("times"), pl.col("t").max())
        .collect()
    )
    if accepted.height == 0:
        return saw_nothing("the payer accepted no claim")
    doubled = accepted.filter(pl.col("times") > 1).sort("t")
    first = doubled.head(SHOWN)
    proof = evidence(history, first["key"].to_list(), [KIND], ["claim"]) if first.height else {}
    violations = [
        Violation(f"claim {key} was accepted {times} times by the payer", key, t, proof[key])
        for key, times, t in first.select("key", "times", "t").iter_rows()
    ]
    extra = int((doubled["times"] - 1).sum()) if doubled.height else 0
    return conclude(
        accepted.height,
        violations,
        doubled.height,
        f"none of {noun(accepted.height, 'accepted claim')} was accepted more than once",
        f"{noun(doubled.height, 'claim')} of {accepted.height:,} accepted more than once "
        f"({noun(extra, 'acceptance')} too many)",
        {"accepted_claims": accepted.height, "duplicate_acceptances": extra},
    )
