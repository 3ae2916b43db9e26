"""I6: every payment ends, completed or compensated, and no money is made or lost on the way.

Judged per invoice from three systems of record: the payment ledger (what was taken and given back), the
invoice and the saga (what billing believes). While a saga still runs its money is in flight; that it runs
after settling is itself a violation.
"""

from __future__ import annotations

import polars as pl

from experiment.history import History
from experiment.scenario import Scenario
from experiment.topology import System
from experiment.verdict import Violation
from measurement.checkers.findings import SHOWN, Finding, conclude, evidence, noun, saw_nothing, was_read
from measurement.ledger import invoices

CENT = 0.005


def find(history: History, _scenario: Scenario, _system: System) -> Finding:
    """Exposed are the invoices on which a payment was begun: a saga, a capture, a status beyond open, or a
    `pay` that was acknowledged or timed out."""
    for store in ("billing", "payments"):
        if not was_read(history, store):
            return saw_nothing(f"the records of {store} were not read")
    asked = _payments_asked(history)
    money = invoices(history).join(asked, on="key", how="full", coalesce=True)
    money = money.with_columns(pl.col("captures", "open_sagas", "told_paid").fill_null(0))
    begun = money.filter(
        (pl.col("captures") > 0)
        | pl.col("sagas").is_not_null()
        | (pl.col("invoice") != "open").fill_null(False)
        | pl.col("asked").is_not_null()
    ).with_columns(pl.col("net", "captured", "refunded").fill_null(0.0))
    if begun.height == 0:
        return saw_nothing("no payment was begun")
    judged = begun.with_columns(why=_why()).filter(pl.col("why").is_not_null())
    broken = judged.sort(pl.coalesce("last_capture", "billed_t"), nulls_last=True)
    paid = begun.filter(pl.col("invoice") == "paid")
    difference = float(begun["net"].sum()) - float(paid["amount"].sum())
    measures = {
        "payments_begun": begun.height,
        "captured": round(float(begun["captured"].sum()), 2),
        "refunded": round(float(begun["refunded"].sum()), 2),
        "paid_invoices": round(float(paid["amount"].sum()), 2),
        "difference": round(difference, 2),
        "open_sagas": int(begun["open_sagas"].sum()),
    }
    totals = f"ledger minus paid invoices: {difference:+.2f}"
    wrong = history.operations.filter(
        (pl.col("journey") == "pay") & pl.col("key").is_in(broken["key"].implode())
    )["id"]
    return conclude(
        begun.height,
        _violations(history, broken),
        broken.height,
        f"all {noun(begun.height, 'payment')} ended and money is conserved ({totals})",
        f"{noun(broken.height, 'payment')} of {begun.height:,} did not end or did not conserve money "
        f"({totals})",
        measures,
        wrong,
    )


def _payments_asked(history: History) -> pl.DataFrame:
    """Per invoice: the payments that may have happened, and how often the client was told `paid` without a
    label."""
    return (
        history.operations.lazy()
        .filter(
            (pl.col("journey") == "pay") & (pl.col("outcome") != "rejected") & pl.col("sent").is_not_null()
        )
        .group_by("key")
        .agg(
            asked=pl.len().cast(pl.Int64),
            told_paid=((pl.col("outcome") == "acknowledged") & pl.col("label").is_null())
            .sum()
            .cast(pl.Int64),
        )
        .collect()
    )


def _why() -> pl.Expr:
    """The first of these that holds is what is wrong with a payment; null when nothing is."""
    moved = pl.col("net") > CENT
    paid = (pl.col("invoice") == "paid").fill_null(False)
    running = pl.col("open_sagas") > 0
    due = (pl.col("net") - pl.col("amount")).abs() > CENT
    completed = pl.col("sagas").fill_null("").str.contains("completed")
    status = pl.col("invoice").fill_null("unknown to billing")
    return (
        pl.when(running)
        .then(pl.lit("its saga still runs after settling"))
        .when(paid & (pl.col("captures") == 0))
        .then(pl.lit("paid without a capture"))
        .when(moved & ~paid)
        .then(pl.format("{} captured and not refunded, invoice is {}", pl.col("net").round(2), status))
        .when(paid & due)
        .then(pl.format("paid {} by captures of net {}", "amount", pl.col("net").round(2)))
        .when(pl.col("net") < -CENT)
        .then(pl.format("refunded {} more than was captured", (-pl.col("net")).round(2)))
        .when((pl.col("invoice") == "paying").fill_null(False))
        .then(pl.lit("still paying after settling, without a saga that could end it"))
        .when((pl.col("told_paid") > 0) & ~paid & (pl.col("invoice") != "refunded").fill_null(True))
        .then(pl.format("the client was told paid, invoice is {}", status))
        .when(completed & ~paid)
        .then(pl.format("its saga says completed, invoice is {}", status))
    )


def _violations(history: History, broken: pl.DataFrame) -> list[Violation]:
    first = broken.head(SHOWN)
    kinds = ["invoice", "saga", "charge", "refund"]
    proof = evidence(history, first["key"].to_list(), kinds, ["claim", "pay"]) if first.height else {}
    return [
        Violation(f"invoice {key}: {why}", key, capture if capture is not None else billed, proof[key])
        for key, why, capture, billed in first.select("key", "why", "last_capture", "billed_t").iter_rows()
    ]
