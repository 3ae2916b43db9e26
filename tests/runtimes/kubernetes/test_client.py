"""The way to a cluster, on a server that answers as an API server does."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiment.children import run_child
from runtimes.kubernetes.client import Cluster, ClusterError, ClusterGone, ClusterMissing, ClusterRefused
from tests.standin.api_server import Server, api_server, configure, status

PLUGIN = "client.authentication.k8s.io/v1"
SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a-settings", "namespace": "ward"}}


@pytest.fixture
def server() -> Iterator[Server]:
    with api_server() as known:
        yield known


@pytest.fixture
def cluster(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    configure(tmp_path, monkeypatch, server.url)
    one = Cluster(deadline_s=2.0)
    yield one
    one.close()


def test_an_object_is_applied_as_its_manifest_says(cluster: Cluster, server: Server) -> None:
    """By the name of this tool, taking fields over from others, with the token of the current context."""
    server.answer = SECRET
    assert cluster.apply({**SECRET, "stringData": {"a": "b"}})["metadata"]["name"] == "a-settings"
    (asked,) = server.asked
    path, _, query = asked.path.partition("?")
    assert (asked.method, path) == ("PATCH", "/api/v1/namespaces/ward/secrets/a-settings")
    assert {"fieldManager=codeblue", "force=true"} <= set(query.split("&"))
    assert asked.headers["content-type"] == "application/apply-patch+yaml"
    assert asked.headers["authorization"] == "Bearer t-1"
    assert asked.body["stringData"] == {"a": "b"}


def test_a_dry_run_changes_nothing(cluster: Cluster, server: Server) -> None:
    """The cluster judges the object and does not keep it."""
    server.answer = SECRET
    cluster.apply(SECRET, dry_run=True)
    assert "dryRun=All" in server.asked[0].path


def test_objects_are_read_listed_changed_and_deleted(cluster: Cluster, server: Server) -> None:
    """Each by one request to where the object is."""
    template = {"metadata": {}, "spec": {"containers": [{"name": "a"}]}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a"},
        "spec": {"selector": {}, "template": template},
    }
    server.answer = deployment
    assert cluster.get("Deployment", "a", "ward")["metadata"]["name"] == "a"
    assert cluster.patch("Deployment", "a", {"spec": {"replicas": 0}}, "ward")["kind"] == "Deployment"
    server.answer = {
        "kind": "PodList",
        "apiVersion": "v1",
        "metadata": {},
        "items": [{"metadata": {"name": "p"}}],
    }
    assert [one["metadata"]["name"] for one in cluster.all("Pod", "ward", {"x": "y"})] == ["p"]
    server.answer = status(200, "gone")
    cluster.delete("Pod", "p", "ward", within_s=0)
    got, changed, listed, deleted = server.asked
    assert (got.method, got.path) == ("GET", "/apis/apps/v1/namespaces/ward/deployments/a")
    assert (changed.method, changed.body) == ("PATCH", {"spec": {"replicas": 0}})
    assert listed.path == "/api/v1/namespaces/ward/pods?labelSelector=x%3Dy"
    assert (deleted.method, deleted.path.partition("?")[0]) == ("DELETE", "/api/v1/namespaces/ward/pods/p")
    assert deleted.body is None or deleted.body["gracePeriodSeconds"] == 0


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        (401, ClusterRefused, "the credentials of the context near are not taken"),
        (403, ClusterRefused, "manifests --rbac"),
        (404, ClusterMissing, "reading Pod p"),
        (409, ClusterError, "it says so"),
        (500, ClusterError, "it says so"),
    ],
)
def test_what_the_cluster_refuses_is_told_with_the_call(
    cluster: Cluster, server: Server, code: int, kind: type[ClusterError], said: str
) -> None:
    """Which call, on which cluster, what it answered, and what to do where that is known."""
    server.status, server.answer = code, status(code, "it says so")
    with pytest.raises(kind, match=said) as told:
        cluster.get("Pod", "p", "ward")
    assert server.url in str(told.value)
    assert "it says so" in str(told.value)


def test_what_is_not_there_is_deleted_already(cluster: Cluster, server: Server) -> None:
    """Undoing twice is no mistake."""
    server.status, server.answer = 404, status(404, "not found")
    cluster.delete("Pod", "p", "ward")
    assert [one.method for one in server.asked] == ["DELETE"]


def test_a_cluster_that_does_not_answer_is_given_up(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call ends at its deadline, whoever is slow."""
    configure(tmp_path, monkeypatch, server.url)
    server.wait_s = 3.0
    one = Cluster(deadline_s=0.2)
    begun = time.monotonic()
    with pytest.raises(ClusterGone, match="no answer"):
        one.get("Pod", "p", "ward")
    assert time.monotonic() - begun < 2.5
    one.close()


def test_an_answer_that_is_no_object_is_told(cluster: Cluster, server: Server) -> None:
    """A page of some proxy instead of an API server ends no command with a stack."""
    server.status, server.answer = 502, "bad gateway"
    with pytest.raises(ClusterError):
        cluster.get("Pod", "p", "ward")


def test_a_context_is_chosen_by_name(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another than the current one; one that is not there is refused with the nearest."""
    configure(tmp_path, monkeypatch, server.url)
    assert Cluster("far").url == "http://127.0.0.1:9"
    with pytest.raises(ClusterError, match=r'no context "neer".*near'):
        Cluster("neer")
    with pytest.raises(ClusterGone):
        Cluster("far", deadline_s=0.5).get("Pod", "p", "ward")


def plugin_of(folder: Path, script: str) -> dict[str, Any]:
    """A user whose credential a program gives, which lies beside the kubeconfig."""
    program = folder / "plugin"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"exec": {"apiVersion": PLUGIN, "command": "./plugin", "env": [{"name": "WHO", "value": "me"}]}}


def test_an_exec_plugin_gives_the_token(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As cloud providers have it: the program gets its variables and prints a credential. When the cluster
    does not take that any more, the program is asked once more."""
    script = """echo x >> "$(dirname "$0")/asked"
    count=$(wc -l < "$(dirname "$0")/asked")
    case "$KUBERNETES_EXEC_INFO" in *ExecCredential*) ;; *) exit 3 ;; esac
    printf '{"apiVersion": "%s", "status": {"token": "%s-%s"}}' x "$WHO" $count"""
    configure(tmp_path, monkeypatch, server.url, plugin_of(tmp_path, script))
    server.answer = SECRET
    one = Cluster(deadline_s=5.0)
    one.get("Secret", "a-settings", "ward")
    assert server.asked[-1].headers["authorization"] == "Bearer me-1"
    server.status, server.answer = 401, status(401, "expired")
    with pytest.raises(ClusterRefused):
        one.get("Secret", "a-settings", "ward")
    assert [asked.headers["authorization"] for asked in server.asked[1:]] == ["Bearer me-1", "Bearer me-2"]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'log in first' >&2; exit 2", "exit status 2: log in first"),
        ("echo hello", "printed no credential"),
        ("echo '{\"status\": {}}'", "neither a token nor a certificate"),
    ],
)
def test_a_plugin_that_gives_no_credential_is_told(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    """With the program and what it said; the cluster is not asked."""
    configure(tmp_path, monkeypatch, server.url, plugin_of(tmp_path, script))
    with pytest.raises(ClusterError, match=said):
        Cluster(deadline_s=5.0)
    assert not server.asked


def test_a_plugin_that_is_not_there_is_told(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the configuration's mistake, not the harness's."""
    user = {"exec": {"apiVersion": PLUGIN, "command": "/nowhere/plugin", "args": []}}
    configure(tmp_path, monkeypatch, server.url, user)
    with pytest.raises(ClusterError, match="/nowhere/plugin"):
        Cluster(deadline_s=5.0)


def test_a_missing_or_broken_configuration_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the file that was looked for."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(ClusterError, match="none"):
        Cluster()
    (tmp_path / "broken").write_text("clusters: 3\n")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "broken"))
    with pytest.raises(ClusterError, match="broken"):
        Cluster()
    (tmp_path / "broken").write_text("a: [\n")
    with pytest.raises(ClusterError, match="broken"):
        Cluster()
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/a:{tmp_path}/b")
    with pytest.raises(ClusterError, match="several files"):
        Cluster()


def test_an_object_of_an_unknown_kind_is_refused(cluster: Cluster, server: Server) -> None:
    """It is not sent."""
    with pytest.raises(ClusterError, match="Wonder"):
        cluster.apply({"apiVersion": "v1", "kind": "Wonder", "metadata": {"name": "w"}})
    assert not server.asked


def test_threads_may_meet_kinds_at_the_same_time() -> None:
    """In a process of its own, since it ended with a segmentation fault: the types of the library are made at
    their first use."""
    script = """
from concurrent.futures import ThreadPoolExecutor
from runtimes.kubernetes.client import _class_of, _known
metadata = {"name": "a", "namespace": "ward"}
kinds = ["Secret", "Service", "Pod", "ConfigMap", "Namespace"] * 8
with ThreadPoolExecutor(16) as pool:
    made = pool.map(lambda kind: _known({"apiVersion": "v1", "kind": kind, "metadata": metadata}), kinds)
    met = pool.map(_class_of, ["Deployment", "StatefulSet", "Pod"] * 8)
    print(len(list(made)), len(list(met)))
"""
    ended = run_child([sys.executable, "-c", script], within_s=60.0)
    assert (ended.code, ended.out.split()) == (0, ["40", "24"]), ended.err
