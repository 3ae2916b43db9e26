"""Networks in which a service finds proxies under the names of its callees. Pure values."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest

from experiment.topology import Link, System
from runtimes.containers.networks import Networks, networks_of
from tests.standin.strangers import by_name, strangers


def many(count: int) -> System:
    """One caller with so many callees."""
    system = by_name()
    back = system.services["back"]
    services = {"front": system.services["front"], **{f"back{n}": back for n in range(count)}}
    links = tuple(Link("front", f"back{n}", wired="name") for n in range(count))
    return replace(system, services=services, links=links)


def test_a_system_without_names_has_the_one_network_that_the_engine_found() -> None:
    """As it was before there were names."""
    assert networks_of(strangers(), "172.18.0.0/16", "run") == Networks("172.18.0.0/16")


def test_caller_and_callee_are_in_no_network_together() -> None:
    """Each has one of its own; in that of the link the proxies' server bears the callee's name."""
    system = by_name()
    found = networks_of(system, "172.18.0.0/16", "run")
    (link,) = system.links
    door = found.doors[link.name]
    assert (door.names, found.homes["front"].names) == (("back",), ())
    members = {name: {home.name} for name, home in found.homes.items()}
    members["front"] |= {network for network, _ in found.of(system, "front")}
    assert not members["front"] & members["back"]
    assert str(found.named(system)[link.name]) == f"{door.server}:8080"
    assert found.reached(link, "172.18.0.2") == door.server
    assert found.reached(replace(link, callee="other"), "172.18.0.2") == found.homes["front"].server


@pytest.mark.parametrize("subnet", ["172.18.0.0/16", "192.168.16.0/20"])
def test_no_two_networks_overlap(subnet: str) -> None:
    """Nor do they leave what the engine found free; every member has an address of its own."""
    found = networks_of(many(60), subnet, "run")
    parts = [found.main, *(pair.subnet for pair in found.pairs)]
    nets = [ipaddress.ip_network(one) for one in parts]
    assert len(found.pairs) == 61 + 60
    assert not any(a.overlaps(b) for n, a in enumerate(nets) for b in nets[:n])
    assert all(one.subnet_of(ipaddress.ip_network(subnet)) for one in nets)  # type: ignore[arg-type]  # IPv4 both
    assert len({pair.name for pair in found.pairs}) == len(found.pairs)
    hosts = [host for pair in found.pairs for host in (pair.server, pair.service)]
    assert len(set(hosts)) == len(hosts)
