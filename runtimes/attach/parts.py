"""Which processes of this machine are the parts of a system that runs already."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from experiment.attaching import Attach, AttachedService
from experiment.errors import StartError, UnsupportedError
from runtimes.attach.lodgings import find_containers
from runtimes.containers.specs import Lodging
from runtimes.leaks import command_of
from runtimes.leftovers import descendants
from runtimes.owners import Identity, identify
from runtimes.runtime import Address

ANYWHERE = ("0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class Part:
    """One part as it was found; `process` is None for one that is on another machine, `lodging` is that of
    one in a container, whose first process is `process`."""

    name: str
    address: Address
    process: Identity | None
    lodging: Lodging | None = None

    @property
    def pids(self) -> list[int]:
        """Its process and all children, now."""
        if self.process is None or not self.process.alive:
            return []
        return [self.process.pid, *(one.pid for one in descendants(self.process.pid))]

    def __str__(self) -> str:
        if self.process is None:
            return f"{self.name} at {self.address}, on another machine"
        return f"{self.name} at {self.address}, process {self.process.pid} ({command_of(self.process.pid)})"

    def addresses_for(self, caller: Part) -> list[Address]:
        """Where a caller finds it: of a container, its address in each network that it shares with the
        caller's."""
        if self.lodging is None or caller.lodging is None:
            return [self.address]
        shared = self.lodging.addresses.keys() & caller.lodging.addresses.keys()
        return [
            Address(str(place.ip), self.address.port)
            for network, place in self.lodging.addresses.items()
            if network in shared
        ]


def find_parts(attach: Attach) -> dict[str, Part]:
    """Every part of a system. Raises UnsupportedError for one that cannot be told apart, StartError for one
    that does not run."""
    listening = _listening()
    housed = {name: one for name, one in attach.services.items() if not one.at}
    found = find_containers(attach.project, housed) if housed else {}
    return {
        name: _housed(name, one, found[name]) if name in found else _part(name, one, listening)
        for name, one in attach.services.items()
    }


def find_part(attach: Attach, name: str, within_s: float = 15.0) -> Part:
    """One part that was started again, as soon as it is there. Raises StartError, UnsupportedError."""
    alone, end = (
        replace(attach, services={name: attach.services[name]}, links={}),
        time.monotonic() + within_s,
    )
    while True:
        try:
            return find_parts(alone)[name]
        except StartError:
            if time.monotonic() > end:
                raise
        time.sleep(0.02)


def _housed(name: str, said: AttachedService, lodging: Lodging) -> Part:
    first = next(iter(lodging.addresses.values()), None)
    if first is None:
        raise UnsupportedError(
            f"attach: found the container {lodging.name} of {name} without an IPv4 address of its own, "
            "expected one in a network of its engine; name where it listens as `at` instead"
        )
    return Part(name, Address(str(first.ip), said.listens), identify(lodging.pid), lodging)


def _part(name: str, said: AttachedService, listening: Mapping[int, list[tuple[str, int]]]) -> Part:
    address = Address(resolved(said.host), said.listens)
    pid: int | None
    if said.command:
        pid = _by_command(name, said.command)
    else:
        hosts = (address.host, *ANYWHERE)
        pids = sorted({pid for host, pid in listening.get(said.listens, []) if host in hosts})
        pid = _root_of(pids)
        if pid is None and _is_here(address.host):
            raise StartError(
                f"attach: found no process that listens at {said.at}, expected {name} to run; "
                "name a part of its command line as `command` where its socket cannot be seen"
            )
    return Part(name, address, identify(pid) if pid is not None else None)


def resolved(host: str) -> str:
    """The IPv4 address of a host. Raises UnsupportedError: only these can be redirected."""
    try:
        return str(socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])
    except OSError:
        raise UnsupportedError(
            f'attach: found the host "{host}", expected one with an IPv4 address'
        ) from None


def _listening() -> dict[int, list[tuple[str, int]]]:
    """Port to hosts and processes that listen there."""
    found: dict[int, list[tuple[str, int]]] = {}
    for one in psutil.net_connections(kind="tcp"):
        if one.status == psutil.CONN_LISTEN and one.pid:
            found.setdefault(one.laddr.port, []).append((one.laddr.ip, one.pid))
    return found


def _root_of(pids: list[int]) -> int | None:
    """Of several that share a socket, the one that the others are children of."""
    for pid in pids:
        if set(pids) <= {pid, *(one.pid for one in descendants(pid))}:
            return pid
    return None


def _is_here(host: str) -> bool:
    own = {one.address for several in psutil.net_if_addrs().values() for one in several}
    return host in own or host.startswith("127.")


def _by_command(name: str, text: str) -> int:
    found = [
        one.pid for one in psutil.process_iter() if one.pid != os.getpid() and text in command_of_all(one.pid)
    ]
    root = _root_of(sorted(found))
    if root is None:
        raise UnsupportedError(
            f'attach: found {len(found)} processes with "{text}" in their command lines, expected that of '
            f"{name} and its children alone"
        )
    return root


def command_of_all(pid: int) -> str:
    """The whole command line of a process; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""


def own_network(part: Part) -> bool:
    """Whether a part's process has a network of its own, as one in a container has."""
    if part.process is None:
        return False
    try:
        return os.readlink(f"/proc/{part.process.pid}/ns/net") != os.readlink("/proc/self/ns/net")
    except OSError:
        return False
