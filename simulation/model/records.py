"""The systems of record of a simulated run, as rows with the fields that the live services give."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from experiment.rows import RECORDS_READ, Record, Sample
from simulation.model.nodes import Node

Tables = dict[str, Any]


def _checkin(tables: Tables) -> Iterator[Record]:
    for row in tables.get("encounter", []):
        yield Record("checkin", "encounter", row["key"], row["id"], row["at"], status=row["status"])


def _eligibility(tables: Tables) -> Iterator[Record]:
    for key, row in tables.get("inquiry", {}).items():
        if row["status"] != "pending":
            decided = (row["coverage"], key, row["at"])
            yield Record("eligibility", "coverage_decision", *decided, status=row["status"], value="payer")
        if "cached" in row:
            cached = (row["coverage"], key, row["cached_at"])
            yield Record("eligibility", "coverage_decision", *cached, status=row["cached"], value="cache")


def _payer(tables: Tables) -> Iterator[Record]:
    for row in tables.get("inquiry", []):
        asked = (row["key"], row["id"], row["at"])
        yield Record("payer", "eligibility_inquiry", *asked, status=row["status"], caller=row["caller"])
    for row in tables.get("claim", []):
        facts = {"status": "accepted", "amount": row["amount"], "caller": row["caller"]}
        yield Record("payer", "claim", row["key"], row["id"], row["at"], **facts)


def _prescriptions(tables: Tables) -> Iterator[Record]:
    for (rx, version), row in tables.get("rx_version", {}).items():
        facts = {"version": version, "status": row["status"], "value": row["dose"]}
        yield Record("prescriptions", "rx_version", rx, f"{rx}/{version}", row["at"], **facts)


def _pharmacy(tables: Tables) -> Iterator[Record]:
    for id_, row in tables.get("dispense", {}).items():
        facts = {"version": row["version"], "status": row["status"], "value": row["dose"]}
        yield Record("pharmacy", "dispense", row["rx"], id_, row["at"], **facts)
    for rx, row in tables.get("projection", {}).items():
        facts = {"version": row["version"], "status": row["status"], "value": row["dose"]}
        yield Record("pharmacy", "projection", rx, rx, row["at"], **facts)


def _billing(tables: Tables) -> Iterator[Record]:
    for id_, row in tables.get("claim", {}).items():
        facts = {"status": row["status"], "amount": row["amount"], "value": row["invoice"]}
        yield Record("billing", "claim", id_, id_, row["at"], **facts)
    for id_, row in tables.get("invoice", {}).items():
        facts = {"status": row["status"], "amount": row["amount"], "value": row["charge"]}
        yield Record("billing", "invoice", id_, id_, row["at"], **facts)
    for id_, row in tables.get("saga", {}).items():
        yield Record("billing", "saga", id_, id_, row["at"], status=row["status"], value=row["key"])


def _payments(tables: Tables) -> Iterator[Record]:
    for row in tables.get("charge", []):
        facts = {"amount": row["amount"], "value": row["guard"], "caller": row["caller"]}
        yield Record("payments", "charge", row["invoice"], row["id"], row["at"], status="captured", **facts)
    for charge, row in tables.get("refund", {}).items():
        facts = {"amount": row["amount"], "value": charge, "caller": row["caller"]}
        yield Record("payments", "refund", row["invoice"], row["id"], row["at"], **facts)


READERS: dict[str, Callable[[Tables], Iterator[Record]]] = {
    "checkin": _checkin,
    "eligibility": _eligibility,
    "payer": _payer,
    "prescriptions": _prescriptions,
    "pharmacy": _pharmacy,
    "billing": _billing,
    "payments": _payments,
}


def records_of(nodes: dict[str, Node], at: float) -> Iterator[Record | Sample]:
    """Every row of every system of record, and how many each gave when it was read, at `at`."""
    for name, node in nodes.items():
        if name in READERS:
            rows = list(READERS[name](node.tables))
            yield Sample(at, name, RECORDS_READ, float(len(rows)))
            yield from rows
