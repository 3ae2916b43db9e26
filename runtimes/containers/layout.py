"""Who is where: addresses, names, labels and container specifications of one instance. Pure values."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from experiment.compose_file import ComposeService, Mount
from experiment.topology import Service, System
from runtimes.containers.networks import Networks
from runtimes.containers.recipes import name_of
from runtimes.containers.specs import ContainerSpec
from runtimes.foreign import Start
from runtimes.keys import Keys
from runtimes.owners import this_process
from runtimes.runtime import Address
from runtimes.toxiproxy.options import TOKEN_VARIABLE

INSTANCE = "codeblue.instance"  # the label that everything of an instance carries
OWNER = "codeblue.owner"  # the process that the instance belongs to: see `runtimes.owners`
PART = "codeblue.part"  # the label that says which part of the system a container is
FIRST_RUN = "codeblue.first_run"  # an instance serves all runs of a command
PORTS = {"service": 8080, "instrument": 8080, "store": 5432, "bus": 4222}
TOXIPROXY = "toxiproxy"
TOOLBOX = "toolbox"
TOXIPROXY_PORT = 8474
SERVICE_MEMORY = 512 * 2**20
STORE_MEMORY = 2 * 2**30
STORE_BYTES = 512 * 2**20  # of the memory file system that holds a store's files
SERVICE_USER = 10001
POSTGRES_USER = 999
INSIDE = "/run/codeblue"
VOLUMES = "/volumes"
SCRATCH = {"/tmp": "rw,size=64m,mode=1777"}

POSTGRES_SETTINGS = {
    "listen_addresses": "*",
    "hba_file": f"{INSIDE}/stores/pg_hba.conf",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "250",
    "shared_buffers": "64MB",
    "jit": "off",
    "io_method": "sync",
    "max_wal_size": "256MB",
    "checkpoint_timeout": "30min",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "dynamic_shared_memory_type": "mmap",
    "timezone": "UTC",
}


def instance_labels(instance: str) -> dict[str, str]:
    """What everything of an instance of this process carries: whose it is."""
    return {INSTANCE: instance, OWNER: str(this_process())}


@dataclass(frozen=True, slots=True)
class Layout:
    """The network of one instance: every part has a fixed address, which survives its restart."""

    instance: str
    owner: str
    run_id: str
    network: str
    addresses: Mapping[str, Address]
    published: Mapping[str, Address]
    service_image: str = name_of("service")
    networks: Networks = field(default_factory=lambda: Networks(""))

    def container(self, part: str) -> str:
        return f"{self.network}-{part}"

    def members(self, system: System) -> dict[str, str]:
        """Address to part, in every network, of all but the server of the proxies."""
        found = {one.host: name for name, one in self.addresses.items() if name != TOXIPROXY}
        joined = {host: name for name in system.services for _, host in self.networks.of(system, name)}
        return found | joined

    def volume(self, part: str) -> str:
        return f"{self.network}-{part}-files"

    def labels(self, part: str = "") -> dict[str, str]:
        named = {PART: part} if part else {}
        return {INSTANCE: self.instance, OWNER: self.owner, FIRST_RUN: self.run_id, **named}


def front_doors(system: System) -> tuple[str, ...]:
    """The services that journeys enter at: only they are published. In the order of the system's file, so
    that one more service at its end moves no port of the others."""
    entries = {journey.entry for journey in system.journeys.values()}
    return tuple(name for name in system.services if name in entries)  # a part of a system may lack some


def place(
    system: System,
    networks: Networks,
    *,
    instance: str,
    owner: str,
    run_id: str,
    network: str,
    ports: list[int],
    service_image: str,
    keys: Keys,
) -> Layout:
    """Addresses in the main network (the first host is the bridge) or in a service's own, and a port of
    127.0.0.1 for each front door; each has the token that is asked for there."""
    hosts = ipaddress.ip_network(networks.main).hosts()
    next(hosts)
    addresses = {TOXIPROXY: Address(str(next(hosts)), TOXIPROXY_PORT, keys.token)}
    for name, spec in system.services.items():
        port = spec.port if spec.foreign else PORTS[spec.role]
        home = networks.homes.get(name)
        host = home.service if home is not None else str(next(hosts))
        addresses[name] = Address(host, port, keys.of(system, name))
    doors = {
        name: Address("127.0.0.1", port, addresses[name].token)
        for name, port in zip(front_doors(system), ports, strict=True)
    }
    return Layout(instance, owner, run_id, network, addresses, doors, service_image, networks)


def toxiproxy_spec(layout: Layout, seed: int) -> ContainerSpec:
    """The server of all links. The embedded one asks for the token; the original knows none."""
    address = layout.addresses[TOXIPROXY]
    token = {TOKEN_VARIABLE: address.token} if address.token else {}
    return ContainerSpec(
        name=layout.container(TOXIPROXY),
        hostname=TOXIPROXY,
        image=name_of("toxiproxy"),
        network=layout.network,
        labels=layout.labels(TOXIPROXY),
        address=address.host,
        command=("-host", "0.0.0.0", "-port", str(address.port), "-seed", str(seed), "-proxy-metrics"),
        user=f"{SERVICE_USER}:{SERVICE_USER}",
        environment={"LOG_LEVEL": "error", **token},
        tmpfs=SCRATCH,
    )


def toolbox_spec(layout: Layout, system: System) -> ContainerSpec:
    """It lives in Toxiproxy's network, so that it can act on the packets of every link, and holds the stores'
    volumes, which keeps their files while a store is down."""
    kept = [name for name, spec in system.services.items() if spec.role in ("store", "bus")]
    return ContainerSpec(
        name=layout.container(TOOLBOX),
        hostname=TOOLBOX,
        image=name_of("toolbox"),
        network=f"container:{layout.container(TOXIPROXY)}",
        labels=layout.labels(TOOLBOX),
        user="0:0",
        binds=tuple(f"{layout.volume(name)}:{VOLUMES}/{name}" for name in kept),
        tmpfs={"/tmp": "rw,size=1m", "/run": "rw,size=1m"},
        capabilities=("NET_ADMIN", "DAC_OVERRIDE"),
    )


def store_spec(layout: Layout, name: str, service: Service, folder: Path, password: str) -> ContainerSpec:
    """PostgreSQL or NATS. Their files are on a volume; how they are set up is in `folder/stores`."""
    common = {
        "name": layout.container(name),
        "hostname": name,
        "network": layout.network,
        "labels": layout.labels(name),
        "address": layout.addresses[name].host,
        "memory_bytes": STORE_MEMORY,
    }
    settings = f"{folder / 'stores'}:{INSIDE}/stores:ro"
    if service.role == "bus":
        return ContainerSpec(
            **common,  # type: ignore[arg-type]
            image=name_of("bus"),
            command=("--config", f"{INSIDE}/stores/nats.conf"),
            user=f"{SERVICE_USER}:{SERVICE_USER}",
            binds=(f"{layout.volume(name)}:/data", settings),
            tmpfs=SCRATCH,
        )
    arguments = [part for key, value in POSTGRES_SETTINGS.items() for part in ("-c", f"{key}={value}")]
    return ContainerSpec(
        **common,  # type: ignore[arg-type]
        image=name_of("postgres"),
        command=("postgres", *arguments),
        user=f"{POSTGRES_USER}:{POSTGRES_USER}",
        environment={
            "POSTGRES_USER": "codeblue",
            "POSTGRES_PASSWORD": password,
            "PGDATA": "/var/lib/postgresql/data",
        },
        binds=(
            f"{layout.volume(name)}:/var/lib/postgresql",
            settings,
            f"{folder / 'stores' / 'databases.sql'}:/docker-entrypoint-initdb.d/databases.sql:ro",
        ),
        tmpfs={**SCRATCH, "/var/run/postgresql": f"rw,size=1m,uid={POSTGRES_USER},mode=755"},
    )


def service_spec(layout: Layout, name: str, service: Service, folder: Path) -> ContainerSpec:
    """One service: configured by `configs/NAME.json`, its wall clock moved by what is in `clocks/NAME`."""
    address = layout.addresses[name]
    door = layout.published.get(name)
    return ContainerSpec(
        name=layout.container(name),
        hostname=name,
        image=layout.service_image,
        network=layout.network,
        labels=layout.labels(name),
        address=address.host,
        command=(service.module, "--config", f"{INSIDE}/configs/{name}.json"),
        user=f"{SERVICE_USER}:{SERVICE_USER}",
        environment={
            "LD_PRELOAD": "/usr/lib/libfaketime.so",
            "FAKETIME_TIMESTAMP_FILE": f"{INSIDE}/clocks/{name}",
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        },
        binds=(
            f"{folder / 'configs'}:{INSIDE}/configs:ro",
            f"{folder / 'clocks'}:{INSIDE}/clocks:ro",
            f"{folder / 'traces'}:{INSIDE}/traces",
        ),
        tmpfs=SCRATCH,
        published={address.port: door.port} if door else {},
        memory_bytes=SERVICE_MEMORY,
    )


def foreign_spec(
    layout: Layout, system: System, name: str, image: str, said: ComposeService, start: Start
) -> ContainerSpec:
    """A service that knows nothing of the harness: its own image, with the command and variables of a start.
    Its user and file system are what the image or the compose file says; what is of the machine is not
    written."""
    address = layout.addresses[name]
    door = layout.published.get(name)
    home = layout.networks.homes.get(name)
    return replace(
        said_spec(layout, name, name, image, said),
        network=home.name if home is not None else layout.network,
        address=address.host,
        command=start.argv,
        environment=start.environment,
        published={address.port: door.port} if door else {},
        joins=layout.networks.of(system, name),
    )


def said_spec(layout: Layout, part: str, name: str, image: str, said: ComposeService) -> ContainerSpec:
    """What a compose file says of the container of `part`, in the instance's network; mounts are those of
    `name`."""
    return ContainerSpec(
        name=layout.container(part),
        hostname=name,
        image=image,
        network=layout.network,
        labels=layout.labels(part),
        command=said.command,
        environment=said.environment,
        memory_bytes=SERVICE_MEMORY,
        confined=False,
        entrypoint=said.entrypoint,
        working_dir=said.working_dir,
        user=said.user,
        capabilities=said.capabilities,
        binds=tuple(foreign_bind(layout, name, mount) for mount in said.mounts if mount.kind != "tmpfs"),
        tmpfs={mount.target: "rw,mode=1777" for mount in said.mounts if mount.kind == "tmpfs"},
    )


def foreign_bind(layout: Layout, service: str, mount: Mount) -> str:
    """A mount as the engine takes it; what is of the machine is read only."""
    if mount.kind == "bind":
        return f"{mount.source}:{mount.target}:ro"
    return f"{volume_of(layout, service, mount)}:{mount.target}{':ro' if mount.read_only else ''}"


def volume_of(layout: Layout, service: str, mount: Mount) -> str:
    """The volume of a mount: services that name the same one share it."""
    if mount.source:
        return layout.volume(f"of-{mount.source}")
    return layout.volume(f"{service}-{mount.target.strip('/').replace('/', '-')}")
