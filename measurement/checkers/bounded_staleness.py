"""I13: what a projection shows is current, or recent enough, or says of itself that it is not.

A read is stale when a higher version had been acknowledged before the read was sent; "not found" shows
version 0. An unlabelled stale read is allowed while it lags by no more than the scenario's `staleness.age`,
or by no more than `staleness.versions`. A label must tell the truth: one that says less than the lag it
covers misleads its reader, whatever the bound. After settling the copies themselves must agree with the
system of record: what is still behind then was lost, not late.
"""

from __future__ import annotations

import polars as pl

from experiment.history import History
from experiment.scenario import Scenario
from experiment.topology import System
from experiment.units import format_duration, noun
from experiment.verdict import Violation
from measurement.checkers.findings import (
    SHOWN,
    Finding,
    conclude,
    counted_records,
    evidence,
    saw_nothing,
)
from measurement.prescriptions import READ, WRITES, projection_reads

PHARMACY = "pharmacy"
LABEL_SLACK_S = 0.1  # a label's age is taken by the service a little before the client's clock


def find(history: History, scenario: Scenario, _system: System) -> Finding:
    """Exposed are the reads that followed an acknowledged write of the same prescription, and the copies of
    prescriptions after settling."""
    reads = projection_reads(history)
    copies = final_copies(history)
    lost = copies.filter(pl.col("shown") < pl.col("newest"))
    if reads.height == 0 and copies.height == 0:
        return saw_nothing("no projection was read after an acknowledged write")
    bounds = scenario.staleness
    stale = reads.filter(pl.col("version_lag") > 0)
    unlabelled = stale.filter(pl.col("label").is_null())
    beyond = unlabelled.filter(
        (pl.col("lag_s") > bounds.age) & (pl.col("version_lag") > bounds.versions)
    ).sort("sent")
    understated = stale.filter(pl.col("age") + LABEL_SLACK_S < pl.col("lag_s")).sort("sent")
    measures = {
        "reads": reads.height,
        "stale_reads": stale.height,
        "unlabelled_stale_reads": unlabelled.height,
        "unlabelled_lag_s_max": _top(unlabelled["lag_s"]),
        "beyond_bound": beyond.height,
        "labels_that_understate": understated.height,
        "copies_after_settling": copies.height,
        "copies_behind_after_settling": lost.height,
        **_percentiles(reads, "lag_s", "time_lag"),
        **_percentiles(reads, "version_lag", "version_lag"),
    }
    worst = _top(stale["lag_s"])
    good = (
        f"none of {noun(reads.height, 'projection read')} was stale without a label beyond the bound "
        f"({format_duration(bounds.age)}); {noun(stale.height, 'labelled or allowed stale read')}, "
        f"worst lag {format_duration(worst)}"
    )
    bad = (
        f"{noun(beyond.height, 'unlabelled stale read')} of {reads.height:,} beyond the bound "
        f"({format_duration(bounds.age)}), worst lag {format_duration(worst)}"
    )
    if understated.height:
        bad = f"{noun(understated.height, 'label')} that made a stale read look younger; {bad}"
    if lost.height:
        bad = f"copies behind after settling: {lost.height:,} of {copies.height:,}; {bad}"
    return conclude(
        reads.height + copies.height,
        [*_lost(history, lost), *_violations(history, pl.concat([beyond, understated]))],
        beyond.height + understated.height + lost.height,
        good,
        bad,
        measures,
        pl.concat([beyond["id"], understated["id"]]),
    )


def final_copies(history: History) -> pl.DataFrame:
    """After settling: key, the newest version of record, and the version shown by the copy (0: there is
    none).

    Empty when the pharmacy, which keeps them, is not known to have been read.
    """
    records = history.records
    copied = records.filter(pl.col("kind") == "projection")
    copies = copied.group_by("key").agg(shown=pl.col("version").max())
    written = records.filter(pl.col("kind") == "rx_version")
    newest = written.group_by("key").agg(newest=pl.col("version").max())
    if copies.height == 0 and PHARMACY not in counted_records(history):
        return newest.clear().with_columns(shown=pl.lit(None, pl.Int32))
    return newest.join(copies, on="key", how="left").with_columns(pl.col("shown").fill_null(0)).sort("key")


def _lost(history: History, lost: pl.DataFrame) -> list[Violation]:
    first = lost.head(SHOWN)
    keys = first["key"].to_list()
    proof = evidence(history, keys, ["rx_version", "projection"], list(WRITES)) if keys else {}
    return [
        Violation(
            f"after settling the copy of {key} shows {_shown(shown)}, the system of record version {newest}",
            key,
            None,
            proof[key],
        )
        for key, newest, shown in first.select("key", "newest", "shown").iter_rows()
    ]


def _top(values: pl.Series) -> float:
    """The largest; 0 of none."""
    largest = values.max()
    return float(largest) if isinstance(largest, int | float) else 0.0


def _percentiles(reads: pl.DataFrame, column: str, name: str) -> dict[str, float | None]:
    """p50, p99 and max over all exposed reads; p99 only when at least 100 were seen."""
    values = reads[column].cast(pl.Float64)
    p99 = values.quantile(0.99, "higher") if reads.height >= 100 else None
    unit = "_s" if name == "time_lag" else ""
    return {
        f"{name}{unit}_p50": values.quantile(0.5, "higher"),
        f"{name}{unit}_p99": p99,
        f"{name}{unit}_max": _top(values),
    }


def _shown(version: int) -> str:
    return f"version {version}" if version else "nothing"


def _violations(history: History, broken: pl.DataFrame) -> list[Violation]:
    first = broken.head(SHOWN)
    keys = first["key"].unique().to_list()
    proof = evidence(history, keys, ["rx_version", "projection"], [*WRITES, READ]) if keys else {}
    return [
        Violation(
            f"a read of {key} showed {_shown(version)} while version {newest} had been acknowledged; "
            f"{_shown(version)} had been superseded for {format_duration(lag)}"
            + (f", its label said {format_duration(age)}" if age is not None else ""),
            key,
            sent,
            proof[key],
        )
        for key, version, newest, lag, age, sent in first.select(
            "key", "version", "newest", "lag_s", "age", "sent"
        ).iter_rows()
    ]
