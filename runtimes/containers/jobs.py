"""Services of a compose file that end: what others wait for until it has succeeded, such as a migration.

Each runs once, before the services that wait for it, in the networks in which callers find its callees by
name. It is gone before the run begins.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Mapping
from dataclasses import replace

from experiment.compose_file import ComposeService, compose_service
from experiment.errors import StartError
from experiment.stop import Stop
from experiment.topology import System
from runtimes.containers.engine import Engine
from runtimes.containers.foreign_images import Image
from runtimes.containers.layout import Layout, said_spec
from runtimes.containers.parts import last_words
from runtimes.containers.specs import ContainerSpec

POLL_S = 0.1


def jobs_of(system: System) -> dict[str, ComposeService]:
    """By name in the compose file: what the services of the system wait for until it has ended, and what
    that waits for in its turn. Raises ConfigError."""
    found: dict[str, ComposeService] = {}
    said = [one for name in system.services if (one := system.composed(name)) is not None]
    waiting = [name for one in said for name in one.jobs]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = compose_service(system.compose_file, name)
            waiting += found[name].jobs
    return found


def run_job(
    engine: Engine, system: System, layout: Layout, name: str, image: Image, end: float, stop: Stop
) -> None:
    """To its end. Raises StartError with its last log lines when it fails or takes too long; Interrupted."""
    spec = job_spec(system, layout, name, image)
    engine.create(spec)
    try:
        engine.start(spec.name)
        while (state := engine.state(spec.name)).status in ("created", "running"):
            if time.monotonic() > end:
                raise StartError(f"the job {name} has not ended: {last_words(engine, spec.name)}")
            stop.sleep(POLL_S)
        if state.exit_code:
            raise StartError(f"the job {name} failed: {last_words(engine, spec.name)}")
    finally:
        engine.remove(spec.name)


def job_spec(system: System, layout: Layout, name: str, image: Image) -> ContainerSpec:
    """Its container, with a place in one network for each callee that is called by name: the next address
    after that of the caller there."""
    places: dict[str, tuple[str, str]] = {}
    for link in system.links:
        pair = layout.networks.doors.get(link.name)
        if pair is not None:
            own = str(ipaddress.ip_address(pair.service) + 1)
            places.setdefault(link.callee, (pair.name, own))
    first, *others = places.values() or ((layout.network, ""),)
    return replace(
        said_spec(layout, f"job-{name}", name, image.name, image.said),
        network=first[0],
        address=first[1] or None,
        joins=tuple(others),
    )


def waits_of(
    system: System, said: Mapping[str, ComposeService | None], jobs: Mapping[str, ComposeService]
) -> dict[str, set[str]]:
    """What each service and each job starts after; jobs under `job NAME`, services under their own names."""
    names = {service.compose: name for name, service in system.services.items() if service.compose}
    every = {**said, **{job_key(name): one for name, one in jobs.items()}}
    return {
        name: set()
        if one is None
        else {names[on] for on in one.depends_on if names.get(on) in said} | {job_key(on) for on in one.jobs}
        for name, one in every.items()
    }


def job_key(name: str) -> str:
    """How a job is told from a service of the same name."""
    return f"job {name}"
