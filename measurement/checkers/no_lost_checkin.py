"""I1: an acknowledged check-in is in the database, once, and the front door finds it.

An indeterminate check-in may or may not have happened; the final records settle which, and both are right.
Two Encounters under one key are a violation whatever the client was told.
"""

from __future__ import annotations

import polars as pl

from experiment.history import History
from experiment.scenario import Scenario
from experiment.topology import System
from experiment.units import noun
from experiment.verdict import Violation
from measurement.checkers.findings import SHOWN, Finding, conclude, evidence, saw_nothing, was_read

STORE, KIND, JOURNEY = "checkin", "encounter", "check_in"
FINAL_READ, ABSENT = "final_read", "absent"  # the API's own last word on a key, read like a user would


def find(history: History, _scenario: Scenario, _system: System) -> Finding:
    """Exposed are the keys that were acknowledged and the keys that have a record."""
    asked = history.operations.lazy().filter(pl.col("journey") == JOURNEY)
    by_key = (
        asked.group_by("key")
        .agg(
            acknowledged=(pl.col("outcome") == "acknowledged").any(),
            indeterminate=(pl.col("outcome") == "indeterminate").any(),
            ended=pl.col("ended").filter(pl.col("outcome") == "acknowledged").min(),
        )
        .collect()
    )
    promised = by_key.filter("acknowledged")
    if not was_read(history, STORE):
        return saw_nothing(
            f"the Encounters of {STORE} were not read, {noun(promised.height, 'check-in')} acknowledged"
        )
    stored = (
        history.records.lazy()
        .filter((pl.col("kind") == KIND) & (pl.col("store") == STORE))
        .group_by("key")
        .agg(pl.len().alias("copies"), pl.col("t").max())
        .collect()
    )
    exposed = pl.concat([promised["key"], stored["key"]]).n_unique()
    if exposed == 0:
        return saw_nothing("no check-in was acknowledged and no Encounter recorded")
    invisible = history.operations.filter(
        (pl.col("journey") == FINAL_READ)
        & (pl.col("outcome") == "acknowledged")
        & (pl.col("value") == ABSENT)
    )
    visible = stored.join(invisible, on="key", how="anti")
    lost = promised.join(visible, on="key", how="anti").sort("ended")
    doubled = stored.filter(pl.col("copies") > 1).sort("t")
    unsettled = by_key.filter(pl.col("indeterminate") & ~pl.col("acknowledged"))
    measures = {
        "acknowledged": promised.height,
        "lost": lost.height,
        "stored_twice": doubled.height,
        "indeterminate": unsettled.height,
        "indeterminate_that_happened": unsettled.join(stored, on="key", how="semi").height,
    }
    wrong = _operations_of(history, [lost["key"], doubled["key"]])
    return conclude(
        exposed,
        _violations(history, lost, doubled),
        lost.height + doubled.height,
        f"all {noun(promised.height, 'acknowledged check-in')} are in the database once",
        f"{noun(lost.height, 'acknowledged check-in')} lost and {noun(doubled.height, 'check-in')} "
        f"stored more than once, of {exposed:,}",
        measures,
        wrong,
    )


def _violations(history: History, lost: pl.DataFrame, doubled: pl.DataFrame) -> list[Violation]:
    first_lost, first_doubled = lost.head(SHOWN), doubled.head(SHOWN)
    keys = [*first_lost["key"], *first_doubled["key"]]
    proof = evidence(history, keys, [KIND], [JOURNEY, FINAL_READ]) if keys else {}
    found = [
        Violation(f"check-in {key} was acknowledged and is not in the database", key, ended, proof[key])
        for key, ended in first_lost.select("key", "ended").iter_rows()
    ]
    found += [
        Violation(f"check-in {key} is in the database {copies} times", key, t, proof[key])
        for key, copies, t in first_doubled.select("key", "copies", "t").iter_rows()
    ]
    return found


def _operations_of(history: History, keys: list[pl.Series]) -> pl.Series:
    wanted = pl.concat(keys).unique()
    return history.operations.filter((pl.col("journey") == JOURNEY) & pl.col("key").is_in(wanted.implode()))[
        "id"
    ]
