"""Money by invoice: what the payment ledger took and gave back, beside what billing believes."""

from __future__ import annotations

import polars as pl

from experiment.history import History


def invoices(history: History) -> pl.DataFrame:
    """One row per invoice that any system of record knows.

    Columns: key; captures, captured, refunded, net (captured - refunded), first_amount, last_capture from
    the payment ledger; amount, invoice (status), billed_t from billing; sagas (statuses, joined by comma),
    open_sagas.
    """
    records = history.records.lazy()
    charges = (
        records.filter((pl.col("kind") == "charge") & (pl.col("status").fill_null("captured") == "captured"))
        .sort("t", nulls_last=True)
        .group_by("key")
        .agg(
            captures=pl.len().cast(pl.Int64),
            captured=pl.col("amount").sum(),
            first_amount=pl.col("amount").first(),
            last_capture=pl.col("t").max(),
        )
    )
    refunds = records.filter(pl.col("kind") == "refund").group_by("key").agg(refunded=pl.col("amount").sum())
    billed = (
        records.filter((pl.col("kind") == "invoice") & (pl.col("store") == "billing"))
        .sort("t", nulls_last=True)
        .group_by("key")
        .agg(invoice=pl.col("status").last(), amount=pl.col("amount").last(), billed_t=pl.col("t").last())
    )
    sagas = (
        records.filter(pl.col("kind") == "saga")
        .group_by("key")
        .agg(
            sagas=pl.col("status").str.join(", "),
            open_sagas=(pl.col("status") == "running").sum().cast(pl.Int64),
        )
    )
    joined = (
        charges.join(refunds, on="key", how="full", coalesce=True)
        .join(billed, on="key", how="full", coalesce=True)
        .join(sagas, on="key", how="full", coalesce=True)
    )
    return joined.with_columns(
        pl.col("captures", "open_sagas").fill_null(0),
        pl.col("captured", "refunded").fill_null(0.0),
        net=pl.col("captured").fill_null(0.0) - pl.col("refunded").fill_null(0.0),
    ).collect()
