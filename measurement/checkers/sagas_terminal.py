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
from experiment.units import noun
from experiment.verdict import Violation
from measurement.checkers.findings import SHOWN, Finding, conclude, evidence, saw_nothing, was_read
from measurement.ledger import invoices

CENT = 0.005
ENDS = ("paid", "refunded", "failed")  # of an invoice


def find(history: History, _scenario: Scenario, _system: System) -> Finding:
    """Exposed are the invoices on which a payment was begun: a saga, a capture, a status beyond open, or a
    `pay` that was acknowledged or timed out."""
    for store in ("billing", "payments"):
        if not was_read(history, store):
            return saw_nothing(f"the records of {store} were not read")
    asked = _payments_asked(history)
    money = invoices(history).join(asked, on="key", how="full", coalesce=True)
    money = money.with_columns(
        pl.col("captures", "sagas", "open_sagas", "completed_sagas", "promised", "told_paid").fill_null(0)
    )
    begun = money.filter(
        (pl.col("captures") > 0)
        | (pl.col("sagas") > 0)
        | (pl.col("invoice") != "open").fill_null(False)
        | pl.col("asked").is_not_null()
    ).with_columns(pl.col("net", "captured", "refunded").fill_null(0.0))
    if begun.height == 0:
        return saw_nothing("no payment was begun")
    broken = _broken(begun).sort(pl.coalesce("last_capture", "billed_t"), nulls_last=True)
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
    """Per invoice: the payments that may have happened, how many of them were acknowledged, and how often
    the client was told `paid` without a label."""
    acknowledged = pl.col("outcome") == "acknowledged"
    return (
        history.operations.lazy()
        .filter(
            (pl.col("journey") == "pay") & (pl.col("outcome") != "rejected") & pl.col("sent").is_not_null()
        )
        .group_by("key")
        .agg(
            asked=pl.len().cast(pl.Int64),
            promised=acknowledged.sum().cast(pl.Int64),
            told_paid=(acknowledged & pl.col("label").is_null()).sum().cast(pl.Int64),
        )
        .collect()
    )


def _faults() -> list[tuple[pl.Expr, pl.Expr]]:
    """(condition, what is wrong), the first that holds counts."""
    moved = pl.col("net") > CENT
    paid = (pl.col("invoice") == "paid").fill_null(False)
    due = (pl.col("net") - pl.col("amount")).abs() > CENT
    told_in_vain = (pl.col("told_paid") > 0) & (pl.col("invoice") != "refunded").fill_null(True)
    untouched = (pl.col("sagas") == 0) & (pl.col("captures") == 0)
    unended = ~pl.col("invoice").cast(pl.String).is_in(list(ENDS)).fill_null(False)
    status = pl.col("invoice").cast(pl.String).fill_null("unknown to billing")
    net = pl.col("net").round(2)
    return [
        (pl.col("open_sagas") > 0, pl.lit("its saga still runs after settling")),
        (paid & (pl.col("captures") == 0), pl.lit("paid without a capture")),
        (moved & ~paid, pl.format("{} captured and not refunded, invoice is {}", net, status)),
        (paid & due, pl.format("paid {} by captures of net {}", "amount", net)),
        (pl.col("net") < -CENT, pl.format("refunded {} more than was captured", -net)),
        (
            (pl.col("invoice") == "paying").fill_null(False),
            pl.lit("still paying after settling, without a saga that could end it"),
        ),
        (~paid & told_in_vain, pl.format("the client was told paid, invoice is {}", status)),
        (
            (pl.col("promised") > 0) & untouched & unended,
            pl.format("its payment was acknowledged and never begun, invoice is {}", status),
        ),
        (
            ~paid & (pl.col("completed_sagas") > 0),
            pl.format("its saga says completed, invoice is {}", status),
        ),
    ]


def _broken(begun: pl.DataFrame) -> pl.DataFrame:
    """The payments with something wrong, and `why`. Sentences are made for these only."""
    faults = _faults()
    wrong = begun.filter(pl.any_horizontal(condition.fill_null(False) for condition, _ in faults))
    return wrong.with_columns(
        why=pl.coalesce(pl.when(condition).then(sentence) for condition, sentence in faults)
    )


def _violations(history: History, broken: pl.DataFrame) -> list[Violation]:
    first = broken.head(SHOWN)
    kinds = ["invoice", "saga", "charge", "refund"]
    proof = evidence(history, first["key"].to_list(), kinds, ["claim", "pay"]) if first.height else {}
    return [
        Violation(f"invoice {key}: {why}", key, capture if capture is not None else billed, proof[key])
        for key, why, capture, billed in first.select("key", "why", "last_capture", "billed_t").iter_rows()
    ]
