"""Every service shows what it obeys, from what its code reads: the same names and values as the design's."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from experiment.design import Design
from experiment.obeyed import differences, digest_of, told_to
from experiment.patterns import Breaker, Bulkhead, LinkPatterns, Retry
from reference_system.common.operations import shown
from tests.reference_system.cluster import Cluster


def turned(design: Design) -> Design:
    """Every switch and every pattern another one than in `design`, so that nothing fits by chance."""
    other: dict[str, Any] = {
        **dict.fromkeys(("registry_fallback", "idempotency_key", "outbox", "dedupe", "if_match"), False),
        **dict.fromkeys(("version_fence", "saga", "lookup_before_retry"), False),
        "shedding": {"concurrent": 77},
        "eligibility": "sync",
        "inline_wait": 0.25,
        "eligibility_cache": None,
        "retry_schedule": 45.5,
        "dispense_check": "current_read",
        "outbox_poll": 0.05,
        "max_rate": 900.0,
        "delivery": "forget",
        "escalation": 30.5,
        "session_store": "memory",
        "result_contract": "breaking",
        "dashboard": "fan_out",
        "partial_answers": False,
        "authorisation": "fail_open",
        "decision_cache": 30.5,
        "local_break_glass": False,
        "audit": "best_effort",
        "spool_limit": 77,
        "write_roles": False,
        "encryption": False,
        "tls": "preferred",
        "routing": "in_turn",
    }
    patterns = LinkPatterns(3.5, False, Retry(2, 0.01, 0.2, "equal", 0.3), Breaker(9, 0.7), Bulkhead(11, 12))
    services = {name: {**own, **other} for name, own in design.services.items()}
    return replace(design, name="turned", links=dict.fromkeys(design.links, patterns), services=services)


def test_every_service_shows_the_design_of_the_last_reset(cluster: Cluster) -> None:
    """Of two designs that differ in everything."""
    resilient = cluster.design("resilient")
    for design in (resilient, turned(resilient), resilient):
        cluster.reset(design)
        for service in cluster.services:
            answer = cluster.call(service, "GET", "/design")
            wanted = told_to(cluster.system, design, service)
            assert (service, differences(wanted, answer.body["obeys"])) == (service, [])
            assert answer.body["obeys"].keys() == wanted.keys()
            assert answer.body["digest"] == digest_of(wanted)


@pytest.mark.parametrize("obeys", [{}, {"b": 1.0, "a": {"y": None, "x": 0.5}}, {"é": "ü", "on": True}])
def test_services_and_harness_make_the_same_digest(obeys: dict[str, Any]) -> None:
    """Each by its own code: services import nothing of the harness."""
    assert shown(obeys)["digest"] == digest_of(obeys)


def test_the_digest_is_of_plain_json() -> None:
    """As the page of the contract says."""
    text = json.dumps({"a": 1, "b": [0.5]}, sort_keys=True, separators=(",", ":"))
    assert shown({"b": [0.5], "a": 1.0})["digest"] == hashlib.sha256(text.encode()).hexdigest()
