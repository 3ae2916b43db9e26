"""Two instances of the registry behind one router: by readiness, what cannot answer gets nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.reference_system.cluster import Cluster, call, wait_for

USER = {"x-user": "usr-auditor"}
CUT = "registry_b -> postgres"


@pytest.fixture
def system(cluster: Cluster) -> Iterator[Cluster]:
    yield cluster
    cluster.heal()
    cluster.ready("registry", "registry_b", "router")


def statuses(system: Cluster, count: int = 8) -> list[int]:
    """Of so many looks at one patient, through the router."""
    return [
        system.call("router", "GET", "/fhir/Patient/pat-1", headers=USER, timeout=2.0).status
        for _ in range(count)
    ]


def answered(system: Cluster) -> dict[str, int]:
    """How many of the router's requests each instance got."""
    return {
        name: system.call(name, "GET", "/metrics").body["received"].get("router", 0)
        for name in ("registry", "registry_b")
    }


def test_in_turn_each_instance_gets_every_second_request(system: Cluster) -> None:
    """Also the one that cannot answer."""
    system.reset(system.design("fragile"))
    assert statuses(system) == [200] * 8
    assert answered(system) == {"registry": 4, "registry_b": 4}
    system.refuse(CUT)
    seen = statuses(system)
    assert seen.count(200) == 4
    assert max(seen) >= 500


def test_by_readiness_users_notice_nothing(system: Cluster) -> None:
    """Not even in the moment before the instance was looked at: the other is asked then."""
    system.reset(system.design("resilient"))
    assert statuses(system) == [200] * 8
    system.blackhole(CUT)
    assert statuses(system) == [200] * 8
    wait_for("the instance found unready", lambda: not ready(system, "registry_b"))
    before = answered(system)["registry_b"]
    assert statuses(system) == [200] * 8
    assert answered(system)["registry_b"] == before
    system.heal()
    wait_for("it is asked again", lambda: statuses(system) and answered(system)["registry_b"] > before)


def ready(system: Cluster, service: str) -> bool:
    return call(system.ports[service], "GET", "/ready?store").status == 200


def test_that_a_process_started_does_not_say_that_it_can_answer(system: Cluster) -> None:
    """It lives and has started; whether it gets at its data is told only to who asks for that."""
    system.reset(system.design("resilient"))
    assert ready(system, "registry_b")
    system.refuse(CUT)
    assert call(system.ports["registry_b"], "GET", "/health").status == 200
    assert call(system.ports["registry_b"], "GET", "/ready").status == 200
    answer = call(system.ports["registry_b"], "GET", "/ready?store")
    assert (answer.status, answer.body["ready"]) == (503, False)
    assert answer.body["waiting_for"].startswith("store: ")


def test_a_person_whose_request_is_handed_on_is_asked_for_a_role(system: Cluster) -> None:
    """The router is a service, and has no right of its own to see anybody."""
    system.reset(system.design("resilient"), without=())
    own, other = ({"x-user": user} for user in ("usr-auditor", "usr-nobody"))
    assert system.call("router", "GET", "/fhir/Patient/pat-1", headers=own).status == 200
    assert system.call("router", "GET", "/fhir/Patient/pat-1", headers=other).status == 403
    assert system.call("router", "GET", "/fhir/Patient/pat-1").status == 403
