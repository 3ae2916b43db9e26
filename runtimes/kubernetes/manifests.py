"""What a system is on a cluster: manifests as plain mappings, made of the same values as its containers.

| part | objects |
|---|---|
| service, instrument | Secret (its configuration), Service, Deployment |
| PostgreSQL, NATS | Secret (how it is set up), Service, StatefulSet |
| all links | Secret (a proxy for each), Deployment of Toxiproxy; per link a Service that leads to its proxy |

Every pod runs without any privilege, as the level "restricted" of the pod security standards demands. A
service leads to its one pod whether that is ready or not: taking the only instance out would turn a slow
answer into a refused one, which is another fault than the one that is played. For the same reason no CPU
limit is set: the kernel's throttling would be measured as slowness of the system.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runtimes.bus import authorization
from runtimes.containers import layout as plan
from runtimes.containers.layout import INSIDE, SERVICE_USER, TOXIPROXY, TOXIPROXY_PORT
from runtimes.containers.stores import HBA, NATS_CONF, statements
from runtimes.kubernetes.site import SEAL, Site, link_name, plain_name
from runtimes.links.controls import proxy_name
from runtimes.runtime import Address
from runtimes.service_files import ServiceFolder, callees, callers, configuration
from runtimes.toxiproxy.options import TOKEN_VARIABLE

Manifest = dict[str, Any]
CPU = {"service": "20m", "instrument": "20m", "store": "100m", "bus": "50m", TOXIPROXY: "50m"}
SETTINGS = f"{INSIDE}/settings"  # where a part finds the files of its secret
CONFINED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
READY = {"periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": 2}
# A part is started again when nothing listens any more for half a minute, not while it is slow.
LIVE = {"initialDelaySeconds": 30, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3}


def namespace(site: Site) -> Manifest:
    """The namespace; it takes no pod that asks for a privilege."""
    labels = {**site.labels(), **SEAL}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": site.namespace, "labels": labels}}


def doors(site: Site) -> list[Manifest]:
    """The services: one for Toxiproxy's own interface, one for each part, one for each link. They come first,
    since their addresses stand in what the others read."""
    found = [_door(site, TOXIPROXY, TOXIPROXY, (TOXIPROXY_PORT, TOXIPROXY_PORT))]
    for name in site.system.services:
        found.append(_door(site, plain_name(name), name, (site.port(name), site.port(name))))
    for link in site.system.links:
        ports = (site.port(link.callee), site.proxy_port(link))
        found.append(_door(site, link_name(link), TOXIPROXY, ports, kind="link"))
    return found


def workloads(site: Site) -> dict[str, list[Manifest]]:
    """Part to what it is made of, without its service: stores first, then Toxiproxy."""
    roles = {name: spec.role for name, spec in site.system.services.items()}
    made = {name: store(site, name) for name, role in roles.items() if role in ("store", "bus")}
    made[TOXIPROXY] = toxiproxy(site)
    return {**made, **{name: service(site, name) for name in roles if name not in made}}


def files(site: Site) -> dict[str, list[Manifest]]:
    """File name to its objects, for a folder that is read, kept and applied in the order of its names."""
    services = {one["metadata"]["name"]: one for one in doors(site)}
    links = [services[link_name(link)] for link in site.system.links]
    found = {"00-namespace.yaml": [namespace(site)], "10-links.yaml": links}
    for name, objects in workloads(site).items():
        first = name == TOXIPROXY or site.system.services[name].role in ("store", "bus")
        place = f"{20 if first else 30}-{plain_name(name)}.yaml"
        found[place] = [services[plain_name(name)], *objects]
    return found


def service(site: Site, name: str) -> list[Manifest]:
    """One service of the harness's own kind, with its configuration."""
    spec = site.system.services[name]
    container = {
        "name": plain_name(name),
        "image": site.image("service"),
        "args": [spec.module, "--config", f"{SETTINGS}/config.json"],
        "ports": [{"containerPort": site.port(name)}],
        "readinessProbe": {**READY, **_asked(site, name)},
        "livenessProbe": {**LIVE, "tcpSocket": {"port": site.port(name)}},
        "resources": _resources(CPU[spec.role], "96Mi", plan.SERVICE_MEMORY),
        "volumeMounts": [{"name": "traces", "mountPath": f"{INSIDE}/traces"}],
    }
    traces = {"name": "traces", "emptyDir": {"sizeLimit": "256Mi"}}
    settings = _secret(site, name, {"config.json": json.dumps(service_configuration(site, name))})
    return [settings, _deployment(site, name, _pod(site, name, container, [traces], SERVICE_USER))]


def store(site: Site, name: str) -> list[Manifest]:
    """PostgreSQL or NATS. Its files last as long as its pod: they survive the end of its process."""
    is_bus = site.system.services[name].role == "bus"
    made, secrets, user, at = _bus(site, name) if is_bus else _postgres(site, name)
    port = site.port(name)
    container = {
        **made,
        "ports": [{"containerPort": port}],
        "readinessProbe": {**READY, "tcpSocket": {"port": port}},
        "livenessProbe": {**LIVE, "tcpSocket": {"port": port}},
        "resources": _resources(CPU[site.system.services[name].role], "128Mi", plan.STORE_MEMORY),
        "volumeMounts": [{"name": "files", "mountPath": at}],
    }
    kept = {"name": "files", "emptyDir": {"sizeLimit": str(plan.STORE_BYTES)}}
    pod = _pod(site, name, container, [kept], user)
    stateful = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": site.named(plain_name(name), name),
        "spec": {
            "serviceName": plain_name(name),
            "replicas": 1,
            "selector": {"matchLabels": site.selector(name)},
            "template": pod,
        },
    }
    return [_secret(site, name, secrets), stateful]


def _bus(site: Site, name: str) -> tuple[Manifest, dict[str, str], int, str]:
    token = site.secrets.keys.of(site.system, name)
    container = {
        "name": plain_name(name),
        "image": site.image("bus"),
        "args": ["--config", f"{SETTINGS}/nats.conf"],
    }
    return container, {"nats.conf": NATS_CONF + authorization(token)}, SERVICE_USER, "/data"


def _postgres(site: Site, name: str) -> tuple[Manifest, dict[str, str], int, str]:
    settings = {**plan.POSTGRES_SETTINGS, "hba_file": f"{SETTINGS}/pg_hba.conf"}
    arguments = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    password = {"secretKeyRef": {"name": f"{plain_name(name)}-settings", "key": "password"}}
    container = {
        "name": plain_name(name),
        "image": site.image("postgres"),
        "args": ["postgres", *arguments],
        "env": [
            {"name": "POSTGRES_USER", "value": "codeblue"},
            {"name": "POSTGRES_PASSWORD", "valueFrom": password},
            {"name": "PGDATA", "value": "/var/lib/postgresql/data"},
        ],
    }
    known = site.secrets
    secrets = {
        "password": known.superuser,
        "pg_hba.conf": HBA,
        "databases.sql": statements(dict(known.keys.passwords)),
    }
    return container, secrets, plan.POSTGRES_USER, "/var/lib/postgresql"


def toxiproxy(site: Site) -> list[Manifest]:
    """The server of all links, with a proxy for each."""
    proxies = [
        {
            "name": proxy_name(link),
            "listen": f"0.0.0.0:{site.proxy_port(link)}",
            "upstream": f"{site.host(plain_name(link.callee))}:{site.port(link.callee)}",
            "enabled": True,
        }
        for link in site.system.links
    ]
    token = site.secrets.keys.token
    secret = {"secretKeyRef": {"name": f"{TOXIPROXY}-settings", "key": "token"}}
    seed = str(site.run.seed)
    container = {
        "name": TOXIPROXY,
        "image": site.image("toxiproxy"),
        "args": [
            *("-host", "0.0.0.0", "-port", str(TOXIPROXY_PORT), "-seed", seed, "-proxy-metrics"),
            *("-config", f"{SETTINGS}/proxies.json"),
        ],
        "env": [
            {"name": "LOG_LEVEL", "value": "error"},
            *([{"name": TOKEN_VARIABLE, "valueFrom": secret}] if token else []),
        ],
        "ports": [{"containerPort": TOXIPROXY_PORT}],
        "readinessProbe": {**READY, "tcpSocket": {"port": TOXIPROXY_PORT}},
        "livenessProbe": {**LIVE, "tcpSocket": {"port": TOXIPROXY_PORT}},
        "resources": _resources(CPU[TOXIPROXY], "64Mi", plan.SERVICE_MEMORY),
    }
    settings = _secret(site, TOXIPROXY, {"proxies.json": json.dumps(proxies), "token": token})
    return [settings, _deployment(site, TOXIPROXY, _pod(site, TOXIPROXY, container, [], SERVICE_USER))]


def service_configuration(site: Site, name: str) -> dict[str, Any]:
    """The file that a service reads at its start: every callee is reached at the service of its link."""
    keys, system = site.secrets.keys, site.system
    reached = {
        link.name: Address(site.host(link_name(link)), site.port(link.callee)) for link in system.links
    }
    links = callees(system, name, reached, site.run, keys)
    listen = Address("0.0.0.0", site.port(name), keys.of(system, name))
    folder = ServiceFolder(Path(INSIDE))
    wanted = configuration(name, listen, links, callers(system, name, keys), site.run, folder, keys)
    return {**wanted, "log": None}


def _asked(site: Site, name: str) -> Manifest:
    """How the cluster finds out whether a service is ready. One that answers to its token alone says without
    it no more than that it lives, and a token has no place in a Deployment."""
    control, port = site.system.services[name].control, site.port(name)
    guarded = bool(site.secrets.keys.of(site.system, name))
    path = control.health if guarded else control.ready or control.health
    return {"httpGet": {"path": path, "port": port}} if path else {"tcpSocket": {"port": port}}


def _door(site: Site, name: str, part: str, ports: tuple[int, int], kind: str = "part") -> Manifest:
    port, target = ports
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": site.named(name, name if kind == "link" else part, kind),
        "spec": {
            "selector": site.selector(part),
            "ports": [{"name": "main", "port": port, "targetPort": target, "protocol": "TCP"}],
            "publishNotReadyAddresses": True,
        },
    }


def _secret(site: Site, name: str, texts: Mapping[str, str]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": site.named(f"{plain_name(name)}-settings", name),
        "type": "Opaque",
        "stringData": dict(texts),
    }


def _deployment(site: Site, name: str, pod: Manifest) -> Manifest:
    """One instance, which ends before another begins."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": site.named(plain_name(name), name),
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": site.selector(name)},
            "template": pod,
        },
    }


def _pod(site: Site, name: str, container: Manifest, volumes: Sequence[Manifest], user: int) -> Manifest:
    """One container with its settings, a scratch folder and these volumes, as a plain user."""
    mounts = [
        *container.get("volumeMounts", ()),
        {"name": "settings", "mountPath": SETTINGS, "readOnly": True},
        {"name": "scratch", "mountPath": "/tmp"},
    ]
    if site.system.services.get(name) is not None and site.system.services[name].role == "store":
        first = {"name": "settings", "mountPath": "/docker-entrypoint-initdb.d/databases.sql"}
        mounts.append({**first, "subPath": "databases.sql", "readOnly": True})
    return {
        "metadata": {"labels": site.labels(name)},
        "spec": {
            "containers": [
                {
                    **container,
                    "imagePullPolicy": "IfNotPresent",
                    "securityContext": CONFINED,
                    "volumeMounts": mounts,
                }
            ],
            "volumes": [
                *volumes,
                {
                    "name": "settings",
                    "secret": {"secretName": f"{plain_name(name)}-settings", "defaultMode": 0o440},
                },
                {"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
            ],
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": user,
                "runAsGroup": user,
                "fsGroup": user,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            # A part's process is not the first one of its pod: only so can a signal kill or stop it.
            "shareProcessNamespace": True,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 3,
        },
    }


def _resources(cpu: str, memory: str, most_bytes: int) -> Manifest:
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": f"{most_bytes // 2**20}Mi"}}
