"""What the laboratory tells others of a result, in both versions of its contract: the body of an event, and
an entry of `GET /results`.

Version 2 renames the code and the quantity and drops `interpretation` in favour of `flag`: it breaks whoever
reads version 1. A compatible event of the time between them has the fields of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reference_system.common import fhir

V1, V2 = "lab.result.v1", "lab.result.v2"
CRITICAL = frozenset({"AA", "HH", "LL"})


def _about(row: Mapping[str, Any], schema: str) -> dict[str, Any]:
    return {
        "schema": schema,
        "report": row["report"],
        "version": row["version"],
        "patient": row["patient"],
        "status": row["status"],
        "issued": fhir.instant(row["at"]),
    }


def first(row: Mapping[str, Any]) -> dict[str, Any]:
    """Version 1 of the contract."""
    own = {name: row[name] for name in ("code", "value", "unit", "interpretation")}
    return {**_about(row, V1), **own}


def second(row: Mapping[str, Any]) -> dict[str, Any]:
    """Version 2 of the contract."""
    quantity = {"value": row["value"], "unit": row["unit"]}
    own = {"observation": {"code": row["code"], "quantity": quantity}, "flag": row["interpretation"]}
    return {**_about(row, V2), **own}


def compatible(row: Mapping[str, Any]) -> dict[str, Any]:
    """Version 1, with what version 2 has beside it: readers of either find what they look for."""
    return {**second(row), **first(row)}
