"""The services of a compose file and who calls whom there, as far as its texts say it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from discovery.addresses import KNOWN_PORTS, Address, addresses, named_hosts, options_of
from experiment.compose_file import ComposeService

# The part of an image's name that says where it listens; the first that fits. `True`: it speaks HTTP.
IMAGES: tuple[tuple[str, int, bool], ...] = (
    *(("postgres", 5432, False), ("postgis", 5432, False), ("timescale", 5432, False)),
    *(("mysql", 3306, False), ("mariadb", 3306, False), ("mongo", 27017, False)),
    *(("redis", 6379, False), ("valkey", 6379, False), ("memcached", 11211, False)),
    *(("rabbitmq", 5672, False), ("nats", 4222, False), ("kafka", 9092, False)),
    *(("redpanda", 9092, False), ("zookeeper", 2181, False), ("mosquitto", 1883, False)),
    *(("elasticsearch", 9200, True), ("opensearch", 9200, True), ("minio", 9000, True)),
    *(("nginx", 80, True), ("httpd", 80, True), ("traefik", 80, True), ("caddy", 80, True)),
)
USUAL_PORT = 8080  # where a service listens of which nothing is known
_CHECKED = re.compile(
    r"https?://(?:localhost|127\.0\.0\.1|\[::1\]|0\.0\.0\.0)(?::(?P<port>\d+))?(?P<path>/[^\s'\"|;)]*)?"
)


@dataclass(frozen=True, slots=True)
class Mention:
    """Where a caller's configuration names a callee. `where` is such as `the variable ORDERS_URL`, `shown`
    the address without what may be secret; a dependency alone has none."""

    where: str
    shown: str = ""


@dataclass(frozen=True, slots=True)
class FoundLink:
    """Who calls whom. `sure` is off where only `depends_on` says so: it may mean the order of starts alone.
    `http` says whether plain HTTP is spoken: None where nothing tells."""

    caller: str
    callee: str
    port: int | None
    http: bool | None
    mentions: tuple[Mention, ...]
    sure: bool = True
    other_ports: tuple[int, ...] = ()
    """Ports of the same callee beside the one that is wired."""


@dataclass(frozen=True, slots=True)
class FoundService:
    """One service as it is to be written down. `known_port` says that something tells its port; `health` is a
    path of its health check."""

    name: str
    port: int
    known_port: bool
    http: bool | None
    health: str
    door: bool
    """Whether it has a port and nobody of the file calls it: users do."""


@dataclass(frozen=True, slots=True)
class Found:
    """Services and links of one compose file; `left_out` are those of profiles that were not asked for."""

    services: tuple[FoundService, ...]
    links: tuple[FoundLink, ...]
    left_out: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    """What others wait for until it has ended: a run starts it by itself."""

    def callees(self, caller: str) -> tuple[FoundLink, ...]:
        return tuple(link for link in self.links if link.caller == caller)

    def reached(self, entry: str) -> tuple[FoundLink, ...]:
        """The links that a request to `entry` may travel, nearest first."""
        found: list[FoundLink] = []
        waiting, seen = [entry], {entry}
        for caller in waiting:
            for link in self.callees(caller):
                found.append(link)
                if link.callee not in seen:
                    seen.add(link.callee)
                    waiting.append(link.callee)
        return tuple(found)


def found_in(services: Mapping[str, ComposeService], profiles: Collection[str] = ()) -> Found:
    """What the services of a compose file say of each other."""
    ending = tuple(dict.fromkeys(job for one in services.values() for job in one.jobs))
    taken = {
        name: one
        for name, one in services.items()
        if name not in ending and (not one.profiles or any(profile in profiles for profile in one.profiles))
    }
    links = [link for name in taken for link in _links_of(name, taken)]
    found = tuple(_service(name, one, links) for name, one in taken.items())
    known = {one.name: one for one in found}
    completed = tuple(
        replace(
            link,
            port=link.port if link.port is not None else known[link.callee].port,
            http=link.http if link.http is not None else known[link.callee].http,
        )
        for link in links
    )
    return Found(found, completed, tuple(name for name in services if name not in (*taken, *ending)), ending)


def names_for(caller: str, services: Mapping[str, ComposeService]) -> dict[str, str]:
    """Every name by which a caller may mean another service, in small letters."""
    names = {alias.lower(): name for name, one in services.items() for alias in one.aliases}
    names |= {alias.lower(): name for alias, name in services[caller].links.items() if name in services}
    names |= {name.lower(): name for name in services}
    return {host: name for host, name in names.items() if name != caller}


def texts_of(service: ComposeService) -> dict[str, str]:
    """The texts of a service that may name others, each with where it stands."""
    words = (*(service.entrypoint or ()), *service.command)
    found = {f"the variable {name}": value for name, value in service.environment.items()}
    return found | {f"the argument {number} of its command": word for number, word in enumerate(words, 1)}


def mentioned(service: ComposeService, names: Collection[str]) -> Iterator[tuple[str, Address]]:
    """(where, address) of every host among `names` that a service's configuration names."""
    for where, text in texts_of(service).items():
        yield from ((where, found) for found in addresses(text) if found.host in names)
    for name, found in named_hosts(service.environment):
        if found.host in names:
            yield f"the variable {name}", found
    for name, found in named_hosts(options_of((*(service.entrypoint or ()), *service.command))):
        if found.host in names:
            yield f"the option {name.lower().replace('_', '-')} of its command", found


def _links_of(caller: str, services: Mapping[str, ComposeService]) -> Iterator[FoundLink]:
    service, names = services[caller], names_for(caller, services)
    found: dict[str, list[tuple[str, Address]]] = {}
    for where, address in mentioned(service, names):
        found.setdefault(names[address.host], []).append((where, address))
    for callee, named in found.items():
        ports = list(dict.fromkeys(one.port for _, one in named if one.port is not None))
        http = next((one.speaks_http for _, one in named if one.speaks_http is not None), None)
        mentions = tuple(dict.fromkeys(Mention(where, one.shown) for where, one in named))
        yield FoundLink(caller, callee, ports[0] if ports else None, http, mentions, True, tuple(ports[1:]))
    for callee in service.depends_on:
        if callee in services and callee not in found:
            yield FoundLink(caller, callee, None, None, (Mention("depends_on"),), sure=False)


def _service(name: str, one: ComposeService, links: Collection[FoundLink]) -> FoundService:
    """Where it listens: what its callers say goes before what it publishes, and that before its image."""
    image = one.image.rpartition("/")[2]
    usual = next(((port, http) for part, port, http in IMAGES if part in image), None)
    check = _CHECKED.search(" ".join(one.test))
    called = [link.port for link in links if link.callee == name and link.port is not None]
    checked = int(check["port"] or 80) if check else None
    ports = [*called, *one.ports, *((checked,) if checked else ()), *((usual[0],) if usual else ())]
    port = ports[0] if ports else USUAL_PORT
    http = next((link.http for link in links if link.callee == name and link.http is not None), None)
    if http is None and check is not None and checked == port:
        http = True
    if http is None and usual is not None and usual[0] == port:
        http = usual[1]
    if http is None and port in KNOWN_PORTS:
        http = False
    health = (check["path"] or "/") if check is not None and checked == port else ""
    door = bool(one.ports) and not any(link.callee == name for link in links)
    return FoundService(name, port, bool(ports), http, health, door)
