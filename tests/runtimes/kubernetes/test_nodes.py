"""What is done to a part on a cluster, on pods in memory: order, undo, refusals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiment.controls import Crash, FillDisk, Pause
from experiment.errors import StartError, UnsupportedError
from experiment.services import CONTRACT
from runtimes.kubernetes import nodes, watch
from runtimes.kubernetes.building import list_pods
from runtimes.kubernetes.nodes import NOWHERE, PodNode, PodPart
from runtimes.kubernetes.watch import PodWatch
from runtimes.leftovers import Journal
from runtimes.runtime import Address
from tests.standin.pods import INSTANCE_NAME, PodsInMemory


@pytest.fixture
def pods(monkeypatch: pytest.MonkeyPatch) -> PodsInMemory:
    monkeypatch.setattr(watch, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(nodes, "POLL_S", 0.01)
    monkeypatch.setattr(PodPart, "complaint", lambda _: "")
    monkeypatch.setattr(PodPart, "answers", lambda _, __: True)
    return PodsInMemory("billing", "postgres")


@pytest.fixture
def looks(pods: PodsInMemory) -> Iterator[PodWatch]:
    one = PodWatch(lambda: list_pods(pods, INSTANCE_NAME, "ward"))  # type: ignore[arg-type]
    yield one
    one.close()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    one = Journal(tmp_path, "kubernetes")
    yield one
    one.close(remove=True)


def node(
    pods: Any, looks: PodWatch, journal: Journal, name: str = "billing", role: str = "service"
) -> PodNode:
    part = PodPart(name, role, Address("10.0.0.7", 8080), CONTRACT, "blue:1")
    return PodNode(part, pods, "ward", looks, journal)


def test_a_service_that_crashed_is_kept_down_and_replaced(
    pods: PodsInMemory, looks: PodWatch, journal: Journal
) -> None:
    """The signal comes first, so that nothing is flushed; the image then keeps the platform from it."""
    billing = node(pods, looks, journal)
    before = billing.probe(1.0)
    billing.act("f", Crash())
    assert pods.said == ["KILL billing-0", f"image billing-0 {NOWHERE}"]
    down = billing.probe(1.0)
    assert (down.state, down.answers) == ("absent", False)
    billing.act("f", Crash())
    assert len(pods.said) == 2  # it is active already
    billing.undo("f")
    assert pods.said[2:] == ["delete billing-0"]
    after = billing.probe(1.0)
    assert (after.state, after.answers) == ("running", True) and after.identity != before.identity
    billing.undo("f")
    assert len(pods.said) == 3


def test_a_store_that_crashed_keeps_its_pod(pods: PodsInMemory, looks: PodWatch, journal: Journal) -> None:
    """Its files go with the pod: it is never deleted."""
    store = node(pods, looks, journal, "postgres", "store")
    before = store.probe(1.0)
    store.act("f", Crash())
    store.undo("f")
    assert pods.said == ["KILL postgres-0", f"image postgres-0 {NOWHERE}", "image postgres-0 blue:1"]
    assert store.probe(1.0).identity != before.identity


def test_a_pause_holds_the_same_process(pods: PodsInMemory, looks: PodWatch, journal: Journal) -> None:
    """And the second of two faults lets it go."""
    billing = node(pods, looks, journal)
    before = billing.probe(1.0)
    billing.act("f", Pause())
    billing.act("g", Pause())
    assert billing.state == "paused" and pods.said == ["STOP billing-0"]
    billing.undo("f")
    assert billing.state == "paused"
    billing.undo("g")
    assert pods.said == ["STOP billing-0", "CONT billing-0"]
    after = billing.probe(1.0)
    assert (after.state, after.identity) == ("running", before.identity)


def test_a_crash_during_a_pause_ends_both(pods: PodsInMemory, looks: PodWatch, journal: Journal) -> None:
    """The pause is undone while the part is gone: no signal is sent to what is not there."""
    billing = node(pods, looks, journal)
    billing.act("p", Pause())
    billing.act("c", Crash())
    billing.undo("p")
    assert billing.probe(1.0).state == "absent"
    billing.undo("c")
    assert billing.probe(1.0).state == "running"
    assert "CONT" not in " ".join(pods.said)


@pytest.mark.parametrize("action", [Crash(), Pause()])
def test_whatever_was_done_is_undone_without_its_fault(
    pods: PodsInMemory, looks: PodWatch, journal: Journal, action: Any
) -> None:
    """`revive` looks at the cluster, not at what it remembers."""
    node(pods, looks, journal).act("f", action)
    other = node(pods, looks, journal)
    other.revive()
    assert other.state == "running"


def test_what_is_not_offered_is_refused_by_name(
    pods: PodsInMemory, looks: PodWatch, journal: Journal
) -> None:
    """With what is."""
    with pytest.raises(
        UnsupportedError, match="kubernetes cannot do fill_disk to billing; it can: crash, pause"
    ):
        node(pods, looks, journal).act("f", FillDisk())
    assert pods.said == []


def test_a_part_that_cannot_become_ready_is_told_at_once(
    pods: PodsInMemory, looks: PodWatch, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the cluster's reason and its last words; the deadline is far away."""
    monkeypatch.setattr(PodPart, "complaint", lambda _: "no answer")
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
    pods.pods["billing-0"]["status"]["containerStatuses"][0]["state"] = waiting
    looks.new()
    with pytest.raises(StartError, match=r"(?s)billing at .*ImagePullBackOff.*billing-0 said this"):
        node(pods, looks, journal).wait_until_ready(float("inf"))


def test_a_restart_is_another_pod(pods: PodsInMemory, looks: PodWatch, journal: Journal) -> None:
    """With the settings that are there by then."""
    billing = node(pods, looks, journal)
    billing.restart()
    assert pods.said == ["delete billing-0"] and list(pods.pods) == ["postgres-0", "billing-1"]
