"""What can be seen of a running system: what its parts were started with, and who is connected to whom.

Parts are told as those of a compose file are, so that links are found in the same texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from experiment.attaching import Attach, AttachedService
from experiment.compose_file import ComposeService
from experiment.errors import StartError
from runtimes.attach.lodgings import ONE_OFF, PROJECT, SERVICE, engine_at
from runtimes.attach.parts import ANYWHERE, Part, command_of_all, find_parts
from runtimes.links.sockets import SocketTable

LISTEN, LOOPBACK = "0A", "7F"  # of a line in /proc/net/tcp, whose addresses are written backwards


@dataclass(frozen=True, slots=True)
class Seen:
    """The parts of a running system: what each was started with, and by caller whom it is connected to.
    `ended` are those that do not run."""

    parts: Mapping[str, ComposeService]
    connected: frozenset[tuple[str, str]]
    ended: tuple[str, ...] = ()


def see_project(project: str) -> Seen:
    """The containers of a compose project that runs. Raises StartError where none does."""
    with engine_at() as engine:
        containers: dict[str, str] = {}
        ended: list[str] = []
        for name, labels in engine.containers(f"{PROJECT}={project}").items():
            service = labels.get(SERVICE, "")
            if not service or labels.get(ONE_OFF, "False") == "True":
                continue
            if engine.lodging(name).pid:
                containers[service] = name
            else:
                ended.append(service)
        if not containers:
            raise StartError(
                f'found no container of the project "{project}" that runs, expected one at least'
            )
        lodgings = {service: engine.lodging(name) for service, name in containers.items()}
        described = {
            service: replace(one, ports=tuple(dict.fromkeys((*listening(lodgings[service].pid), *one.ports))))
            for service, one in ((service, engine.described(name)) for service, name in containers.items())
        }
    at = {
        (str(place.ip), port): service
        for service, one in lodgings.items()
        for place in one.addresses.values()
        for port in described[service].ports
    }
    connected = {
        (caller, at[peer])
        for caller, one in lodgings.items()
        for peer in _peers(one.pid)
        if at.get(peer, caller) != caller
    }
    return Seen(described, frozenset(connected), tuple(sorted(set(ended) - containers.keys())))


def listening(pid: int) -> list[int]:
    """The ports at which the network of a process is reached from others, the lowest first."""
    found: set[int] = set()
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                _, local, _, state, *_ = line.split()
                host, port = local.split(":")
                if state == LISTEN and not host.endswith(LOOPBACK):
                    found.add(int(port, 16))
    return sorted(found)


def _peers(pid: int) -> Iterator[tuple[str, int]]:
    """Where the connections of a network lead; nothing where the kernel may not be asked."""
    with suppress(OSError):
        table = SocketTable(Path(f"/proc/{pid}/ns/net"))
        try:
            yield from ((one.peer, one.peer_port) for one in table.established())
        finally:
            table.close()


def see_processes(places: Mapping[str, str]) -> Seen:
    """Local processes, each by its name and the host and port where it listens. An address of one in the
    variables or the command of another is told by its name, as in a compose file. Raises StartError for a
    place where nothing listens, ValueError for one that is no place."""
    attach = Attach({name: AttachedService(at=place) for name, place in places.items()})
    parts = find_parts(attach)
    owners = {pid: name for name, part in parts.items() for pid in part.pids}
    at = {(part.address.host, part.address.port): name for name, part in parts.items()}
    connected = {
        (owners[one.pid], at[one.raddr.ip, one.raddr.port])
        for one in psutil.net_connections(kind="tcp4")
        if one.pid in owners and one.raddr and (one.raddr.ip, one.raddr.port) in at
    }
    return Seen(
        {name: _described(part, parts) for name, part in parts.items()},
        frozenset((caller, callee) for caller, callee in connected if caller != callee),
    )


def _described(part: Part, parts: Mapping[str, Part]) -> ComposeService:
    """With the addresses of the other parts as their names."""
    if part.process is None:
        return ComposeService(ports=(part.address.port,))

    def named(text: str) -> str:
        for name, one in parts.items():
            for host in (one.address.host, "localhost", *ANYWHERE):
                text = text.replace(f"{host}:{one.address.port}", f"{name}:{one.address.port}")
        return text

    variables: dict[str, str] = {}
    with suppress(OSError):
        environ = Path(f"/proc/{part.process.pid}/environ").read_bytes().decode("utf-8", "replace")
        variables = {
            name: named(value) for name, _, value in (pair.partition("=") for pair in environ.split("\0"))
        }
    words = tuple(named(word) for word in command_of_all(part.process.pid).split())
    return ComposeService(command=words, environment=variables, ports=(part.address.port,))
