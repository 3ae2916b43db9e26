"""A system as Kubernetes objects: what each is, and that together they are the system."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from execution.commands.command_line import cli
from experiment.design import load_design
from experiment.errors import UnsupportedError, UsageError
from experiment.topology import Link, System, load_system
from experiment.workload import Population
from experiment.yaml_source import yaml_text
from measurement.properties import KINDS
from runtimes.containers.layout import PORTS
from runtimes.containers.stores import Secrets
from runtimes.keys import Keys
from runtimes.kubernetes.manifests import doors, files, workloads
from runtimes.kubernetes.rights import rights
from runtimes.kubernetes.site import Site, link_name
from runtimes.links.controls import proxy_name
from runtimes.runtime import RunSettings
from runtimes.service_files import databases

ROOT = Path(__file__).resolve().parent.parent.parent.parent
REFERENCE = ROOT / "reference_system"


def site_of(system: System, **changed: Any) -> Site:
    """The reference system's strong design with passwords that are the same each time."""
    passwords = dict.fromkeys(("probe", *databases(system)), "secret")
    secrets = Secrets("superuser", Keys("token", passwords, "root"))
    design = load_design(REFERENCE / "designs" / "resilient.yaml", system)
    run = RunSettings("run-1", 7, design, Population())
    return Site(system, run, "ward", secrets, **changed)


@pytest.fixture(scope="module")
def system() -> System:
    return load_system(REFERENCE / "system.yaml", KINDS)


def by_name(objects: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(one["kind"], one["metadata"]["name"]): one for one in objects}


def probed(site: Site, name: str) -> str:
    (container,) = workloads(site)[name][1]["spec"]["template"]["spec"]["containers"]
    return str(container["readinessProbe"]["httpGet"]["path"])


def test_what_answers_to_its_token_alone_is_asked_whether_it_lives(system: System) -> None:
    """The kubelet has no token: with one, the page that says more would be refused, and no pod ever ready."""
    guarded = site_of(system)
    open_to_all = replace(
        guarded, secrets=replace(guarded.secrets, keys=replace(guarded.secrets.keys, token="", root=""))
    )
    assert probed(guarded, "checkin") == "/health"
    assert probed(open_to_all, "checkin") == "/ready"


def everything(site: Site) -> list[dict[str, Any]]:
    return [one for objects in files(site).values() for one in objects]


def test_a_service_is_a_secret_a_deployment_and_a_service(system: System) -> None:
    """One service as a whole: nothing else is written for it, and nothing of it is left to a default."""
    site = site_of(system, prefix="images.example/blue/", hosts={"checkin--registry": "10.0.0.9"})
    labels = {
        "app.kubernetes.io/managed-by": "codeblue",
        "codeblue.instance": "manifests",
        "codeblue.part": "checkin",
        "codeblue.kind": "part",
    }
    mine = {name: labels[name] for name in ("codeblue.instance", "codeblue.part", "codeblue.kind")}
    secret, deployment = workloads(site)["checkin"]
    assert secret["metadata"] == {"name": "checkin-settings", "namespace": "ward", "labels": labels}
    assert deployment["metadata"] == {"name": "checkin", "namespace": "ward", "labels": labels}
    assert deployment["spec"]["selector"] == {"matchLabels": mine}
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod.pop("containers")
    assert container == {
        "name": "checkin",
        "image": "images.example/blue/codeblue/service:current",
        "args": ["reference_system.services.checkin", "--config", "/run/codeblue/settings/config.json"],
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {
            "periodSeconds": 1,
            "timeoutSeconds": 2,
            "failureThreshold": 2,
            "httpGet": {"path": "/health", "port": 8080},
        },
        "livenessProbe": {
            "initialDelaySeconds": 30,
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 3,
            "tcpSocket": {"port": 8080},
        },
        "resources": {"requests": {"cpu": "20m", "memory": "96Mi"}, "limits": {"memory": "512Mi"}},
        "volumeMounts": [
            {"name": "traces", "mountPath": "/run/codeblue/traces"},
            {"name": "settings", "mountPath": "/run/codeblue/settings", "readOnly": True},
            {"name": "scratch", "mountPath": "/tmp"},
        ],
        "imagePullPolicy": "IfNotPresent",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    assert pod == {
        "volumes": [
            {"name": "traces", "emptyDir": {"sizeLimit": "256Mi"}},
            {"name": "settings", "secret": {"secretName": "checkin-settings", "defaultMode": 0o440}},
            {"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
        ],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "shareProcessNamespace": True,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 3,
    }
    read = json.loads(secret["stringData"]["config.json"])
    assert read["links"]["registry"]["host"] == "10.0.0.9"
    assert read["links"]["eligibility"]["host"] == "checkin--eligibility"
    assert read["links"]["postgres"] == {
        "protocol": "postgres",
        "host": "checkin--postgres",
        "port": 5432,
        "database": "checkin",
        "user": "checkin",
        "password": "secret",
    }
    assert read["design"]["name"] == "resilient"


def test_every_link_goes_through_its_own_proxy(system: System) -> None:
    """The caller's file names the link's service, that leads to the port of the link's proxy, and the proxy
    leads to the callee: followed for all links."""
    site = site_of(system)
    services = by_name(doors(site))
    made = workloads(site)
    proxies = json.loads(made["toxiproxy"][0]["stringData"]["proxies.json"])
    known = {one["name"]: one for one in proxies}
    assert len(known) == len(system.links) > 50
    for link in system.links:
        configured = json.loads(made[link.caller][0]["stringData"]["config.json"])["links"][link.callee]
        spec = services["Service", configured["host"]]["spec"]
        assert configured["host"] == link_name(link)
        assert spec["selector"] == site.selector("toxiproxy")
        (port,) = spec["ports"]
        assert port["port"] == configured["port"]
        proxy = known[proxy_name(link)]
        assert proxy["listen"] == f"0.0.0.0:{port['targetPort']}"
        host, _, upstream = proxy["upstream"].partition(":")
        behind = services["Service", host]["spec"]
        assert behind["selector"] == site.selector(link.callee)
        assert behind["ports"][0]["targetPort"] == int(upstream) == PORTS[system.services[link.callee].role]


def test_no_pod_has_a_privilege_and_each_has_its_limits(system: System) -> None:
    """What the strictest pod security standard demands holds for every pod; the namespace demands it."""
    objects = everything(site_of(system))
    (namespace,) = [one for one in objects if one["kind"] == "Namespace"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    pods = [one for one in objects if one["kind"] in ("Deployment", "StatefulSet")]
    assert len(pods) == len(system.services) + 1
    kept = {one["metadata"]["name"] for one in pods if one["kind"] == "StatefulSet"}
    assert kept == {"bus", "postgres"}
    for one in pods:
        pod = one["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert not pod["automountServiceAccountToken"]
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert {next(iter(volume.keys() - {"name"})) for volume in pod["volumes"]} <= {"emptyDir", "secret"}
        (container,) = pod["containers"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert {"readinessProbe", "livenessProbe"} <= container.keys()
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]


def test_secrets_stand_in_secrets_alone(system: System) -> None:
    """No password and no token is in an argument, a variable or a label."""
    objects = [one for one in everything(site_of(system)) if one["kind"] != "Secret"]
    shown = json.dumps(objects)
    assert "superuser" not in shown
    assert '"token"' not in shown.replace('"key": "token"', "")
    assert "PASSWORD '" not in shown


def test_everything_is_in_the_namespace_and_carries_the_labels_of_the_run(system: System) -> None:
    """Whoever removes what carries the label removes all of it."""
    for one in everything(site_of(system, instance="kubernetes-1-a", owner="1 2 boot")):
        assert one["metadata"]["labels"]["codeblue.instance"] == "kubernetes-1-a"
        assert one["metadata"].get("namespace", "ward") == "ward"
        if one["kind"] in ("Deployment", "StatefulSet"):
            pod = one["spec"]["template"]["metadata"]["labels"]
            assert one["spec"]["selector"]["matchLabels"].items() <= pod.items()


def test_a_link_whose_name_is_too_long_for_a_cluster_is_refused(system: System) -> None:
    """It is said before anything is made, with the name and its length."""
    caller, callee = "a" * 40, "b" * 40
    service = system.services["checkin"]
    long = replace(system, services={caller: service, callee: service}, links=(Link(caller, callee),))
    with pytest.raises(UnsupportedError, match="with 82 characters"):
        Site(long, site_of(system).run, "ward", Secrets("", Keys()))


def test_a_service_that_knows_nothing_of_the_harness_is_refused_by_name() -> None:
    """It is written in no half way."""
    shop = load_system(ROOT / "examples" / "shop" / "system.yaml", KINDS)
    design = load_design(next((ROOT / "examples" / "shop" / "designs").glob("*.yaml")), shop)
    with pytest.raises(UnsupportedError, match=r"storefront.*knows nothing of the harness"):
        Site(shop, RunSettings("r", 1, design, Population()), "ward", Secrets("", Keys()))


@pytest.mark.parametrize("name", ["Ward", "a_b", "-a", "a" * 64, ""])
def test_a_name_that_no_namespace_can_have_is_refused(system: System, name: str) -> None:
    """Said before anything is asked of a cluster."""
    site = site_of(system)
    with pytest.raises(UsageError, match="found the namespace"):
        Site(system, site.run, name, site.secrets)


def test_the_rights_hold_in_one_namespace_and_ask_for_no_more() -> None:
    """No role of the whole cluster, no star, no rights over roles."""
    account, role, binding = rights("ward")
    assert (account["kind"], role["kind"], binding["kind"]) == ("ServiceAccount", "Role", "RoleBinding")
    assert {one["metadata"]["namespace"] for one in rights("ward")} == {"ward"}
    said = json.dumps(role["rules"])
    assert not {"*", "roles", "escalate", "impersonate"} & {
        word for rule in role["rules"] for words in rule.values() for word in words
    }
    assert "pods/log" in said
    assert binding["roleRef"]["name"] == role["metadata"]["name"]


def test_yaml_gives_back_what_was_written(system: System) -> None:
    """Text of several lines, numbers and lists come back, and nothing is an alias."""
    objects = everything(site_of(system))
    text = yaml_text(objects)
    assert list(yaml.safe_load_all(text)) == objects
    assert "&id" not in text
    assert "databases.sql: |\n" in text


def test_the_command_writes_a_folder_that_is_applied_in_order(tmp_path: Path) -> None:
    """The namespace comes first; stores and Toxiproxy before the services; each time with other passwords."""
    out = tmp_path / "cluster"
    words = ["manifests", "fragile", "--namespace", "ward", "--image-prefix", "images.example/x"]
    done = CliRunner().invoke(cli, [*words, "--out", str(out)], catch_exceptions=False)
    assert done.exit_code == 0
    names = sorted(path.name for path in out.iterdir())
    assert names[0] == "00-namespace.yaml"
    assert {"20-postgres.yaml", "20-bus.yaml", "20-toxiproxy.yaml", "30-checkin.yaml"} <= set(names)
    objects = list(yaml.safe_load_all((out / "30-checkin.yaml").read_text()))
    assert [one["kind"] for one in objects] == ["Service", "Secret", "Deployment"]
    first = (out / "20-postgres.yaml").read_text()
    CliRunner().invoke(cli, [*words, "--out", str(out)], catch_exceptions=False)
    assert (out / "20-postgres.yaml").read_text() != first


def test_the_command_writes_the_rights_alone() -> None:
    """To standard output, so that it can be read before it is applied."""
    done = CliRunner().invoke(cli, ["manifests", "--rbac", "--namespace", "ward"], catch_exceptions=False)
    assert done.exit_code == 0
    assert list(yaml.safe_load_all(done.output)) == rights("ward")
    done = CliRunner().invoke(cli, ["manifests", "--rbac", "--namespace", "ward", "--json"])
    assert json.loads(done.output)["result"] == {"rbac.yaml": rights("ward")}
