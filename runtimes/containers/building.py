"""Building one instance: network, volumes and containers, in an order that waits for nothing it need not."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from experiment.errors import StartError
from experiment.stop import Stop
from experiment.topology import System
from runtimes.containers import layout as plan
from runtimes.containers.engine import Engine
from runtimes.containers.engine_images import Images
from runtimes.containers.foreign_images import Image, variant_images
from runtimes.containers.images import image_versions, require_images
from runtimes.containers.jobs import job_key, run_job, waits_of
from runtimes.containers.layout import SERVICE_USER, TOOLBOX, TOXIPROXY, Layout
from runtimes.containers.networks import networks_of
from runtimes.containers.parts import ContainerPart, wait_until_ready
from runtimes.containers.recipes import KIND, name_of
from runtimes.containers.specs import ContainerSpec
from runtimes.containers.stores import Secrets, new_secrets, write_store_files
from runtimes.containers.toolbox import Toolbox
from runtimes.foreign import Ground, start_of
from runtimes.keys import Keys
from runtimes.leftovers import Journal
from runtimes.links.adapter import Toxiproxy, ToxiproxyError
from runtimes.links.proxies import open_proxies
from runtimes.loopback import free_ports
from runtimes.owners import this_process
from runtimes.private_places import hand_over, passage, write_closed
from runtimes.runtime import Address, RunSettings
from runtimes.service_files import (
    ServiceFolder,
    callees,
    callers,
    configuration,
    databases,
    restart_needed,
    stores,
)
from runtimes.starting import all_or_none, at_once

START_DEADLINE_S = 60.0
TOXIPROXY_DEADLINE_S = 15.0
AT_ONCE = 6


@dataclass(slots=True)
class Built:
    """A system that runs. `doors` is where the proxy of each link listens."""

    layout: Layout
    parts: dict[str, ContainerPart]
    folder: ServiceFolder
    proxies: Toxiproxy
    doors: dict[str, Address]
    toolbox: Toolbox
    secrets: Secrets
    configurations: dict[str, Mapping[str, Any]]
    images: Mapping[str, Image]  # of the services that know nothing of the harness
    toxiproxy: str
    versions: dict[str, str]


def check_engine(engine: Engine) -> None:
    """Refuse, by name, an engine that cannot carry a run. Raises StartError with the hint."""
    if engine.facts().rootless:
        raise StartError(
            f"the Docker engine at {engine.url} is rootless: the addresses of its containers cannot be "
            "reached from here; use an engine of the machine"
        )
    require_images()


def bring_up(
    engine: Engine,
    system: System,
    journal: Journal,
    run: RunSettings,
    service_image: str,
    images: Mapping[str, Image],
    jobs: Mapping[str, Image],
) -> Built:
    """Everything started and ready; `images` are those of the services that know nothing of the harness,
    `jobs` those of what runs to its end before some of them.
    Raises StartError with status and last log lines of what is not."""
    end = time.monotonic() + START_DEADLINE_S
    folder = _make_folder(journal.folder, system)
    secrets = new_secrets(databases(system))
    layout = _make_network(engine, system, journal, run, service_image, secrets.keys)
    _make_volumes(engine, layout, {**images, **jobs})
    token = next((secrets.keys.of(system, bus) for bus, kind in stores(system).items() if kind == "nats"), "")
    users = {"postgres": plan.POSTGRES_USER, "bus": SERVICE_USER}
    write_store_files(folder.path / "stores", secrets, token, **users)
    parts = _parts(system, layout, folder.path, secrets)
    server = layout.addresses[TOXIPROXY]
    proxies = Toxiproxy(server.host, server.port, token=server.token)
    with at_once(AT_ONCE, journal.stop) as pool:
        stop = pool.stop
        journal.fence(server.host, server.port)
        links = pool.submit(_start_links, engine, system, layout, proxies, run.seed, stop)
        kept = [pool.submit(_start, engine, part.spec) for part in parts.values() if part.is_store]
        services = [part for part in parts.values() if not part.is_store and not part.foreign]
        made = [pool.submit(engine.create, part.spec) for part in services]
        doors = links.result()
        for one in (*kept, *made):
            one.result()
        # The toolbox joins Toxiproxy's network and keeps the stores' files: it comes after both.
        toolbox = pool.submit(_start, engine, plan.toolbox_spec(layout, system))
        built = _built(engine, layout, parts, folder, proxies, doors, secrets, images)
        write_configurations(built, system, run)
        ready: list[Future[None]] = [pool.submit(_start_ready, engine, part, end, stop) for part in services]
        for part in parts.values():
            if part.is_store:
                wait_until_ready(engine, part, end, stop)
        # What knows nothing of the harness may not wait for its stores: it starts when these are there.
        foreign = foreign_parts(built, system, run)
        ending = {job_key(name): (name, image) for name, image in jobs.items()}
        for wave in _waves(system, foreign, jobs):
            begun = []
            for name in wave:
                if name in ending:
                    begun.append(pool.submit(run_job, engine, system, layout, *ending[name], end, stop))
                    continue
                part = built.parts[name] = foreign[name]
                engine.create(part.spec)
                begun.append(pool.submit(_start_ready, engine, part, end, stop))
            ready += begun
            wait(begun, return_when=FIRST_EXCEPTION)  # a part that others depend on comes before them
            if any(job.done() and job.exception() for job in begun):
                break  # what depends on a job that failed, or on a part that is not ready, does not start
        all_or_none((toolbox, *ready))
    return built


def _make_folder(path: Path, system: System) -> ServiceFolder:
    folder = ServiceFolder(path)
    folder.make()
    passage(path / "clocks")
    for name in system.services:
        (path / "clocks" / name).write_text("+0\n")
        hand_over(path / "clocks" / name, SERVICE_USER)
    for name in ("configs", "traces"):
        hand_over(path / name, SERVICE_USER)
    if os.geteuid() != 0:
        (path / "traces").chmod(0o777)  # the services' user writes there
    return folder


def _make_network(
    engine: Engine, system: System, journal: Journal, run: RunSettings, service_image: str, keys: Keys
) -> Layout:
    """A network on a subnet that the engine finds free. Asked for by name the second time: only then will it
    take fixed addresses."""
    owner = str(this_process())
    network = f"codeblue-{journal.instance.removeprefix('containers-')}"
    ports = free_ports(len(plan.front_doors(system)))
    labels = Layout(journal.instance, owner, run.run_id, network, {}, {}).labels()
    subnet = engine.create_network(network, labels)
    engine.remove_network(network)
    networks = networks_of(system, subnet, network)
    engine.create_network(network, labels, networks.main)
    with at_once(AT_ONCE) as pool:
        for made in [pool.submit(engine.create_network, p.name, labels, p.subnet) for p in networks.pairs]:
            made.result()
    layout = plan.place(
        system,
        networks,
        instance=journal.instance,
        owner=owner,
        run_id=run.run_id,
        network=network,
        ports=ports,
        service_image=service_image,
        keys=keys,
    )
    users = {"store": plan.POSTGRES_USER, "bus": SERVICE_USER}
    for name, spec in system.services.items():
        if spec.role in users:
            user = str(users[spec.role])
            options = {"size": str(plan.STORE_BYTES), "uid": user, "gid": user, "mode": "0700"}
            engine.create_volume(layout.volume(name), layout.labels(name), options)
    return layout


def _make_volumes(engine: Engine, layout: Layout, images: Mapping[str, Image]) -> None:
    """The volumes that a compose file names for its services."""
    wanted = {
        plan.volume_of(layout, name, mount): layout.labels(name)
        for name, image in images.items()
        for mount in image.said.mounts
        if mount.kind == "volume"
    }
    for volume, labels in wanted.items():
        engine.create_volume(volume, labels)


def _parts(system: System, layout: Layout, folder: Path, secrets: Secrets) -> dict[str, ContainerPart]:
    parts: dict[str, ContainerPart] = {}
    for name, service in system.services.items():
        if service.role in ("store", "bus"):
            spec = plan.store_spec(layout, name, service, folder, secrets.superuser)
        elif service.foreign:
            continue  # its variables hold the addresses of proxies that are not there yet
        else:
            spec = plan.service_spec(layout, name, service, folder)
        parts[name] = ContainerPart(
            name, service.role, spec, layout.addresses[name], layout.published.get(name), service.control
        )
    return parts


def _waves(
    system: System, parts: Mapping[str, ContainerPart], jobs: Mapping[str, Image]
) -> Iterator[list[str]]:
    """Parts and jobs after all that they depend on, as a compose file says. Raises StartError for a
    circle."""
    said = {name: system.composed(name) for name in parts}
    waits = waits_of(system, said, {name: image.said for name, image in jobs.items()})
    while waits:
        free = [name for name, on in waits.items() if not on & waits.keys()]
        if not free:
            raise StartError(f"{', '.join(waits)} depend on each other in {system.compose_file}")
        yield free
        waits = {name: on for name, on in waits.items() if name not in free}


def foreign_parts(built: Built, system: System, run: RunSettings) -> dict[str, ContainerPart]:
    """The services that know nothing of the harness, as a design wants them started."""
    ground = Ground(built.doors, built.secrets.keys, "python3")
    parts: dict[str, ContainerPart] = {}
    others = variant_images(run.design)
    for name, image in built.images.items():
        service, address = system.services[name], built.layout.addresses[name]
        begin = start_of(system, name, Address("0.0.0.0", address.port), ground, run)
        begin = replace(
            begin,
            argv=begin.argv or image.said.command,
            environment={**image.said.environment, **begin.environment},
            ready_command=begin.ready_command or image.said.test,
        )
        parts[name] = ContainerPart(
            name,
            service.role,
            plan.foreign_spec(built.layout, system, name, others.get(name, image.name), image.said, begin),
            address,
            built.layout.published.get(name),
            service.control,
            begin.ready_command,
            foreign=True,
        )
    return parts


def _start(engine: Engine, spec: ContainerSpec) -> None:
    engine.create(spec)
    engine.start(spec.name)


def _start_ready(engine: Engine, part: ContainerPart, end: float, stop: Stop) -> None:
    engine.start(part.spec.name)
    wait_until_ready(engine, part, end, stop)


def _start_links(
    engine: Engine, system: System, layout: Layout, proxies: Toxiproxy, seed: int, stop: Stop
) -> dict[str, Address]:
    """Toxiproxy with a proxy for each link; returns where callers reach them."""
    spec = plan.toxiproxy_spec(layout, seed)
    _start(engine, spec)
    end = time.monotonic() + TOXIPROXY_DEADLINE_S
    while True:
        try:
            proxies.version()
            break
        except (ToxiproxyError, ValueError, KeyError) as error:
            status = engine.state(spec.name)
            if time.monotonic() > end or status.status not in ("running", "created"):
                said = engine.logs(spec.name, 15).decode("utf-8", "replace")
                raise StartError(f"Toxiproxy is not ready ({error}): {status}; it said:\n{said}") from None
            stop.sleep(0.03)
    networks, host = layout.networks, layout.addresses[TOXIPROXY].host
    for pair in networks.pairs:
        engine.connect(pair.name, spec.name, pair.server, pair.names)
    opened = open_proxies(proxies, system, layout.addresses, "0.0.0.0", networks.named(system))
    reached = {link.name: networks.reached(link, host) for link in system.links}
    return {name: Address(reached[name], door.port) for name, door in opened.items()}


def _built(
    engine: Engine,
    layout: Layout,
    parts: dict[str, ContainerPart],
    folder: ServiceFolder,
    proxies: Toxiproxy,
    doors: dict[str, Address],
    secrets: Secrets,
    foreign: Mapping[str, Image],
) -> Built:
    images = Images()
    server = images.find(name_of("toxiproxy"))
    made = image_versions(images, layout.service_image)
    images.close()
    kind = server.labels.get(KIND, "real") if server is not None else "real"
    facts = engine.facts()
    versions = {"docker": facts.version, "kernel": facts.kernel, **made}
    toolbox = Toolbox(engine, layout.container(TOOLBOX))
    label = f"{kind} {proxies.version()}"
    return Built(layout, parts, folder, proxies, doors, toolbox, secrets, {}, foreign, label, versions)


def write_configurations(built: Built, system: System, run: RunSettings) -> list[str]:
    """Write the file that each service reads at its start. Returns those whose database is another now."""
    moved: list[str] = []
    for name, part in built.parts.items():
        if part.is_store or part.foreign:
            continue
        wanted = _configuration(built, system, name, run)
        before = built.configurations.get(name)
        if before is not None and restart_needed(before, wanted, part.control):
            moved.append(name)
        built.configurations[name] = wanted
        write_closed(built.folder.config(name), json.dumps(wanted))
        hand_over(built.folder.config(name), SERVICE_USER)
    return moved


def _configuration(built: Built, system: System, service: str, run: RunSettings) -> dict[str, Any]:
    links = callees(system, service, built.doors, run, built.secrets.keys)
    address = built.layout.addresses[service]
    listen = Address("0.0.0.0", address.port, address.token)
    asked_by = callers(system, service, built.secrets.keys)
    wanted = configuration(service, listen, links, asked_by, run, built.folder, built.secrets.keys)
    spans = f"{plan.INSIDE}/traces/{built.folder.spans(service).name}"
    return {**wanted, "spans": spans, "log": None}
