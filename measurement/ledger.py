"""Money by invoice: what the payment ledger took and gave back, beside what billing believes."""

from __future__ import annotations

import polars as pl

from experiment.history import History


def captures(history: History) -> pl.DataFrame:
    """One row per charged invoice: key, captures, captured, first_amount, last_capture (the ledger alone)."""
    return _captures(history.records.lazy()).collect()


def invoices(history: History, keys: pl.Series | None = None) -> pl.DataFrame:
    """One row per invoice that any system of record knows; only those of `keys` when given.

    Columns: key; captures, captured, refunded, net (captured - refunded), first_amount, last_capture from
    the payment ledger; amount, invoice (status), billed_t from billing; sagas, open_sagas, completed_sagas
    (counts).
    """
    records = history.records.lazy()
    if keys is not None:
        records = records.filter(pl.col("key").is_in(keys.implode()))
    refunds = records.filter(pl.col("kind") == "refund").group_by("key").agg(refunded=pl.col("amount").sum())
    billed = (
        records.filter((pl.col("kind") == "invoice") & (pl.col("store") == "billing"))
        .group_by("key")
        .agg(invoice=pl.col("status").last(), amount=pl.col("amount").last(), billed_t=pl.col("t").last())
    )
    sagas = (
        records.filter(pl.col("kind") == "saga")
        .group_by("key")
        .agg(
            sagas=pl.len().cast(pl.Int64),
            open_sagas=(pl.col("status") == "running").sum().cast(pl.Int64),
            completed_sagas=(pl.col("status") == "completed").sum().cast(pl.Int64),
        )
    )
    joined = (
        _captures(records)
        .join(refunds, on="key", how="full", coalesce=True)
        .join(billed, on="key", how="full", coalesce=True)
        .join(sagas, on="key", how="full", coalesce=True)
    )
    return joined.with_columns(
        pl.col("captures", "sagas", "open_sagas", "completed_sagas").fill_null(0),
        pl.col("captured", "refunded").fill_null(0.0),
        net=pl.col("captured").fill_null(0.0) - pl.col("refunded").fill_null(0.0),
    ).collect()


def _captures(records: pl.LazyFrame) -> pl.LazyFrame:
    captured = pl.col("status").cast(pl.String).fill_null("captured") == "captured"
    return (
        records.filter((pl.col("kind") == "charge") & captured)
        .group_by("key")
        .agg(
            captures=pl.len().cast(pl.Int64),
            captured=pl.col("amount").sum(),
            first_amount=pl.col("amount").first(),
            last_capture=pl.col("t").max(),
        )
    )
