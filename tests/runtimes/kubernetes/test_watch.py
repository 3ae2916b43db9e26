"""Looks at all pods, and what they tell of one part."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from runtimes.kubernetes import watch
from runtimes.kubernetes.client import ClusterError, ClusterGone
from runtimes.kubernetes.pods import Pod
from runtimes.kubernetes.watch import PodLife, PodWatch

GOOD = Pod("a-1", "a", container="c1", running=True)


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not done():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOK_EVERY_S", 0.01)


class Pods:
    """What the cluster says now; an error is raised."""

    def __init__(self) -> None:
        self.now: list[Pod] | ClusterError = [GOOD]

    def __call__(self) -> list[Pod]:
        if isinstance(self.now, ClusterError):
            raise self.now
        return list(self.now)


def test_a_new_look_was_asked_for_after_the_call() -> None:
    """What the cluster said before may not hold any more."""
    pods = Pods()
    looks = PodWatch(pods)
    try:
        pods.now = [Pod("a-2", "a")]
        asked = time.monotonic()
        look = looks.new()
        assert look.asked_s >= asked and [one.name for one in look.of("a")] == ["a-2"]
    finally:
        looks.close()


def test_pods_that_go_are_nobodys() -> None:
    """A part is what stays."""
    look = watch.Look(0.0, (GOOD, Pod("a-0", "a", deleting=True), Pod("b-1", "b")))
    assert look.of("a") == [GOOD]


def test_a_container_that_was_replaced_is_noticed() -> None:
    """Also where another one runs in its place: the platform's restart hides the end of the first."""
    pods = Pods()
    looks = PodWatch(pods)
    life = PodLife("a", looks)
    try:
        assert life.wrong() is None  # nothing is expected yet
        life.expect(GOOD)
        looks.new()
        assert life.wrong() is None
        pods.now = [Pod("a-1", "a", container="c2", running=True, ended="Error, exit status 1")]
        looks.new()
        assert life.wrong() == (
            "died",
            "pod a-1 runs, its container ended before: Error, exit status 1",
        )
        pods.now = []
        looks.new()
        assert life.wrong() == ("died", "its pod is gone")
    finally:
        looks.close()


def test_what_was_seen_before_it_was_ready_says_nothing() -> None:
    """A look may be older than the restart that it would blame."""
    pods = Pods()
    looks = PodWatch(pods)
    life = PodLife("a", looks)
    looks.close()  # no newer look comes
    time.sleep(0.05)
    life.expect(Pod("a-1", "a", container="c2", running=True))
    assert life.wrong() is None


def test_a_cluster_that_does_not_answer_is_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody would see what dies meanwhile."""
    monkeypatch.setattr(watch, "SILENT_AFTER_S", 0.1)
    monkeypatch.setattr(watch, "NEW_WITHIN_S", 0.05)
    pods = Pods()
    looks = PodWatch(pods)
    try:
        looks.new()
        pods.now = ClusterGone("no answer (refused)")
        until(lambda: looks.gone is not None)
        gone = looks.gone
        assert gone is not None and gone.more == "no answer (refused)"
        with pytest.raises(ClusterError, match="could not be looked at: no answer"):
            looks.new()
        pods.now = [GOOD]
        until(lambda: looks.gone is None)
    finally:
        looks.close()
