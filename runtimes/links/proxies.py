"""One proxy for each link of a system."""

from __future__ import annotations

from collections.abc import Mapping

from experiment.topology import System
from runtimes.links.adapter import Toxiproxy
from runtimes.links.controls import proxy_name
from runtimes.runtime import Address


def open_proxies(
    proxies: Toxiproxy,
    system: System,
    nodes: Mapping[str, Address],
    listen: str,
    named: Mapping[str, Address] | None = None,
) -> dict[str, Address]:
    """Link name to the address its caller is to use. `nodes` is where each callee listens, as the proxies
    see it; `listen` is the host the proxies listen on, each on a port of its own; `named` is where those of
    links listen that are wired by name. Raises ToxiproxyError."""
    found: dict[str, Address] = {}
    for link in system.links:
        door = (named or {}).get(link.name) or Address(listen, 0)
        state = proxies.create_proxy(proxy_name(link), listen=str(door), upstream=str(nodes[link.callee]))
        found[link.name] = Address(door.host, state.port)
    return found
