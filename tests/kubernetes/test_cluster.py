"""A real cluster: its pods run, its services answer, and the product's manifests and rights do on it."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from execution.commands.command_line import cli
from runtimes.containers.recipes import name_of
from runtimes.kubernetes.client import Cluster, ClusterMissing, ClusterRefused
from runtimes.kubernetes.rights import rights
from tests.kubernetes.cluster import connected
from tests.kubernetes.layout import CONFINED, NODE

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]
RUNS_WITHIN_S = 120.0
SYSTEM_WITHIN_S = 300.0
LOOK_S = 0.5


@contextmanager
def namespace(admin: Cluster, name: str) -> Iterator[str]:
    """One that is gone afterwards, with all that is in it."""
    admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    try:
        yield name
    finally:
        admin.delete("Namespace", name)
        end = time.monotonic() + RUNS_WITHIN_S
        while is_there(admin, "Namespace", name):
            assert time.monotonic() < end, f"the namespace {name} does not go"
            time.sleep(LOOK_S)


def is_there(cluster: Cluster, kind: str, name: str, place: str = "") -> bool:
    try:
        cluster.get(kind, name, place)
    except ClusterMissing:
        return False
    return True


def not_ready(cluster: Cluster, place: str) -> list[str]:
    """The Deployments and StatefulSets that lack a ready pod."""
    found = [one for kind in ("Deployment", "StatefulSet") for one in cluster.all(kind, place)]
    return [
        one["metadata"]["name"]
        for one in found
        if one.get("status", {}).get("readyReplicas", 0) < one["spec"]["replicas"]
    ]


def wait_until_ready(cluster: Cluster, place: str, within_s: float) -> None:
    end = time.monotonic() + within_s
    while lacking := not_ready(cluster, place):
        assert time.monotonic() < end, f"not ready within {within_s:g} s: {', '.join(lacking)}"
        time.sleep(LOOK_S)


def page_server(place: str) -> list[dict[str, Any]]:
    """A Deployment of a small web server, and its Service."""
    labels = {"app": "page"}
    container = {
        "name": "page",
        "image": name_of("service"),
        "args": ["http.server", "8080", "--directory", "/usr"],
        "imagePullPolicy": "IfNotPresent",
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
    }
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [container], "enableServiceLinks": False}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": pod}
    named = {"name": "page", "namespace": place}
    door = {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": named, "spec": spec},
        {"apiVersion": "v1", "kind": "Service", "metadata": named, "spec": door},
    ]


@pytest.mark.parametrize("context", ["admin", "token"])
def test_the_client_is_let_in(kubeconfig: Path, context: str) -> None:
    """By certificate and by token."""
    assert kubeconfig.exists()
    with connected(context) as cluster:
        assert [one["metadata"]["name"] for one in cluster.all("Node")] == [NODE]


def test_a_service_answers_from_this_machine_and_from_a_pod(admin: Cluster) -> None:
    """At its cluster address from here, by its name from a pod."""
    with namespace(admin, "codeblue-page") as place:
        for one in page_server(place):
            admin.apply(one)
        wait_until_ready(admin, place, RUNS_WITHIN_S)
        address = admin.get("Service", "page", place)["spec"]["clusterIP"]
        assert b"local" in page(f"http://{address}/")
        (pod,) = admin.all("Pod", place)
        asked = "import urllib.request as r; print(r.urlopen('http://page/', timeout=10).status)"
        ran = admin.run(pod["metadata"]["name"], place, ("python3", "-c", asked))
        assert (ran.code, ran.output.strip()) == (0, "200")


def page(url: str) -> bytes:
    """The node learns of a pod that got ready a moment later."""
    end = time.monotonic() + RUNS_WITHIN_S
    while time.monotonic() < end:
        with suppress(OSError), urllib.request.urlopen(url, timeout=10) as answer:
            return bytes(answer.read())
        time.sleep(LOOK_S)
    pytest.fail(f"{url} does not answer within {RUNS_WITHIN_S:g} s")


def written(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """What `codeblue manifests` writes, in its order."""
    done = CliRunner().invoke(cli, ["manifests", *arguments, "--out", str(folder)])
    assert done.exit_code == 0, done.output
    found = sorted(folder.iterdir())
    return [one for path in found for one in yaml.safe_load_all(path.read_text())]


def test_the_reference_system_runs_as_its_account_may(admin: Cluster, tmp_path: Path) -> None:
    """Every workload of the written manifests gets ready, made by the account of `--rbac` and nobody else."""
    with namespace(admin, CONFINED) as place:
        first, *objects = written(tmp_path / "system", "resilient", "--namespace", place)
        assert first["kind"] == "Namespace"
        admin.apply(first)
        for one in written(tmp_path / "rights", "--rbac", "--namespace", place):
            admin.apply(one)
        with connected("confined") as confined:
            for one in objects:
                confined.apply(one)
            wait_until_ready(confined, place, SYSTEM_WITHIN_S)
            assert len(confined.all("Pod", place)) == len(
                [one for one in objects if one["kind"] in ("Deployment", "StatefulSet")]
            )


def test_the_account_may_do_nothing_elsewhere(admin: Cluster) -> None:
    """Not in another namespace, not with nodes, and not with rights."""
    with namespace(admin, CONFINED) as place, connected("confined") as confined:
        for one in rights(place):
            admin.apply(one)
        assert confined.all("Pod", place) == []
        with pytest.raises(ClusterRefused):
            confined.all("Secret", "kube-system")
        with pytest.raises(ClusterRefused):
            confined.all("Node")
        with pytest.raises(ClusterRefused):
            confined.apply(rights(place)[1])
