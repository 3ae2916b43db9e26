"""I2: no invoice is charged twice, judged from the payment ledger.

A refund does not undo a duplicate: it is money taken without right for a while. The net overcharge stands
beside the count, so that what was refunded is seen too.
"""

from __future__ import annotations

import polars as pl

from experiment.history import History
from experiment.scenario import Scenario
from experiment.topology import System
from experiment.units import noun
from experiment.verdict import Violation
from measurement.checkers.findings import SHOWN, Finding, conclude, evidence, saw_nothing
from measurement.ledger import captures, invoices

JOURNEYS = ("pay",)


def find(history: History, _scenario: Scenario, _system: System) -> Finding:
    """Exposed are the invoices with at least one capture in the ledger."""
    ledger = captures(history)
    if ledger.height == 0:
        return saw_nothing("the payment ledger holds no charge")
    twice = ledger.filter(pl.col("captures") > 1)
    doubled = invoices(history, twice["key"]).sort("last_capture")
    due = pl.coalesce("amount", "first_amount")
    over = doubled.select((pl.col("net") - due).clip(lower_bound=0).alias("over"))["over"].sum()
    extra = int((doubled["captures"] - 1).sum())
    measures = {
        "charged_invoices": ledger.height,
        "charges": int(ledger["captures"].sum()),
        "duplicate_charges": extra,
        "invoices_charged_twice": doubled.height,
        "net_overcharge": round(float(over), 2),
    }
    bad = (
        f"{noun(extra, 'duplicate charge')} on {noun(doubled.height, 'invoice')} of "
        f"{ledger.height:,} charged; net overcharge after refunds {over:.2f}"
    )
    wrong = history.operations.filter(
        pl.col("journey").is_in(list(JOURNEYS)) & pl.col("key").is_in(doubled["key"].implode())
    )["id"]
    good = f"none of {noun(ledger.height, 'charged invoice')} was charged more than once"
    return conclude(ledger.height, _violations(history, doubled), doubled.height, good, bad, measures, wrong)


def _violations(history: History, doubled: pl.DataFrame) -> list[Violation]:
    first = doubled.head(SHOWN)
    proof = evidence(history, first["key"].to_list(), ["charge", "refund"], JOURNEYS) if first.height else {}
    found: list[Violation] = []
    for key, t in first.select("key", "last_capture").iter_rows():
        charges = [row for row in proof[key] if row.get("kind") == "charge"]
        amounts = [f"{row['amount']:.2f}" if "amount" in row else "unknown" for row in charges]
        times = "twice" if len(amounts) == 2 else f"{len(amounts)} times"
        statement = f"invoice {key} was charged {times} ({' and '.join(amounts)})"
        found.append(Violation(statement, key, t, proof[key]))
    return found
