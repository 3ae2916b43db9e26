"""I5: every acknowledged change of a prescription is in its history, and versions form a chain, also those
that no client was told of.

A change that was made on version n and acknowledged as anything but n + 1 has overwritten one it had not
seen.
"""

from __future__ import annotations

import polars as pl

from experiment.history import History
from experiment.scenario import Scenario
from experiment.topology import System
from experiment.units import noun
from experiment.verdict import Violation
from measurement.checkers.findings import SHOWN, Finding, conclude, evidence, saw_nothing, was_read
from measurement.prescriptions import WRITES, acknowledged_writes, committed_versions, unversioned_writes

STORE = "prescriptions"
FINAL_READ = "final_read"


def find(history: History, _scenario: Scenario, _system: System) -> Finding:
    """Exposed are the acknowledged writes, and the prescriptions that only the history knows."""
    writes, unversioned = acknowledged_writes(history), unversioned_writes(history)
    acknowledged = writes.height + unversioned.height
    if not was_read(history, STORE):
        return saw_nothing(
            f"the versions of {STORE} were not read, {noun(acknowledged, 'write')} acknowledged"
        )
    committed = committed_versions(history)
    told = pl.concat([writes["key"], unversioned["key"]])
    untold = committed.filter(~pl.col("key").is_in(told.implode()))["key"].n_unique()
    exposed = acknowledged + untold
    if exposed == 0:
        return saw_nothing("no prescription was written")
    broken = pl.concat(
        [
            _unrecorded(writes, committed),
            _without_trace(unversioned, committed),
            _same_version(writes),
            _overwritten(writes),
            _chain_breaks(committed),
            _shown_too_old(history, writes),
        ]
    ).sort("t", nulls_last=True)
    kinds = dict(broken["kind"].value_counts().iter_rows())
    changed = writes.filter(pl.col("version") > 1).height
    changed += unversioned.filter(pl.col("journey") != "prescribe").height
    measures = {
        "acknowledged_writes": acknowledged,
        "acknowledged_changes": changed,
        "prescriptions_nobody_was_told_of": untold,
        **kinds,
    }
    wrong = broken["operation"].drop_nulls().unique()
    spelled = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in sorted(kinds.items()))
    return conclude(
        exposed,
        _violations(history, broken),
        broken.height,
        f"all {noun(acknowledged, 'acknowledged write')} ({noun(changed, 'change')}) are in the history, "
        "versions form chains",
        f"{spelled}, of {noun(acknowledged, 'acknowledged write')}"
        + (f" and {noun(untold, 'prescription')} that nobody was told of" if untold else ""),
        measures,
        wrong,
    )


def _broken(frame: pl.DataFrame, kind: str, statement: pl.Expr, operation: pl.Expr) -> pl.DataFrame:
    return frame.select(
        "key",
        pl.col("t").cast(pl.Float64),
        kind=pl.lit(kind),
        # A sentence about a record that lacks its version would be null.
        statement=pl.coalesce(statement, pl.format("{}: {}", "key", pl.lit(kind.replace("_", " ")))),
        operation=operation.cast(pl.Int64),
    )


def _unrecorded(writes: pl.DataFrame, committed: pl.DataFrame) -> pl.DataFrame:
    """Acknowledged, and the history has no such version, or has it with another dose."""
    recorded = committed.unique(["key", "version"], keep="first").select("key", "version", stored="value")
    joined = writes.with_columns(t=pl.col("ended")).join(
        recorded.with_columns(found=pl.lit(True)), on=["key", "version"], how="left"
    )
    dose, stored = _number("value"), _number("stored")
    differs = dose.is_not_null() & stored.is_not_null() & ((dose - stored).abs() > 1e-9)
    lost = joined.filter(pl.col("found").is_null() | differs)
    statement = pl.format(
        "version {} of {} (dose {}) was acknowledged; the history has {}",
        "version",
        "key",
        pl.col("value").fill_null("unknown"),
        pl.when(pl.col("found").is_null())
        .then(pl.lit("no such version"))
        .otherwise(pl.format("dose {} there", pl.col("stored").fill_null("unknown"))),
    )
    return _broken(lost, "lost_changes", statement, pl.col("id"))


def _without_trace(unversioned: pl.DataFrame, committed: pl.DataFrame) -> pl.DataFrame:
    """Acknowledged without a version, and no row of the history can be it: none has its dose, or is a
    stop."""
    dose, stored = _number("value"), _number("stored")
    same = dose.is_null() | stored.is_null() | ((dose - stored).abs() <= 1e-9)
    could_be = pl.when(pl.col("journey") == "stop").then(pl.col("state") == "stopped").otherwise(same)
    rows = committed.select("key", stored="value", state="status")
    found = unversioned.join(rows, on="key").filter(could_be)
    lost = unversioned.join(found, on="id", how="anti").with_columns(t=pl.col("ended"))
    statement = pl.format(
        "a {} of {} (dose {}) was acknowledged; the history has no version that could be it",
        pl.col("journey").cast(pl.String).str.replace("_", " "),
        "key",
        pl.col("value").fill_null("unknown"),
    )
    return _broken(lost, "lost_changes", statement, pl.col("id"))


def _number(column: str) -> pl.Expr:
    """The amount in a dose text: 20, 20.0 and `20 mg` are the same dose."""
    return pl.col(column).str.extract(r"(-?\d+(?:\.\d+)?)").cast(pl.Float64)


def _same_version(writes: pl.DataFrame) -> pl.DataFrame:
    """Two writers were told that they wrote one version."""
    twice = (
        writes.group_by("key", "version")
        .agg(pl.len().alias("writers"), t=pl.col("ended").max(), id=pl.col("id").max())
        .filter(pl.col("writers") > 1)
    )
    statement = pl.format("version {} of {} was acknowledged to {} writers", "version", "key", "writers")
    return _broken(twice, "versions_given_twice", statement, pl.col("id"))


def _overwritten(writes: pl.DataFrame) -> pl.DataFrame:
    blind = writes.with_columns(t=pl.col("ended")).filter(
        pl.col("expected_version").is_not_null() & (pl.col("version") != pl.col("expected_version") + 1)
    )
    statement = pl.format(
        "a change of {} made on version {} became version {}: it overwrote a change it had not seen",
        "key",
        "expected_version",
        "version",
    )
    return _broken(blind, "overwritten_unseen", statement, pl.col("id"))


def _chain_breaks(committed: pl.DataFrame) -> pl.DataFrame:
    """Versions of one prescription must be 1, 2, 3 ... each once."""
    breaks = (
        committed.group_by("key")
        .agg(
            count=pl.len().cast(pl.Int64),
            distinct=pl.col("version").n_unique().cast(pl.Int64),
            top=pl.col("version").max().cast(pl.Int64),
            low=pl.col("version").min().cast(pl.Int64),
            t=pl.col("t").max(),
        )
        .filter(
            (pl.col("distinct") != pl.col("count"))
            | (pl.col("top") - pl.col("low") + 1 != pl.col("count"))
            | (pl.col("low") != 1)
        )
    )
    statement = pl.format(
        "versions of {} are no chain: {} rows, versions {} to {}", "key", "count", "low", "top"
    )
    return _broken(breaks, "broken_chains", statement, pl.lit(None))


def _shown_too_old(history: History, writes: pl.DataFrame) -> pl.DataFrame:
    """The last read through the API is older than what had been acknowledged."""
    newest = writes.group_by("key").agg(newest=pl.col("version").max(), id=pl.col("id").max())
    last = history.operations.filter(
        (pl.col("journey") == FINAL_READ) & (pl.col("outcome") == "acknowledged")
    ).select("key", "version", t="ended")
    old = last.join(newest, on="key").filter(pl.col("version").fill_null(0) < pl.col("newest"))
    statement = pl.format(
        "in the end the API shows version {} of {}, version {} had been acknowledged",
        pl.col("version").cast(pl.String).fill_null("none"),
        "key",
        "newest",
    )
    return _broken(old, "shown_too_old", statement, pl.col("id"))


def _violations(history: History, broken: pl.DataFrame) -> list[Violation]:
    first = broken.head(SHOWN)
    keys = first["key"].unique().to_list()
    proof = evidence(history, keys, ["rx_version"], [*WRITES, FINAL_READ]) if keys else {}
    return [
        Violation(statement, key, t, proof[key])
        for statement, key, t in first.select("statement", "key", "t").iter_rows()
    ]
