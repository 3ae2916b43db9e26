"""The links of a running system as they are wired: its parts as they are now, the rules of each caller, and
what was touched for it.

A part that was started again is another process, a container another network, perhaps at another address. It
is wired anew: rules and proxies first, then the connections that it made before are cut.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

from experiment.errors import StartError
from experiment.topology import Link, System
from runtimes.attach.consent import Target, place_of
from runtimes.attach.nodes import ProxyOf
from runtimes.attach.parts import Part, find_part
from runtimes.attach.rules import Group, Network, Redirect, by_network, cut, missing_rules, move_in, redirect
from runtimes.attach.undo import Touched
from runtimes.leaks import Dwelling
from runtimes.leftovers import Journal
from runtimes.runtime import Address


class Wiring:
    """Wired by `wire`, once the doors of all links are known; `parts` and `places` are those of now."""

    def __init__(self, system: System, target: Target, journal: Journal) -> None:
        self._target = target
        self._journal = journal
        self._links = [link for link in system.links if link.name not in target.attach.links]
        self._doors: Mapping[str, Address] = {}
        self._lock = threading.RLock()
        self.parts: dict[str, Part] = dict(target.parts)
        self.places: dict[str, Group | Network] = dict(target.callers)
        self.touched: list[Touched] = []
        self.redirects: list[Redirect] = []
        self.cuts = 0

        self.lodgers: dict[str, str] = {}
        """Address to name of every part in a container."""
        for part in self.parts.values():
            self._lodge(part)

    def _lodge(self, part: Part) -> None:
        for address in [address for address, name in self.lodgers.items() if name == part.name]:
            del self.lodgers[address]
        if part.lodging is not None:
            self.lodgers |= {str(place.ip): part.name for place in part.lodging.addresses.values()}

    def dwellings(self, names: Collection[str]) -> dict[str, Dwelling]:
        """Where the sockets of these parts are looked at; not those on another machine."""
        found = ((name, self.parts[name]) for name in names)
        return {n: Dwelling(part.process.pid, part.address) for n, part in found if part.process is not None}

    @contextmanager
    def still(self) -> Iterator[None]:
        """Nothing is wired anew meanwhile."""
        with self._lock:
            yield

    def touch(self, one: Touched) -> None:
        """Written down before it is done; once for all that is the same."""
        if one not in self.touched:
            self._journal.write("touched", what=one.what, where=one.where, back=one.back)
            self.touched.append(one)

    def wire(self, doors: Mapping[str, Address]) -> None:
        """Lead every link to its door. Raises StartError."""
        self._doors = doors
        self._wire(self._links)

    def missing(self) -> list[str]:
        """Read back: the links whose rule is not there. A network that is gone has nobody in it."""
        there = [one for one in self.redirects if one.network is None or one.network.exists()]
        return missing_rules(self._target.table, there) if there else []

    def again(self, name: str, proxy: ProxyOf, start: Callable[[], None]) -> None:
        """Start a part and wire it anew. Raises StartError, UnsupportedError."""
        with self._lock:
            start()
            part = self.parts[name] = find_part(self._target.attach, name)
            self._lodge(part)
            if name in self.places:
                self.places[name] = place_of(self._target.name, part)
            for link in self._links:
                if link.callee == name and (known := part.addresses_for(self.parts[link.caller])):
                    server, named = proxy(link.name)
                    if server.proxy(named).upstream != str(known[0]):
                        server.set_upstream(named, str(known[0]))
            self._wire([link for link in self._links if link.caller == name])

    def _wire(self, fresh: list[Link]) -> None:
        """Rules anew, in one step for each network where they are others now; the old connections of these
        links are cut."""
        before = by_network(self.redirects)
        self.redirects = [
            Redirect(link.name, self.places[link.caller], callee, self._doors[link.name])
            for link in self._links
            for callee in self.parts[link.callee].addresses_for(self.parts[link.caller])
        ]
        for caller in dict.fromkeys(link.caller for link in fresh):
            place = self.places[caller]
            if isinstance(place, Network):
                self.touch(Touched("rules", self._target.table, place.number))
            else:
                if place.made:
                    self.touch(Touched("group", str(place.path), str(place.home)))
                    move_in(place, self.parts[caller].pids)
                self.touch(Touched("rules", self._target.table))
        for network, several in by_network(self.redirects).items():
            if several != before.get(network) and (network is None or network.exists()):
                redirect(self._target.table, several)
        names = {link.name: link.caller for link in fresh}
        mine = [(one, self.parts[names[one.link]].pids) for one in self.redirects if one.link in names]
        self.cuts += sum(cut(mine).values())
        if gone := self.missing():
            raise StartError(f"attach: the packet rules of {', '.join(gone)} are not there")
