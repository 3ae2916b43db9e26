"""For each link of a system: which text leads its caller to the callee, and where that will lead in a run.

Nothing is started. What a run would find later, traffic past the proxies, is looked for in the texts first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from discovery.addresses import Address
from discovery.composed import Mention, mentioned, names_for
from experiment.attaching import Attach
from experiment.compose_file import ComposeService
from experiment.services import PLACEHOLDER
from experiment.topology import Link, System

_LOGIN = re.compile(r"://[^/@\s{}]+@")


@dataclass(frozen=True, slots=True)
class WiredLink:
    """One link. `found` are the texts that name the callee; `leads_to` says where they lead in a run; a
    problem is one that would let traffic go past the proxy."""

    link: str
    protocol: str
    wired: str
    found: tuple[Mention, ...]
    leads_to: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Wiring:
    """All links, and what names a service of the system though no link says so."""

    links: tuple[WiredLink, ...]
    undeclared: tuple[str, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        return (*(one.problem for one in self.links if one.problem), *self.undeclared)


def wiring_of(system: System) -> Wiring:
    """How every link of a system is wired. Raises ConfigError for a compose file that cannot be read."""
    services = {name: _configured(system, name) for name in system.services}
    links = tuple(_wired(system, link, services) for link in system.links)
    return Wiring(links, tuple(_undeclared(system, services)))


def _configured(system: System, name: str) -> ComposeService:
    """What a service is configured by: its compose file, and before that the system's file."""
    service = system.services[name]
    composed = system.composed(name) or ComposeService(image=service.image)
    names = [one for one in (service.compose, *composed.aliases) if one and one != name]
    return replace(
        composed,
        command=service.command or composed.command,
        environment={**composed.environment, **service.environment},
        aliases=tuple(dict.fromkeys(names)),
        links={
            alias: other
            for alias, meant in composed.links.items()
            for other, one in system.services.items()
            if one.compose == meant
        },
    )


def _wired(system: System, link: Link, services: Mapping[str, ComposeService]) -> WiredLink:
    caller = system.services[link.caller]
    if caller.module:
        found: tuple[Mention, ...] = (Mention("the configuration file that the harness writes"),)
        return WiredLink(link.name, link.protocol, link.wired, found, _door(link))
    if system.attach is not None and not caller.starts:
        return _attached(system.attach, link)
    if link.wired == "placeholder":
        found = tuple(_placeholders(system, link))
        problem = (
            "" if found else f"{link.name}: no variable or argument of {link.caller} holds {{{link.callee}}}"
        )
        return WiredLink(link.name, link.protocol, link.wired, found, _door(link), problem)
    return _by_name(system, link, services)


def _door(link: Link) -> str:
    return f"the proxy of {link.name}, at an address that the start chooses"


def _attached(attach: Attach, link: Link) -> WiredLink:
    """A link of a system that runs already: of a proxy of the user's, or of packet rules."""
    if link.name in attach.links:
        proxy = attach.links[link.name].proxy
        found = Mention(f"attach.links, the proxy {proxy} at {attach.toxiproxy}")
        leads_to = f"the proxy {proxy} already, which gets the faults"
        return WiredLink(link.name, link.protocol, "your Toxiproxy", (found,), leads_to)
    ends = (Mention(f"attach.services.{name}", _place(attach, name)) for name in (link.caller, link.callee))
    leads_to = f"the proxy of {link.name}, by packet rules that meet {link.caller} alone"
    return WiredLink(link.name, link.protocol, "packet rules", tuple(ends), leads_to)


def _place(attach: Attach, name: str) -> str:
    """Where a part runs, as the system's file says it."""
    one = attach.services[name]
    if one.at:
        return one.at
    return f"port {one.port} of " + (one.container or f"its container in the project {attach.project}")


def _placeholders(system: System, link: Link) -> Iterator[Mention]:
    """The texts of system.yaml that hold the address of the link's proxy."""
    wanted = {link.callee, f"{link.callee}.host"}
    for path, text in system.services[link.caller].templates():
        if wanted & set(PLACEHOLDER.findall(text.replace("{{", "").replace("}}", ""))):
            key, which = path[0], path[1]
            where = f"the variable {which}" if key == "environment" else f"{key}, word {int(which) + 1}"
            yield Mention(f"{Path(system.source).name}, {where}", _LOGIN.sub("://***@", text))


def _by_name(system: System, link: Link, services: Mapping[str, ComposeService]) -> WiredLink:
    port, name = system.called_at(link), system.called_by(link)
    found = [one for one in _mentions(link.caller, services) if one[0] == link.callee]
    ports = {address.port for _, _, address in found if address.port is not None} - {port}
    problem = ""
    if ports:
        others = ", ".join(str(one) for one in sorted(ports))
        problem = f"{link.name}: {link.caller} names port {others}, and the link is wired at port {port}"
    leads_to = f"the proxy of {link.name}, which is {name}:{port} for {link.caller} alone"
    mentions = tuple(
        dict.fromkeys(
            Mention(f"{_file(system, link.caller, where)}, {where}", address.shown)
            for _, where, address in found
        )
    )
    return WiredLink(link.name, link.protocol, link.wired, mentions, leads_to, problem)


def _mentions(caller: str, services: Mapping[str, ComposeService]) -> Iterator[tuple[str, str, Address]]:
    """(callee, where, address) of every service that a caller's texts name."""
    names = names_for(caller, services)
    for where, address in mentioned(services[caller], names):
        yield names[address.host], where, address


def _file(system: System, name: str, where: str) -> str:
    """The file that says so: what system.yaml says of a service goes before what its compose file says."""
    service = system.services[name]
    own = (
        service.command
        if " of its command" in where
        else where.removeprefix("the variable ") in service.environment
    )
    return Path(system.source).name if own or not service.compose else system.compose_file.name


def _undeclared(system: System, services: Mapping[str, ComposeService]) -> Iterator[str]:
    """What names a service itself, past every proxy."""
    by_name = {link.name for link in system.links if link.wired == "name"}
    declared = set(system.link_names)
    for caller in services:
        for callee, where, address in _mentions(caller, services):
            name = f"{caller} -> {callee}"
            if name in by_name:
                continue
            why = "is wired by placeholders" if name in declared else "is not a link of the system"
            file = _file(system, caller, where)
            yield f"{name}: {file}, {where} of {caller} names {address.shown}, and {name} {why}"
