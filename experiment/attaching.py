"""A system that runs already: where its parts are, how its links lead through proxies, what may be touched.

`attach` stands in the system's file; what is allowed stands in a file of its own, which whoever answers for
the target keeps.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass, field, replace
from pathlib import Path

from experiment.decoding import Decoder
from experiment.units import Rate
from experiment.yaml_source import Node, key_place, place, read_yaml

ADDRESS = re.compile(r"(?P<host>\[[0-9a-fA-F:]+\]|[^:\s/]+):(?P<port>[0-9]{1,5})")
GUARDED = re.compile(r"(^|[^a-z])(prod|production|prd|live)([^a-z]|$)", re.IGNORECASE)


def split_address(text: str) -> tuple[str, int]:
    """`127.0.0.1:8001` as host and port. Raises ValueError."""
    found = ADDRESS.fullmatch(text)
    if found is None or not 1 <= int(found["port"]) <= 65535:
        raise ValueError(f'at "{text}"; expected a host and a port, such as 127.0.0.1:8001')
    return found["host"].strip("[]"), int(found["port"])


@dataclass(frozen=True, slots=True)
class AttachedService:
    """One part of the system that runs already."""

    at: str = ""
    """Host and port where it listens, such as 127.0.0.1:8001."""
    command: str = ""
    """A part of the command line of its process; without it, the process is the one that listens there."""
    container: str = ""
    """The name of its container, instead of `at`; its address is that of the container."""
    port: int = 0
    """Where it listens in its container; the container is that of the `project` where none is named."""

    starts: str = ""
    """The command that starts its process again after a crash, such as `systemctl start orders`; it ends by
    itself. A container is started again by its engine."""

    def __post_init__(self) -> None:
        if self.starts and not self.at:
            raise ValueError("starts beside a container, which its engine starts; expected it beside `at`")
        if self.at:
            split_address(self.at)
        if bool(self.at) == bool(self.port):
            found = "both at and port" if self.at else "neither at nor port"
            raise ValueError(f"{found}; expected `at: HOST:PORT`, or the port inside its container")
        if self.at and self.container:
            raise ValueError("both at and container; expected one of them")
        if self.command and not self.at:
            raise ValueError("a command beside a container; expected it beside `at`")
        if not 0 <= self.port <= 65535:
            raise ValueError(f"the port {self.port}; expected 1 to 65535")

    @property
    def host(self) -> str:
        """Empty for a container."""
        return split_address(self.at)[0] if self.at else ""

    @property
    def listens(self) -> int:
        """The number of its port."""
        return split_address(self.at)[1] if self.at else self.port


@dataclass(frozen=True, slots=True)
class AttachedLink:
    """A link that leads through a proxy already."""

    proxy: str
    """The name of its proxy at the Toxiproxy of `toxiproxy`."""


@dataclass(frozen=True, slots=True)
class Attach:
    """Where a running system is. Its links are redirected to proxies of the harness, but for those whose
    proxies are named here. Nothing of it is started or stopped."""

    services: dict[str, AttachedService]
    """Every service, store and bus of this file, by name."""
    links: dict[str, AttachedLink] = field(default_factory=dict)
    """Links that lead through a proxy of a Toxiproxy of yours already."""
    toxiproxy: str = ""
    """Host and port of your Toxiproxy, such as 127.0.0.1:8474; needed when links name its proxies."""
    project: str = ""
    """The compose project of the services that have neither `at` nor `container`: each is its container of
    the service of that name."""

    def __post_init__(self) -> None:
        for name, one in self.services.items():
            if not (one.at or one.container or self.project):
                raise ValueError(f"no container of {name}; expected `container: NAME`, or `project` above")
        if self.toxiproxy:
            split_address(self.toxiproxy)
        if self.links and not self.toxiproxy:
            raise ValueError("proxies of links and no toxiproxy; expected its host and port")


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a run may touch. It stands in a file outside of scenario and system."""

    hosts: tuple[str, ...]
    """Hosts at which parts of the system may be, as its file gives them."""
    services: tuple[str, ...]
    """Services whose processes may be touched, by name."""
    links: tuple[str, ...]
    """Links that may be disturbed, as `caller -> callee`."""
    highest_load: Rate
    """The most visits that may arrive, such as 20/s."""
    source: str = field(default="", metadata={"internal": True})
    containers: tuple[str, ...] = ()
    """Containers that the system's file names and that may be touched."""
    projects: tuple[str, ...] = ()
    """Compose projects whose containers may be touched."""


def load_allowed(path: Path) -> Allowed:
    """Read an allow file. Raises ConfigError."""
    node, decoder = read_yaml(path), Decoder()
    allowed = decoder.root(node, Allowed)
    return replace(allowed, source=str(path))


def check_attach(
    decoder: Decoder,
    node: Node,
    attach: Attach | None,
    services: MappingABC[str, object],
    links: tuple[str, ...],
) -> Collection[str]:
    """Every part has its place, and no name is strange. Returns the services that run already."""
    if attach is None:
        return ()
    for name in attach.services:
        if name not in services:
            where = key_place(node, "attach", "services", name)
            hint = decoder.nearest(name, services)
            decoder.fail(where, f'the unknown service "{name}"', "a service of this file", hint)
    for name in services:
        if name not in attach.services:
            where = place(node, "attach", "services")
            decoder.fail(where, f"no place of {name}", f"{name}: {{at: HOST:PORT}}")
    for name in attach.links:
        if name not in links:
            where = key_place(node, "attach", "links", name)
            decoder.fail(
                where, f'the unknown link "{name}"', "a link of this file", decoder.nearest(name, links)
            )
    return attach.services


def refused(
    allowed: Allowed, attach: Attach, faulted: set[str], links: tuple[str, ...], load: float, names: list[str]
) -> list[str]:
    """One sentence for everything that the allow file does not allow. `faulted` are the targets of the plan,
    `names` what else could be somebody's production: hosts and command lines."""
    problems = []

    def want(key: str, name: str, listed: tuple[str, ...]) -> None:
        if name not in listed:
            problems.append(
                f'{allowed.source}: found no "{name}" under {key}, expected it there to be touched'
            )

    for service, one in attach.services.items():
        want("services", service, allowed.services)
        if one.at:
            want("hosts", one.host, allowed.hosts)
        elif one.container:
            want("containers", one.container, allowed.containers)
        else:
            want("projects", attach.project, allowed.projects)
    for link in sorted({*links, *(target for target in faulted if target not in attach.services)}):
        want("links", link, allowed.links)
    literal = {*allowed.hosts, *allowed.services, *allowed.links, *allowed.containers, *allowed.projects}
    for name in names:
        if GUARDED.search(name) and name not in literal:
            problems.append(
                f'{allowed.source}: found "{name}", which reads like production, expected it word by word '
                "in this file"
            )
    if load > allowed.highest_load:
        problems.append(
            f"{allowed.source}: found a load of {load:g}/s, expected at most {allowed.highest_load:g}/s"
        )
    return problems
