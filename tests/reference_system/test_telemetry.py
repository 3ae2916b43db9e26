"""The collector and what services tell it, over real PostgreSQL and NATS."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reference_system import journeys
from tests.reference_system.cluster import Cluster, wait_for
from tests.reference_system.designs import with_service

pytestmark = pytest.mark.live


def kept(cluster: Cluster) -> dict[str, list[dict[str, Any]]]:
    return {kind: cluster.records("telemetry", kind) for kind in ("request", "call", "delivery")}


def test_a_payment_is_one_trace_from_billing_to_its_database(cluster: Cluster) -> None:
    """The request at payments names the call of billing as its parent; its statement is a call of its own."""
    cluster.reset(cluster.design("resilient"))
    assert journeys.claim(cluster, "t1").status == 201
    assert journeys.pay(cluster, "t1").status == 200

    def told() -> Any:
        spans = kept(cluster)
        calls = {row["id"]: row for row in spans["call"]}
        for row in spans["request"]:
            call = calls.get(row["value"])
            if row["caller"] == "payments" and call is not None and call["caller"] == "billing -> payments":
                below = [one["caller"] for one in spans["call"] if one["value"] == row["id"]]
                return (row, call) if "payments -> postgres" in below else None
        return None

    request, call = wait_for("a whole trace", told, within=10.0)
    assert request["key"] == call["key"] and {request["status"], call["status"]} == {"ok"}
    assert 0 < request["amount"] <= call["amount"]


def test_without_a_context_the_collector_hears_of_requests_alone(cluster: Cluster) -> None:
    """Each of a trace of its own."""
    design = cluster.design("resilient")
    for name in cluster.services:
        design = with_service(design, name, trace_context="none")
    cluster.reset(design)
    assert journeys.claim(cluster, "t2").status == 201
    wait_for("a request", lambda: cluster.records("telemetry", "request"), within=10.0)
    spans = kept(cluster)
    assert not spans["call"] and not spans["delivery"]
    assert all(row["value"] is None for row in spans["request"])
