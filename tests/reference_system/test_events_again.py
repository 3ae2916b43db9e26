"""Events that come again or late, keys that are forgotten, temporary numbers: remedies on and off."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from tests.reference_system import journeys
from tests.reference_system.cluster import Cluster, wait_for
from tests.reference_system.designs import with_service

pytestmark = pytest.mark.live

AGAIN = "/admin/behaviour/redelivery"
TWICE = {"share": 1.0, "after_s": 0.5, "caller": "pharmacy"}


@pytest.mark.parametrize(("dedupe", "trays"), [(True, 1), (False, 2)])
def test_an_event_that_comes_twice_gets_one_tray_with_dedupe(
    cluster: Cluster, dedupe: bool, trays: int
) -> None:
    """Without it the shelf holds two; both times the copy shows the current dose, since the fence is on."""
    cluster.reset(with_service(cluster.design("resilient"), "pharmacy", dedupe=dedupe))
    cluster.call("pharmacy", "PUT", AGAIN, TWICE)
    assert journeys.prescribe(cluster, "rx-t1").status == 201
    assert journeys.change(cluster, "rx-t1", 1, "2 mg").status == 200
    cluster.settled(20)
    assert cluster.call("pharmacy", "GET", AGAIN).body["applied"] == 2
    assert Counter(row["key"] for row in cluster.records("pharmacy", "tray")) == {"rx-t1": trays}
    assert [row["version"] for row in cluster.records("pharmacy", "projection")] == [2]
    cluster.call("pharmacy", "DELETE", AGAIN)


@pytest.mark.parametrize(("fence", "version"), [(True, 2), (False, 1)])
def test_an_event_that_was_overtaken_changes_nothing_with_the_fence(
    cluster: Cluster, fence: bool, version: int
) -> None:
    """Without it the old dose is back for good."""
    cluster.reset(with_service(cluster.design("resilient"), "pharmacy", version_fence=fence))
    cluster.call("pharmacy", "PUT", AGAIN, {**TWICE, "after_s": 1.5, "missed": True})
    assert journeys.prescribe(cluster, "rx-o1").status == 201
    wait_for("the event", lambda: cluster.call("pharmacy", "GET", AGAIN).body["applied"] == 1)
    cluster.call("pharmacy", "DELETE", AGAIN)
    assert journeys.change(cluster, "rx-o1", 1, "2 mg").status == 200
    wait_for("the change", lambda: len(cluster.records("pharmacy", "projection")) == 1)
    assert cluster.call("pharmacy", "GET", "/backlog").body["consumer_lag"] >= 1
    cluster.settled(20)
    assert [row["version"] for row in cluster.records("pharmacy", "projection")] == [version]


def test_a_stopped_prescription_is_not_handed_over(cluster: Cluster) -> None:
    """Its version is on record as a stop, and the pharmacy says no."""
    cluster.reset(cluster.design("resilient"))
    assert journeys.prescribe(cluster, "rx-s1").status == 201
    assert journeys.change(cluster, "rx-s1", 1, "5 mg", status="stopped").status == 200
    assert journeys.dispense(cluster, "rx-s1", "md-s1").status == 409
    rows = cluster.records("prescriptions", "rx_version")
    assert [(row["version"], row["status"]) for row in rows] == [(1, "active"), (2, "stopped")]


def test_a_key_is_honoured_for_an_hour_and_looked_up_for_ever(cluster: Cluster) -> None:
    """On the run's clock: the same charge is then made again, while a lookup still finds the first one."""
    cluster.reset(cluster.design("resilient"), clock_scale=1000.0)
    body, headers = {"invoice": "inv-k", "amount": 10.0}, {"idempotency-key": "pay-k"}

    def charge() -> int:
        return cluster.call("payments", "POST", "/v1/charges", body, headers=headers).status

    assert [charge(), charge()] == [201, 200]
    wait_for("the key to be forgotten", lambda: charge() == 201, 10)
    found = cluster.call("payments", "GET", "/v1/charges/by-key/pay-k").body
    first, second = sorted(cluster.records("payments", "charge"), key=lambda row: row["at"])
    assert found["id"] == first["id"]
    assert (first["value"], second["value"]) == ("pay-k", "pay-k")


def test_a_charge_whose_deadline_has_passed_is_not_made(cluster: Cluster) -> None:
    """Nobody waits for it any more."""
    cluster.reset(cluster.design("resilient"))
    cluster.call("payments", "PUT", "/admin/behaviour/slow_processing", {"delay_s": 0.5})
    late = cluster.call(
        "payments",
        "POST",
        "/v1/charges",
        {"invoice": "inv-d", "amount": 10.0},
        headers={"x-deadline-ms": "200"},
    )
    assert late.status == 503
    assert cluster.records("payments", "charge") == []


def test_a_temporary_number_is_merged_once_the_registry_answers(cluster: Cluster) -> None:
    """Until then it is in the backlog; afterwards the patient's own name is on the Encounter."""
    cluster.reset(cluster.design("resilient"))
    try:
        cluster.refuse("checkin -> registry")
        answer = journeys.check_in(cluster, "enc-new", 3)
        assert answer.status == 201
        assert "temporary" in answer.headers["x-label"]
        assert cluster.call("checkin", "GET", "/backlog").body["temporary_numbers"] == 1
        assert cluster.records("checkin", "merge") == []
    finally:
        cluster.heal()
    cluster.settled(20)
    (number,) = cluster.records("checkin", "temporary_number")
    (merge,) = cluster.records("checkin", "merge")
    assert (number["key"], number["id"]) == (merge["key"], merge["id"]) == ("enc-new", number["id"])
    assert merge["value"] == "pat-3"


def test_without_the_merge_a_temporary_number_stays(cluster: Cluster) -> None:
    """Whoever was checked in under it has no record of her own until somebody looks, as before."""
    cluster.reset(with_service(cluster.design("resilient"), "checkin", temporary_merge=False))
    try:
        cluster.refuse("checkin -> registry")
        assert journeys.check_in(cluster, "enc-stays", 4).status == 201
    finally:
        cluster.heal()
    wait_for("the registry", lambda: journeys.check_in(cluster, "enc-known", 5).status == 201)
    time.sleep(1.5)  # three looks of whoever merges
    assert cluster.call("checkin", "GET", "/backlog").body["temporary_numbers"] == 1
    assert cluster.records("checkin", "merge") == []


def test_who_comes_back_with_the_configuration_of_the_last_reset_goes_on_in_its_run(cluster: Cluster) -> None:
    """The runtime writes each run's design into the configuration; a process that began with another one and
    was killed finds its run all the same, and what it says reaches the others."""
    other = with_service(cluster.design("resilient"), "registry", shedding={"concurrent": 99})
    run = cluster.reset(other)
    cluster.kill("prescriptions")
    cluster.start("prescriptions", other)
    cluster.ready("prescriptions")
    assert cluster.call("prescriptions", "GET", "/metrics").body["run"] == run
    assert journeys.prescribe(cluster, "rx-back").status == 201
    cluster.settled(20)
    assert [row["key"] for row in cluster.records("pharmacy", "projection")] == ["rx-back"]
