"""Prescriptions as registers: who wrote which version when, and who read or dispensed which.

Times of client operations are the client's (sent, ended). Times of records are the service's clock;
`CLOCK_SLACK_S` is granted where the two are compared.
"""

from __future__ import annotations

import polars as pl

from experiment.history import History

WRITES = ("prescribe", "change_dose", "stop")
READ = "view_dose"
DISPENSE = "dispense"
CLOCK_SLACK_S = 0.05
NOT_FOUND = 404


def acknowledged_writes(history: History) -> pl.DataFrame:
    """Writes the client was told the version of: id, key, version, expected_version, value, sent, ended."""
    return history.operations.filter(
        pl.col("journey").is_in(list(WRITES))
        & (pl.col("outcome") == "acknowledged")
        & pl.col("version").is_not_null()
        & pl.col("sent").is_not_null()
    ).select("id", "key", "version", "expected_version", "value", "sent", "ended")


def unversioned_writes(history: History) -> pl.DataFrame:
    """Writes that were acknowledged by an answer that named no version: id, key, journey, value, ended."""
    return history.operations.filter(
        pl.col("journey").is_in(list(WRITES))
        & (pl.col("outcome") == "acknowledged")
        & pl.col("version").is_null()
        & pl.col("sent").is_not_null()
    ).select("id", "key", "journey", "value", "ended")


def committed_versions(history: History) -> pl.DataFrame:
    """Every version the prescriptions service ever committed: key, version, status, value, t."""
    return history.records.filter(
        (pl.col("kind") == "rx_version") & (pl.col("store") == "prescriptions")
    ).select("key", "version", "status", "value", "t")


def newest_before(events: pl.DataFrame, at: str, writes: pl.DataFrame) -> pl.DataFrame:
    """`events` with `newest`: the highest version whose write had ended before the column `at`; null if none.

    A write that ended at the very same instant may go either way and does not count.
    """
    known = (
        writes.lazy()
        .filter(pl.col("key").is_in(events["key"].unique().implode()))
        .sort("ended")
        .select("key", pl.col("ended").alias("known_at"), newest=pl.col("version").cum_max().over("key"))
        .collect()
    )
    return events.sort(at).join_asof(
        known,
        left_on=at,
        right_on="known_at",
        by="key",
        strategy="backward",
        allow_exact_matches=False,
        check_sortedness=False,
    )


def superseded_since(events: pl.DataFrame, writes: pl.DataFrame) -> pl.DataFrame:
    """`events` with `since`: when the first write of a higher version was acknowledged; call it on few
    rows."""
    later = (
        events.select("id", "key", "version")
        .join(writes.select("key", newer="version", acknowledged="ended"), on="key")
        .filter(pl.col("newer") > pl.col("version"))
        .group_by("id")
        .agg(since=pl.col("acknowledged").min())
    )
    return events.join(later, on="id", how="left")


def projection_reads(history: History) -> pl.DataFrame:
    """Reads of the pharmacy's work list after a write of the same prescription was acknowledged. The answer
    that there is no such prescription shows version 0.

    Columns: id, key, version, sent, ended, label, age, newest (version), version_lag, since, lag_s: for how
    long the version read had been superseded by an acknowledged write when the read was sent; 0 for a
    current read.
    """
    shown = pl.when(pl.col("outcome") == "acknowledged").then("version")
    reads = (
        history.operations.filter((pl.col("journey") == READ) & pl.col("sent").is_not_null())
        .with_columns(version=shown.when(pl.col("status") == NOT_FOUND).then(0))
        .filter(pl.col("version").is_not_null())
        .select("id", "key", "version", "sent", "ended", "label", "age")
    )
    writes = acknowledged_writes(history)
    seen = newest_before(reads, "sent", writes).filter(pl.col("newest").is_not_null())
    seen = seen.with_columns(version_lag=(pl.col("newest") - pl.col("version")).clip(lower_bound=0))
    stale = superseded_since(seen.filter(pl.col("version_lag") > 0), writes)
    current = seen.filter(pl.col("version_lag") == 0).with_columns(since=pl.lit(None, pl.Float64))
    both = pl.concat([current, stale.select(current.columns)])
    return both.with_columns(lag_s=(pl.col("sent") - pl.col("since")).fill_null(0.0))
