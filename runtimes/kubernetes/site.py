"""One system in one namespace: the names, labels and addresses of all that runs there. Pure values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from experiment.errors import UnsupportedError, UsageError
from experiment.topology import Link, System
from runtimes.containers.layout import INSTANCE, OWNER, PART, PORTS, TOXIPROXY
from runtimes.containers.recipes import name_of
from runtimes.containers.stores import Secrets
from runtimes.links.controls import proxy_name
from runtimes.runtime import RunSettings

MANAGED = "app.kubernetes.io/managed-by"  # the usual label of who made an object
KIND = "codeblue.kind"  # the label that tells a link's service from a part's
FIRST_PROXY_PORT = 21001
LONGEST_NAME = 63  # of a service, by the rules of the domain name system
NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
SEAL = {"pod-security.kubernetes.io/enforce": "restricted"}


def require_namespace(name: str) -> None:
    """Raises UsageError for what a cluster takes for no namespace."""
    if not NAMESPACE.fullmatch(name):
        raise UsageError(
            f'found the namespace "{name}", expected small letters, digits and "-", 63 at most, and '
            "a letter or digit at both ends"
        )


def plain_name(name: str) -> str:
    """A part's or a link's name as the cluster takes it."""
    return name.replace("_", "-").replace(".", "-").lower()


def link_name(link: Link) -> str:
    """The service that a link's caller talks to: it leads to the link's proxy."""
    return plain_name(proxy_name(link))


@dataclass(frozen=True, slots=True)
class Site:
    """`hosts` is where parts and links are reached, by the name of their service; one that is missing is
    reached by that name itself. `prefix` stands before the names of the images."""

    system: System
    run: RunSettings
    namespace: str
    secrets: Secrets
    instance: str = "manifests"
    owner: str = ""
    prefix: str = ""
    hosts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_namespace(self.namespace)
        foreign = [name for name, spec in self.system.services.items() if spec.foreign]
        if foreign:
            raise UnsupportedError(
                f"{self.system.source}: found {', '.join(foreign)}, which knows nothing of the harness, "
                "expected modules: only these are written as manifests so far"
            )
        for name in map(plain_name, self.system.services):
            if not name[0].isalpha() or not name[-1].isalnum():
                raise UnsupportedError(
                    f"{self.system.source}: found the service {name}, expected a name that begins with "
                    "a letter and ends with a letter or digit: a cluster has no others"
                )
        names = [TOXIPROXY, *map(plain_name, self.system.services), *map(link_name, self.system.links)]
        for name in names:
            if len(name) > LONGEST_NAME or names.count(name) > 1:
                what = "twice" if names.count(name) > 1 else f"with {len(name)} characters"
                raise UnsupportedError(
                    f"{self.system.source}: found the name {name} {what}, expected names that differ by more "
                    f'than "_" and "-", of {LONGEST_NAME} characters at most: a cluster has no others'
                )

    def host(self, name: str) -> str:
        """Where a service of the cluster is reached."""
        return self.hosts.get(name, name)

    def port(self, part: str) -> int:
        """Where a part listens."""
        return PORTS[self.system.services[part].role]

    def proxy_port(self, link: Link) -> int:
        """Where the proxy of a link listens."""
        return FIRST_PROXY_PORT + self.system.links.index(link)

    def image(self, name: str) -> str:
        """One of the project's own images, where the cluster finds it."""
        return f"{self.prefix.rstrip('/')}/{name_of(name)}" if self.prefix else name_of(name)

    def labels(self, part: str = "", kind: str = "part") -> dict[str, str]:
        """What everything of this site carries."""
        named = {PART: plain_name(part), KIND: kind} if part else {}
        owner = {OWNER: self.owner} if self.owner else {}
        return {MANAGED: "codeblue", INSTANCE: self.instance, **owner, **named}

    def selector(self, part: str) -> dict[str, str]:
        """What tells the pods of a part from all others of the namespace."""
        return {INSTANCE: self.instance, PART: plain_name(part), KIND: "part"}

    def named(self, name: str, part: str, kind: str = "part") -> dict[str, Any]:
        """The metadata of an object."""
        return {"name": name, "namespace": self.namespace, "labels": self.labels(part, kind)}
