"""What a pod is, read from what a cluster says of it."""

from __future__ import annotations

from typing import Any

import pytest

from runtimes.containers.layout import PART
from runtimes.kubernetes.pods import hopeless, read_pod
from tests.standin.pods import pod


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def test_a_pod_that_runs() -> None:
    """By its container's own id, which is another one after each restart."""
    known = read_pod(pod("billing-1", "billing", restarts=1), PART)
    assert (known.part, known.ip, known.image, known.container) == (
        "billing",
        "10.0.0.7",
        "blue:1",
        "billing-1-1",
    )
    assert known.running and not known.deleting and not hopeless(known)


def test_a_new_pod_has_no_status_yet() -> None:
    """The scheduler has not looked at it: that is no fault of it."""
    known = read_pod({**pod("a-1", "a"), "status": {}}, PART)
    assert not known.running and known.ip == "" and not hopeless(known)


@pytest.mark.parametrize(
    ("state", "restarts", "said"),
    [
        (waiting("ErrImagePull", "no such host"), 0, r"ErrImagePull\): no such host; .*--image-prefix"),
        (waiting("ImagePullBackOff", "back-off"), 0, "load it into them"),
        (waiting("InvalidImageName", ""), 0, "InvalidImageName"),
        (waiting("CreateContainerConfigError", 'secret "x" not found'), 0, 'secret "x" not found'),
        (waiting("CrashLoopBackOff", "back-off 10s"), 4, "it ended 4 times"),
    ],
)
def test_what_cannot_become_ready_is_named(state: dict[str, Any], restarts: int, said: str) -> None:
    """By the cluster's own reason, and with what to do; the deadline is not waited for."""
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(hopeless(read_pod(pod("a-1", "a", state=state, restarts=restarts), PART)))


@pytest.mark.parametrize(
    ("state", "restarts"),
    [(waiting("ContainerCreating"), 0), (waiting("CrashLoopBackOff"), 1), ({"running": {}}, 7)],
)
def test_what_may_become_ready_is_waited_for(state: dict[str, Any], restarts: int) -> None:
    """A service may end early while its database is not there, as on every platform."""
    assert hopeless(read_pod(pod("a-1", "a", state=state, restarts=restarts), PART)) == ""


def test_a_pod_without_a_node_says_why() -> None:
    """The scheduler's own words."""
    why = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available: Insufficient cpu."}
    known = read_pod(pod("a-1", "a", phase="Pending", containerStatuses=[], conditions=[why]), PART)
    assert str(known) == "pod a-1 has no node: 0/1 nodes are available: Insufficient cpu."
    assert not hopeless(known)


def test_how_a_container_ended_is_told() -> None:
    """Of the end now, and of the one before."""
    state = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    known = read_pod(pod("a-1", "a", state=state), PART)
    assert not known.running and known.ended == "OOMKilled, exit status 137"


def test_a_pod_that_is_being_deleted() -> None:
    """It may run for some seconds still."""
    known = pod("a-1", "a")
    known["metadata"]["deletionTimestamp"] = "2026-12-01T01:00:00Z"
    assert read_pod(known, PART).deleting
