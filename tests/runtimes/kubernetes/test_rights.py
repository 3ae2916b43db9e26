"""Rights: written, reviewed, and refused by name before anything is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from experiment.errors import UsageError
from runtimes.kubernetes.client import ClusterRefused
from runtimes.kubernetes.rights import missing, require_ground
from tests.standin.api_server import Server, api_server, configure


class Reviews:
    """Grants everything but some verbs of some kinds."""

    def __init__(self, *denied: tuple[str, str, str]) -> None:
        self.denied = denied
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, review: Mapping[str, Any]) -> Mapping[str, Any]:
        one = review["spec"]["resourceAttributes"]
        self.asked.append((one["verb"], one["resource"], one.get("subresource", ""), one["namespace"]))
        denied = (one["verb"], one["resource"], one.get("subresource", "")) in self.denied
        return {"status": {"allowed": not denied}}


def test_every_right_of_a_run_is_asked_for_in_its_namespace() -> None:
    """One that makes its own namespace asks for that too, above all namespaces."""
    reviews = Reviews()
    assert missing(reviews, "ward", own=False) == []
    assert ("patch", "deployments", "", "ward") in reviews.asked
    assert ("create", "pods", "exec", "ward") in reviews.asked
    assert not any(kind == "namespaces" for _, kind, _, _ in reviews.asked)
    missing(reviews, "ward", own=True)
    assert ("delete", "namespaces", "", "") in reviews.asked


def test_each_right_that_lacks_is_named() -> None:
    """All of them at once: nobody wants to ask his administrator five times."""
    reviews = Reviews(("create", "pods", "exec"), ("delete", "pods", ""), ("delete", "namespaces", ""))
    found = missing(reviews, "ward", own=True)
    assert found == ["delete namespaces", "delete pods", "create pods/exec"]


def test_an_answer_without_a_decision_grants_nothing() -> None:
    """What the cluster did not allow is not allowed."""
    assert len(missing(lambda _: {}, "ward", own=False)) == len(asked_rights())


def asked_rights() -> list[tuple[str, ...]]:
    reviews = Reviews()
    missing(reviews, "ward", own=False)
    return reviews.asked


@pytest.fixture
def server() -> Iterator[Server]:
    with api_server() as known:
        known.status = 201
        known.answer = review(True)
        yield known


def review(allowed: bool) -> dict[str, Any]:
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "metadata": {},
        "spec": {},
        "status": {"allowed": allowed},
    }


def test_a_cluster_that_grants_all_is_taken(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but reviews is sent: no object is made by asking."""
    configure(tmp_path, monkeypatch, server.url)
    require_ground("near", "ward")
    sent = {(one.method, one.path.partition("?")[0]) for one in server.asked}
    assert sent == {("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")}


def test_a_cluster_that_does_not_grant_all_is_refused(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By every right, before anything is made."""
    configure(tmp_path, monkeypatch, server.url)
    server.answer = review(False)
    with pytest.raises(ClusterRefused, match=r"near may not .*patch pods.*--namespace names"):
        require_ground("near", "ward")


def test_the_current_context_is_never_taken(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be anybody's: a cluster is named."""
    configure(tmp_path, monkeypatch, server.url)
    with pytest.raises(UsageError, match="found no --context"):
        require_ground("", "")
    assert server.asked == []


@pytest.mark.parametrize("namespace", ["prod", "ward-production", "live"])
def test_what_reads_like_production_is_refused(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, namespace: str
) -> None:
    """Before anything is asked there."""
    configure(tmp_path, monkeypatch, server.url)
    with pytest.raises(UsageError, match="reads like production"):
        require_ground("near", namespace)
    assert server.asked == []
