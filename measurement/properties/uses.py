"""Uses of a thing as reads of its register: each with the interval in which it must have happened, put
together from the record of the use and the client's own log."""

from __future__ import annotations

from collections.abc import Sequence

from experiment.history import History
from experiment.libraries import pl
from experiment.properties import Records
from measurement.properties.selection import acknowledged, performed, recorded, was_sent

CLOCK_SLACK_S = 0.05  # granted where a service's clock is compared with the client's
COLUMNS = ("id", "key", "version", "began", "done", "t", "operation")


def known_end() -> pl.Expr:
    """Whether the answer says that the use was over by then."""
    return pl.col("certain") & ~pl.col("held")


def uses(history: History, journeys: Sequence[str], used: Records | None, held: str) -> pl.DataFrame:
    """One row per use of a known version.

    Columns: id (row number), key, version, began, done (seconds; the use lies between), t (the service's own
    time), operation (id of the client's operation, null when none explains the record). An operation whose
    answer carried the label `held` began its use after that answer. A record that no operation explains is
    given the whole time before it: nothing is claimed of it that is not certain. An answer that names a
    version which no record of that time shows is a use of its own: the client's log is believed, whatever
    else the service wrote down.
    """
    asked = (
        performed(history, journeys)
        .filter((pl.col("outcome") != "rejected") & was_sent())
        .select(
            "key",
            "sent",
            "ended",
            pl.col("version").alias("told"),
            pl.col("id").alias("operation"),
            held=(pl.col("label") == held).fill_null(False) & bool(held),
            certain=acknowledged(),
        )
        .collect()
    )
    rows = history.lazy_records.filter(pl.lit(False)) if used is None else recorded(history, used)
    records = rows.select("key", "version", "t").with_row_index("id").collect()
    pairs = _pairs(records, asked)
    settled = _explained(records, pairs)
    answered = asked.filter(known_end() & pl.col("told").is_not_null())
    unrecorded = answered.join(pairs.filter("told_so"), on="operation", how="anti")
    from_client = unrecorded.select(
        pl.lit(0, pl.UInt32).alias("id"),
        "key",
        pl.col("told").alias("version"),
        pl.col("sent").alias("began"),
        pl.col("ended").alias("done"),
        pl.lit(None, pl.Float64).alias("t"),
        "operation",
    )
    both = pl.concat([settled.select(COLUMNS), from_client.select(COLUMNS)])
    return both.filter(pl.col("version").is_not_null()).drop("id").with_row_index("id")


def _pairs(records: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
    """Each record with each operation that may have caused it; `told_so`: its answer named the version of
    the record."""
    slack = CLOCK_SLACK_S
    unknown_time = pl.col("t").is_null()
    in_call = (pl.col("sent") <= pl.col("t") + slack) & (
        ~pl.col("certain") | (pl.col("t") <= pl.col("ended") + slack)
    )
    after_hold = pl.col("ended") <= pl.col("t") + slack
    fits = unknown_time | (pl.col("held") & after_hold) | (~pl.col("held") & in_call)
    told_so = known_end() & (pl.col("told") == pl.col("version")).fill_null(False)
    return records.join(asked, on="key").filter(fits).with_columns(told_so=told_so)


def _explained(records: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """Each record with the interval of the operations that may have caused it, the earliest start of them."""
    slack = CLOCK_SLACK_S
    began = pl.when("held").then("ended").otherwise("sent")
    # An answer that names this version explains the record; only without one may any open request have.
    causes = (
        pairs.filter(pl.col("told_so") | ~pl.col("told_so").any().over("id"))
        .group_by("id")
        .agg(
            began=began.min(),
            done=pl.when(known_end()).then("ended").otherwise(pl.col("t") + slack).max(),
            operation=pl.col("operation").first(),
        )
    )
    nowhere = pl.lit(float("-inf"))
    return records.join(causes, on="id", how="left").with_columns(
        began=pl.col("began").fill_null(nowhere),
        done=pl.coalesce("done", pl.col("t") + slack, pl.lit(float("inf"))),
    )
