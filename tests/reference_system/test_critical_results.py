"""Critical results on their way to a person, and sessions of telemedicine: each remedy, and what returns when
it is taken away."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter

import nats
import pytest
from fhir.resources.R4B.communication import Communication

from tests.reference_system import journeys
from tests.reference_system.cluster import Cluster, wait_for
from tests.reference_system.designs import with_service

pytestmark = pytest.mark.live


def pages(cluster: Cluster, channel: str = "sms", kind: str = "page") -> Counter[str]:
    return Counter(row["key"] for row in cluster.records(channel, kind))


def states(cluster: Cluster) -> dict[str, str]:
    return {row["key"]: row["status"] for row in cluster.records("notify", "notice")}


def told(cluster: Cluster, *keys: str) -> None:
    wait_for("told", lambda: all(states(cluster)[key] != "queued" for key in keys))


def tell(cluster: Cluster, run: str, *results: dict[str, str]) -> None:
    """Publish events as the lab does, each with the id of its report and version."""

    async def publish() -> None:
        client = await nats.connect(f"nats://127.0.0.1:{cluster.ports['bus']}")
        facts = {"run": run, "type": "lab.result", "at": time.time(), "version": 1}
        events = [
            {"id": f"lab-{run}-{one['report']}", "key": one["report"], "body": one, **facts}
            for one in results
        ]
        await client.jetstream().publish("lab.events", json.dumps(events).encode())
        await client.close()

    asyncio.run(publish())


def result(name: str, found: str, called: str = "interpretation") -> dict[str, str]:
    """In the first version of the lab's contract, or in the second, which calls it `flag`."""
    return {"report": f"lab-{name}", "patient": "pat-1", called: found}


def test_a_notice_is_a_valid_communication_in_every_state(cluster: Cluster) -> None:
    """Accepted, told, acknowledged: each as FHIR, and a repeat changes nothing."""
    cluster.heal()
    cluster.reset(cluster.design("resilient"))
    assert journeys.notify_critical(cluster, "ntf-1").status == 201
    told(cluster, "ntf-1")
    again = journeys.notify_critical(cluster, "ntf-1")
    assert (again.status, again.body["status"]) == (200, "in-progress")
    acknowledged = journeys.acknowledge_critical(cluster, "ntf-1")
    assert (acknowledged.status, acknowledged.body["status"]) == (200, "completed")
    for answer in (again, acknowledged):
        Communication.model_validate(answer.body)
    assert journeys.acknowledge_critical(cluster, "ntf-9").status == 404
    assert pages(cluster) == {"ntf-1": 1}


@pytest.mark.parametrize("design", ["resilient", "fragile"])
def test_a_critical_result_of_the_lab_is_told_once(cluster: Cluster, design: str) -> None:
    """Whatever else the lab tells, and however often the bus delivers it to the resilient one."""
    cluster.heal()
    run = cluster.reset(cluster.design(design))
    tell(cluster, run, result("1", "HH"), result("2", "N"), result("3", "LL", "flag"))
    told_of = {"ntf-1": 1, "ntf-3": 1}
    if design == "resilient":
        tell(cluster, run, result("1", "HH"), result("3", "LL", "flag"))
    wait_for("pages", lambda: pages(cluster) == told_of)
    assert set(states(cluster)) == set(told_of)


def test_a_channel_that_refuses_is_left_for_the_next_one(cluster: Cluster) -> None:
    """Nobody was told, so that the pager may be used at once; the fragile design tells nobody."""
    cluster.heal()
    for design, by_pager in (("resilient", 1), ("fragile", 0)):
        cluster.reset(cluster.design(design))
        cluster.refuse("notify -> sms")
        began = time.monotonic()
        assert journeys.notify_critical(cluster, "ntf-1").status == 201
        if by_pager:
            told(cluster, "ntf-1")
            assert time.monotonic() - began < 2
        else:
            assert journeys.acknowledge_critical(cluster, "ntf-1").status == 409
        cluster.heal()
        assert (pages(cluster)["ntf-1"], pages(cluster, "pager")["ntf-1"]) == (0, by_pager)


@pytest.mark.parametrize(("keyed", "most"), [(True, 1), (False, 2)])
def test_only_a_key_keeps_a_lost_confirmation_from_paging_twice(
    cluster: Cluster, keyed: bool, most: int
) -> None:
    """A page of unknown outcome is asked for again at the same channel, and at no other."""
    cluster.heal()
    cluster.reset(with_service(cluster.design("resilient"), "notify", idempotency_key=keyed))
    cluster.call("sms", "PUT", "/admin/behaviour/lost_response", {"share": 0.5, "caller": "notify"})
    keys = [f"ntf-{n}" for n in range(12)]
    for key in keys:
        assert journeys.notify_critical(cluster, key).status == 201
    told(cluster, *keys)
    assert set(pages(cluster)) == set(keys)
    assert (max(pages(cluster).values()) == 1) is (most == 1)
    assert not pages(cluster, "pager")


def test_what_nobody_acknowledges_reaches_a_second_person(cluster: Cluster) -> None:
    """By the other channel, once, and not what was acknowledged."""
    cluster.heal()
    cluster.reset(cluster.design("resilient"), clock_scale=180)
    for key in ("ntf-1", "ntf-2"):
        journeys.notify_critical(cluster, key)
    told(cluster, "ntf-1", "ntf-2")
    assert journeys.acknowledge_critical(cluster, "ntf-1").status == 200
    wait_for("escalated", lambda: pages(cluster, "pager", "escalation"))
    assert pages(cluster, "pager", "escalation") == {"ntf-2": 1}
    assert not pages(cluster, "sms", "escalation")


@pytest.mark.parametrize("design", ["resilient", "fragile"])
def test_a_kill_loses_notices_and_sessions_of_the_fragile_design_only(cluster: Cluster, design: str) -> None:
    """What was accepted while the first channel was silent is paged after the restart; sessions go on."""
    cluster.heal()
    cluster.reset(cluster.design(design))
    assert journeys.open_session(cluster, "ses-1").status == 201
    cluster.blackhole("notify -> sms")
    assert journeys.notify_critical(cluster, "ntf-1").status == 201
    cluster.kill("notify")
    cluster.heal()
    cluster.start("notify")
    cluster.ready("notify")
    if design == "fragile":
        assert (states(cluster), journeys.join_session(cluster, "ses-1").status) == ({}, 404)
        return
    told(cluster, "ntf-1")
    assert pages(cluster) + pages(cluster, "pager") == {"ntf-1": 1}
    assert journeys.join_session(cluster, "ses-1").status == 200


@pytest.mark.parametrize("kept", ["memory", "database"])
def test_a_session_is_opened_joined_and_ended(cluster: Cluster, kept: str) -> None:
    """Each step may be repeated; nobody joins what has ended."""
    cluster.heal()
    cluster.reset(with_service(cluster.design("resilient"), "notify", session_store=kept))
    assert [journeys.open_session(cluster, "ses-1").status for _ in range(2)] == [201, 200]
    for _ in range(2):
        joined = journeys.join_session(cluster, "ses-1")
    assert joined.body == {"id": "ses-1", "status": "open", "participants": ["Practitioner/prac-1"]}
    ended = [cluster.call("notify", "POST", "/sessions/ses-1/end").body["status"] for _ in range(2)]
    assert ended == ["ended", "ended"]
    assert journeys.join_session(cluster, "ses-1", "Practitioner/prac-2").status == 409
    assert journeys.join_session(cluster, "ses-2").status == 404
    assert cluster.call("notify", "POST", "/sessions/ses-2/end").status == 404
