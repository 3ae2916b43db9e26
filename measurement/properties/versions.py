"""Things with versions, as registers: who wrote which version when, and which was the newest at a time.

Times of client operations are the client's (sent, ended). Times of records are the service's clock.
"""

from __future__ import annotations

from collections.abc import Sequence

from experiment.history import History
from experiment.libraries import pl
from experiment.properties import Records
from measurement.properties.selection import acknowledged, performed, recorded, was_sent


def acknowledged_writes(history: History, journeys: Sequence[str]) -> pl.DataFrame:
    """Writes the client was told the version of: id, key, version, expected_version, value, sent, ended."""
    return (
        performed(history, journeys)
        .filter(acknowledged() & pl.col("version").is_not_null() & was_sent())
        .select("id", "key", "version", "expected_version", "value", "sent", "ended")
        .collect()
    )


def unversioned_writes(history: History, journeys: Sequence[str]) -> pl.DataFrame:
    """Writes that were acknowledged by an answer that named no version: id, key, journey, value, ended."""
    return (
        performed(history, journeys)
        .filter(acknowledged() & pl.col("version").is_null() & was_sent())
        .select("id", "key", "journey", "value", "ended")
        .collect()
    )


def committed_versions(history: History, versions: Records) -> pl.DataFrame:
    """Every version that the store ever committed: key, version, status, value, t."""
    return recorded(history, versions).select("key", "version", "status", "value", "t").collect()


def newest_before(events: pl.DataFrame, at: str, writes: pl.DataFrame) -> pl.DataFrame:
    """`events` with `newest`: the highest version whose write had ended before the column `at`; null if none.

    A write that ended at the very same instant may go either way and does not count.
    """
    if not events.height:
        return events.with_columns(newest=pl.lit(None, writes.schema["version"]))
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


def chain_breaks(rows: pl.DataFrame, first: int | None) -> pl.DataFrame:
    """Keys whose versions are not consecutive, each once, from `first` on where it is given.

    Columns: key, count, distinct, top, low, t (of the last row).
    """
    version = pl.col("version")
    broken = (pl.col("distinct") != pl.col("count")) | (pl.col("top") - pl.col("low") + 1 != pl.col("count"))
    if first is not None:
        broken |= pl.col("low") != first
    return (
        rows.group_by("key")
        .agg(
            count=pl.len().cast(pl.Int64),
            distinct=version.n_unique().cast(pl.Int64),
            top=version.max().cast(pl.Int64),
            low=version.min().cast(pl.Int64),
            t=pl.col("t").max(),
        )
        .filter(broken)
    )
