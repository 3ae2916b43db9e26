"""Services whose store or bus goes away and comes back: bounded waiting, honest answers, recovery without a
restart."""

from __future__ import annotations

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.reference_system import journeys
from tests.reference_system.cluster import Cluster, wait_for
from tests.reference_system.designs import with_service

pytestmark = pytest.mark.live


@pytest.fixture
def system(cluster: Cluster) -> Cluster:
    cluster.heal()
    cluster.reset(cluster.design("resilient"))
    return cluster


@pytest.mark.parametrize("fault", ["refuse", "blackhole"])
def test_a_lost_store_is_answered_in_time_and_recovers(system: Cluster, fault: str) -> None:
    """With its database cut off or silent, billing answers 503 or 504 within its limits, and works again
    after."""
    assert journeys.claim(system, "s1").status == 201
    try:
        getattr(system, fault)("billing -> postgres")
        started = time.monotonic()
        answers = [journeys.claim(system, f"s-{fault}-{n}").status for n in range(3)]
        assert time.monotonic() - started < 3 * 2.5
        assert set(answers) <= {503, 504}, answers
    finally:
        system.heal()
    wait_for("claims again", lambda: journeys.claim(system, "s2").status in (200, 201), 10)
    assert journeys.pay(system, "s2").status in (200, 202)
    system.settled(20)


def test_a_lost_bus_costs_the_users_nothing(system: Cluster) -> None:
    """Prescribing goes on while the bus is away; the events follow when it is back."""
    try:
        system.refuse("prescriptions -> bus")
        assert [journeys.prescribe(system, f"rx-b{n}").status for n in range(3)] == [201] * 3
        assert system.call("prescriptions", "GET", "/backlog").body["outbox"] == 3
    finally:
        system.heal()
    system.settled(20)
    wait_for("the copies", lambda: len(system.records("pharmacy", "projection")) == 3)


def test_a_silent_bus_is_noticed(system: Cluster) -> None:
    """A black hole before the bus is noticed by unanswered pings; after healing the events arrive."""
    try:
        system.blackhole("prescriptions -> bus")
        assert journeys.prescribe(system, "rx-q1").status == 201
    finally:
        system.heal()
    system.settled(25)
    wait_for("the copy", lambda: len(system.records("pharmacy", "projection")) == 1)


def test_a_restarted_bus_is_found_again(system: Cluster) -> None:
    """Stream and consumers survive the bus's own kill; services reconnect by themselves."""
    journeys.prescribe(system, "rx-n1")
    system.settled()
    system.kill("bus")
    assert journeys.prescribe(system, "rx-n2").status == 201
    system.start_nats()
    system.settled(25)
    wait_for("both copies", lambda: len(system.records("pharmacy", "projection")) == 2)


def test_too_many_at_once_are_shed(system: Cluster) -> None:
    """With room for one request, of four at once the others are refused with Retry-After, and counted."""
    system.reset(with_service(system.design("resilient"), "registry", shedding={"concurrent": 1}))
    system.call("registry", "PUT", "/admin/behaviour/slow_processing", {"delay_s": 1.0})
    with ThreadPoolExecutor(4) as clients:
        answers = list(
            clients.map(lambda n: system.call("registry", "GET", f"/fhir/Patient/pat-{n}"), range(4))
        )
    refused = [answer for answer in answers if answer.status == 503]
    assert len(refused) >= 1
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert system.call("registry", "GET", "/metrics").body["shed"] == len(refused)


def test_a_lost_response_is_a_closed_connection(system: Cluster) -> None:
    """The handler commits, the client gets no reply at all, and both are counted."""
    system.call("registry", "PUT", "/admin/behaviour/lost_response", {"share": 1.0, "caller": "client"})
    patient = {"resourceType": "Patient", "id": "pat-new"}
    with pytest.raises(OSError, match=r"closed connection|Remote end|reset"):
        system.call("registry", "PUT", "/fhir/Patient/pat-new", patient)
    assert system.call("registry", "GET", "/admin/behaviour/lost_response").body["applied"] == 1
    assert system.call("registry", "GET", "/metrics").body["dropped_replies"] == {"client": 1}
    system.call("registry", "DELETE", "/admin/behaviour/lost_response")
    assert system.call("registry", "GET", "/fhir/Patient/pat-new").status == 200


def test_behaviours_act_on_the_named_caller_only(system: Cluster) -> None:
    """A share of errors for one caller leaves the others alone and has no effect on the store."""
    system.reset(with_service(system.design("resilient"), "registry", tls="none"))
    system.call(
        "registry", "PUT", "/admin/behaviour/error_share", {"share": 1.0, "status": 429, "caller": "x"}
    )
    assert system.call("registry", "GET", "/fhir/Patient/pat-1").status == 200
    refused = system.call("registry", "GET", "/fhir/Patient/pat-1", headers={"x-caller": "x"})
    assert refused.status == 429


def test_every_service_stops_when_asked(system: Cluster) -> None:
    """SIGTERM ends a service within two seconds with exit code 0."""
    for service in ("payer", "checkin"):
        system.processes[service].terminate()
        try:
            assert system.processes[service].wait(2.0) == 0
        except subprocess.TimeoutExpired:
            pytest.fail(f"{service} did not stop within 2 s")
        system.start(service)
    system.ready("payer", "checkin")
