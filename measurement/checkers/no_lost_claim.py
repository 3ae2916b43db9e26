"""I19: a claim that was acknowledged, or that billing says it keeps or has sent, is in the payer's ledger.

A claim that timed out and is on no record may never have happened. One that is still queued after settling
is a violation: nobody would notice the day on which it is forgotten.
"""

from __future__ import annotations

import polars as pl

from experiment.history import History
from experiment.scenario import Scenario
from experiment.topology import System
from experiment.units import noun
from experiment.verdict import Violation
from measurement.checkers.findings import SHOWN, Finding, conclude, evidence, saw_nothing, was_read

BILLING, PAYER, KIND, JOURNEY = "billing", "payer", "claim", "claim"
KEPT = ("queued", "submitted")  # what billing's own record promises; `sending` was never acknowledged
# inv-7 and clm-7 are the invoice and the claim of one visit.
VISIT = pl.col("key").str.strip_prefix("inv-").str.strip_prefix("clm-")


def find(history: History, _scenario: Scenario, _system: System) -> Finding:
    """Exposed are the claims that were acknowledged or that billing keeps."""
    acknowledged = _acknowledged(history)
    if not was_read(history, PAYER):
        return saw_nothing(
            f"the ledger of {PAYER} was not read, {noun(acknowledged.height, 'claim')} acknowledged"
        )
    billed = _recorded(history, BILLING)
    kept = billed.filter(pl.col("status").cast(pl.String).is_in(list(KEPT)))
    promised = acknowledged.join(kept.select("visit", "t"), on="visit", how="full", coalesce=True)
    if promised.height == 0:
        return saw_nothing("no claim was acknowledged")
    missing = promised.join(_recorded(history, PAYER), on="visit", how="anti")
    lost = (
        missing.join(billed.select("visit", claim="key", state="status"), on="visit", how="left")
        .with_columns(t=pl.coalesce("ended", "t"))
        .sort("t", "visit", nulls_last=True)
    )
    measures = {
        "acknowledged_claims": acknowledged.height,
        "promised_claims": promised.height,
        "lost_claims": lost.height,
        "still_queued": lost.filter(pl.col("state").cast(pl.String) == "queued").height,
    }
    return conclude(
        promised.height,
        _violations(history, lost),
        lost.height,
        f"all {noun(promised.height, 'claim')} that were acknowledged or kept reached the payer",
        f"{noun(lost.height, 'claim')} of {promised.height:,} that were acknowledged or kept never reached "
        "the payer",
        measures,
        lost["id"].drop_nulls(),
    )


def _acknowledged(history: History) -> pl.DataFrame:
    """Per visit: the invoice named in the claim, the operation's id, and when it was first acknowledged."""
    return (
        history.operations.filter((pl.col("journey") == JOURNEY) & (pl.col("outcome") == "acknowledged"))
        .group_by(visit=VISIT)
        .agg(pl.col("key", "id").first(), pl.col("ended").min())
    )


def _recorded(history: History, store: str) -> pl.DataFrame:
    """Per visit: key, status and time of its claim in a store."""
    return (
        history.records.filter((pl.col("kind") == KIND) & (pl.col("store") == store))
        .group_by(visit=VISIT)
        .agg(pl.col("key", "status", "t").first())
    )


def _violations(history: History, lost: pl.DataFrame) -> list[Violation]:
    first = lost.head(SHOWN)
    keys = pl.concat([first["key"], first["claim"]]).drop_nulls().to_list()
    proof = evidence(history, keys, [KIND], [JOURNEY]) if keys else {}
    return [
        Violation(
            f"the claim of {key or claim} never reached the payer; at billing it is {state or 'unknown'}",
            claim or key,
            t,
            (*proof.get(claim, ()), *proof.get(key, ())),
        )
        for key, claim, state, t in first.select("key", "claim", "state", "t").iter_rows()
    ]
