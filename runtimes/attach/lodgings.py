"""Which containers are the parts of a system that runs already, and the host's address in their networks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import psutil

from experiment.attaching import AttachedService
from experiment.errors import StartError, UnsupportedError
from runtimes.containers.specs import Lodging

if TYPE_CHECKING:  # the package docker is loaded only for a system in containers
    from runtimes.containers.engine import Engine

PROJECT, SERVICE, ONE_OFF = (f"com.docker.compose.{name}" for name in ("project", "service", "oneoff"))


@contextmanager
def engine_at(endpoint: str = "") -> Iterator[Engine]:
    """The engine of this machine until the end of the block. Raises EngineError."""
    from runtimes.containers.engine import Engine

    engine = Engine(endpoint)
    try:
        yield engine
    finally:
        engine.close()


def find_containers(project: str, services: Mapping[str, AttachedService]) -> dict[str, Lodging]:
    """The container of each service. Raises UnsupportedError for several, StartError for none that runs."""
    with engine_at() as engine:
        return {
            name: _running(engine, name, one.container or _of_project(engine, project, name))
            for name, one in services.items()
        }


def _of_project(engine: Engine, project: str, service: str) -> str:
    containers = engine.containers(f"{PROJECT}={project}")
    named = {
        name
        for name, labels in containers.items()
        if labels.get(SERVICE) == service and labels.get(ONE_OFF, "False") != "True"
    }
    if not containers:
        raise StartError(f'attach: found no container of the project "{project}", expected it to run')
    if len(named) != 1:
        known = ", ".join(sorted({labels.get(SERVICE, "") for labels in containers.values()}))
        found = f"{len(named)} containers" if named else "no container"
        raise UnsupportedError(
            f'attach: found {found} of {service} in the project "{project}", which has {known}; expected one'
        )
    return named.pop()


def _running(engine: Engine, service: str, container: str) -> Lodging:
    from runtimes.docker_engine import EngineMissing

    try:
        lodging = engine.lodging(container)
    except EngineMissing:
        raise StartError(f'attach: found no container "{container}", expected {service} to run') from None
    if not lodging.pid:
        state = engine.state(container)
        raise StartError(f"attach: found the container {container} {state}, expected {service} to run")
    return lodging


def host_in(lodging: Lodging, networks: Collection[str]) -> str:
    """The address of this machine in one of these networks of a container; empty where it has none, as in
    an overlay of several machines."""
    own = [
        str(one.address) for several in psutil.net_if_addrs().values() for one in several if one.family == 2
    ]
    for network, place in lodging.addresses.items():
        if network in networks:
            for address in own:
                if IPv4Address(address) in place.network:
                    return address
    return ""
