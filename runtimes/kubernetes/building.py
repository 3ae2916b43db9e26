"""Building one instance on a cluster: Services first, since their addresses stand in what the others read."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from experiment.errors import StartError, UsageError
from experiment.stop import Stop
from experiment.topology import System
from runtimes.containers.layout import INSTANCE, PART, TOXIPROXY, TOXIPROXY_PORT
from runtimes.containers.stores import new_secrets
from runtimes.kubernetes import manifests as made
from runtimes.kubernetes.client import Cluster
from runtimes.kubernetes.nodes import PodNode, PodPart
from runtimes.kubernetes.pods import Pod, hopeless, read_pod
from runtimes.kubernetes.site import Site, plain_name
from runtimes.kubernetes.watch import PodWatch
from runtimes.leftovers import Journal
from runtimes.links.adapter import Toxiproxy, ToxiproxyError
from runtimes.links.controls import proxy_name
from runtimes.planned_changes import PlannedChanges
from runtimes.runtime import Address, Point, RunSettings
from runtimes.service_files import databases, restart_needed
from runtimes.starting import all_or_none, at_once

START_DEADLINE_S = 240.0
AT_ONCE = 6
POLL_S = 0.2


@dataclass(slots=True)
class Built:
    """A system that runs. `doors` is where the proxy of each link listens, in Toxiproxy's pod."""

    site: Site
    watch: PodWatch
    nodes: dict[str, PodNode]
    proxies: Toxiproxy
    doors: dict[str, Address]
    configurations: dict[str, Mapping[str, Any]]
    toxiproxy: str
    versions: dict[str, str]


@dataclass(frozen=True, slots=True)
class Place:
    """Where on a cluster a run is to be: `namespace` is one that is there already, empty for one of its own;
    `prefix` stands before the names of the images."""

    context: str
    namespace: str = ""
    prefix: str = ""


def list_pods(cluster: Cluster, instance: str, namespace: str) -> list[Pod]:
    """All pods of a run, now. Raises ClusterError."""
    return [read_pod(one, PART) for one in cluster.all("Pod", namespace, {INSTANCE: instance})]


def bring_up(cluster: Cluster, system: System, journal: Journal, run: RunSettings, place: Place) -> Built:
    """Everything started and ready. Raises StartError with the state of the pod and its last log lines,
    Interrupted."""
    end = time.monotonic() + START_DEADLINE_S
    namespace = place.namespace or f"codeblue-{journal.instance.removeprefix('kubernetes-')}"
    site = Site(
        system, run, namespace, new_secrets(databases(system)), instance=journal.instance, prefix=place.prefix
    )
    doors = made.doors(site)
    if place.namespace:
        _require_room(cluster, namespace, [*doors, *_flat(made.workloads(site).values())])
    journal.write(
        "cluster", context=place.context, namespace=namespace, own=int(not place.namespace), label=INSTANCE
    )
    if not place.namespace:
        cluster.create(made.namespace(site))
    with at_once(AT_ONCE, journal.stop) as pool:
        applied = [pool.submit(cluster.apply, one) for one in doors]
        hosts = {one["metadata"]["name"]: _address_of(one) for one in (a.result() for a in applied)}
        site = replace(site, hosts=hosts)
        objects = _flat(made.workloads(site).values())
        for kinds in (("Secret",), ("StatefulSet", "Deployment")):
            wanted = [one for one in objects if one["kind"] in kinds]
            for done in [pool.submit(cluster.apply, one) for one in wanted]:
                done.result()
    watch = PodWatch(lambda: list_pods(cluster, journal.instance, namespace))
    try:
        return _ready(cluster, site, journal, watch, end)
    except BaseException:
        watch.close()
        raise


def _ready(cluster: Cluster, site: Site, journal: Journal, watch: PodWatch, end: float) -> Built:
    nodes = {name: _node(cluster, site, journal, watch, name) for name in site.system.services}
    with at_once(len(nodes) + 1, journal.stop) as pool:
        server = pool.submit(_toxiproxy_ready, cluster, site, watch, end, pool.stop)
        ready: list[Future[None]] = [
            pool.submit(node.wait_until_ready, end, pool.stop) for node in nodes.values()
        ]
        all_or_none(ready)
        pod = server.result()
    token = site.secrets.keys.token
    proxies = Toxiproxy(pod.ip, TOXIPROXY_PORT, token=token)
    found = proxies.proxies()
    for link in site.system.links:
        if proxy_name(link) not in found:
            raise StartError(f"Toxiproxy made no proxy for {link.name}; it has {', '.join(found) or 'none'}")
    doors = {link.name: Address(pod.ip, site.proxy_port(link)) for link in site.system.links}
    kind = "embedded" if proxies.traffic() is not None else "real"
    configurations: dict[str, Mapping[str, Any]] = {
        name: made.service_configuration(site, name) for name in _codes(site)
    }
    versions = {"kubernetes": f"context {cluster.context}"}
    label = f"{kind} {proxies.version()}"
    return Built(site, watch, nodes, proxies, doors, configurations, label, versions)


def _node(cluster: Cluster, site: Site, journal: Journal, watch: PodWatch, name: str) -> PodNode:
    spec = site.system.services[name]
    address = Address(site.host(plain_name(name)), site.port(name), site.secrets.keys.of(site.system, name))
    image = site.image({"store": "postgres", "bus": "bus"}.get(spec.role, "service"))
    part = PodPart(name, spec.role, address, spec.control, image)
    planned = None
    if not part.is_store:
        planned = PlannedChanges(name, Point(address, spec.control), spec.changes)
    return PodNode(part, cluster, site.namespace, watch, journal, planned)


def _toxiproxy_ready(cluster: Cluster, site: Site, watch: PodWatch, end: float, stop: Stop) -> Pod:
    """Its pod, once its interface answers there. Raises StartError."""
    why = "it has no pod"
    while True:
        for pod in watch.last.of(TOXIPROXY):
            why = str(pod)
            if problem := hopeless(pod):
                said = cluster.logs(pod.name, site.namespace, last=15) if pod.container else ""
                raise StartError(f"Toxiproxy is not ready: {problem}\n{said}".rstrip())
            if not (pod.running and pod.ip):
                continue
            try:
                Toxiproxy(pod.ip, TOXIPROXY_PORT, token=site.secrets.keys.token).version()
                return pod
            except (ToxiproxyError, ValueError, KeyError) as error:
                why = (
                    f"{pod}, and at {pod.ip} it does not answer ({error}); expected the addresses of pods to "
                    "be reached from here: run on a node or in a pod of the cluster, or with a route to it"
                )
        if time.monotonic() > end:
            raise StartError(f"Toxiproxy is not ready: {why}")
        stop.sleep(POLL_S)


def write_configurations(cluster: Cluster, built: Built, run: RunSettings) -> list[str]:
    """Write the file that each service reads at its start. Returns those that must be started again for
    it. Raises ClusterError."""
    site = built.site = replace(built.site, run=run)
    moved: list[str] = []
    for name in _codes(site):
        wanted = made.service_configuration(site, name)
        if wanted == built.configurations[name]:
            continue
        if restart_needed(built.configurations[name], wanted, site.system.services[name].control):
            moved.append(name)
            secret, _ = made.service(site, name)
            cluster.apply(secret)
        built.configurations[name] = wanted
    return moved


def _codes(site: Site) -> list[str]:
    return [name for name, spec in site.system.services.items() if spec.is_code]


def _flat(lists: Iterable[list[made.Manifest]]) -> list[made.Manifest]:
    return [one for objects in lists for one in objects]


def _address_of(service: Mapping[str, Any]) -> str:
    found = service["spec"].get("clusterIP") or ""
    if not found or found == "None":
        raise StartError(f"the Service {service['metadata']['name']} got no address of the cluster")
    return str(found)


def _require_room(cluster: Cluster, namespace: str, objects: Iterable[made.Manifest]) -> None:
    """Raises UsageError where an object of a name that we would use is there: nobody's is ever taken
    over."""
    wanted = {(one["kind"], one["metadata"]["name"]) for one in objects}
    there = {
        (kind, one["metadata"]["name"])
        for kind in sorted({kind for kind, _ in wanted})
        for one in cluster.all(kind, namespace)
    }
    if taken := sorted(wanted & there):
        shown = ", ".join(f"{kind} {name}" for kind, name in taken[:5])
        raise UsageError(
            f"found {shown} in the namespace {namespace}, expected a namespace that has none of the "
            f"{len(wanted)} objects of a run"
        )
