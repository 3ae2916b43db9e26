"""Networks of services that call each other by name: in each, a service finds the proxy of one of its links
under the name of the callee, and never the callee itself.

Every service that knows nothing of the harness has a network with Toxiproxy for itself, where it is called;
and one more for each of its links that is wired by name. Pure values.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count

from experiment.links import Link
from experiment.topology import System
from runtimes.runtime import Address

MAIN_SHARE = 4  # the network of all others gets one part in 2^4 of the addresses that the engine found free
SMALL = 29  # the length of the prefix of a network with two members


@dataclass(frozen=True, slots=True)
class Pair:
    """A network of two: a service, and the server of all proxies, which is found there under `names`."""

    name: str
    subnet: str
    server: str
    service: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Networks:
    """`main` is the subnet of all that is not called by name; `homes` are by service, `doors` by link."""

    main: str
    homes: Mapping[str, Pair] = field(default_factory=dict)
    doors: Mapping[str, Pair] = field(default_factory=dict)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        return (*self.homes.values(), *self.doors.values())

    def of(self, system: System, service: str) -> tuple[tuple[str, str], ...]:
        """The networks beside its home that a service joins, with its address in each."""
        links = (link.name for link in system.links if link.caller == service)
        return tuple(
            (self.doors[name].name, self.doors[name].service) for name in links if name in self.doors
        )

    def reached(self, link: Link, host: str) -> str:
        """Where the caller of a link finds the server of all proxies; `host` is its address in the main
        network."""
        pair = self.doors.get(link.name) or self.homes.get(link.caller)
        return pair.server if pair is not None else host

    def named(self, system: System) -> dict[str, Address]:
        """Where the proxies of links listen that are wired by name."""
        return {
            link.name: Address(self.doors[link.name].server, system.called_at(link))
            for link in system.links
            if link.name in self.doors
        }


def networks_of(system: System, found: str, base: str) -> Networks:
    """Networks out of a subnet that is free; `base` is the name of the main one, with which all begin. A
    system without links by name has the main one alone."""
    named = [link for link in system.links if link.wired == "name"]
    if not named:
        return Networks(found)
    whole = ipaddress.ip_network(found)
    main, *others = whole.subnets(prefixlen_diff=MAIN_SHARE)
    small = (subnet for part in others for subnet in part.subnets(new_prefix=SMALL))
    number = count(1)

    def pair(names: tuple[str, ...] = ()) -> Pair:
        subnet = next(small)
        _, server, service, *_ = (str(host) for host in subnet.hosts())  # the first is the bridge
        return Pair(f"{base}-{next(number)}", str(subnet), server, service, names)

    homes = {name: pair() for name, service in system.services.items() if service.foreign}
    return Networks(str(main), homes, {link.name: pair(system.names_called(link)) for link in named})
