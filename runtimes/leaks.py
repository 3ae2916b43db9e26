"""Connections of callers that go past the proxies: what a fault on a link cannot reach.

They are looked for at the callee. A caller's own side may show another address than the one that it reached,
the callee's side names the true peer.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runtimes.leftovers import descendants
from runtimes.links.sockets import SocketTable
from runtimes.owners import identify
from runtimes.runtime import Address

ASK_EVERY = 5  # looks, one of which asks the engine where its containers are
MOST_COMMAND = 120  # characters of a command in a message


@dataclass(frozen=True, slots=True)
class Leak:
    """A connection to a callee whose peer is no proxy. `caller` is empty for a process that is no service."""

    callee: str
    caller: str
    peer: str

    def __str__(self) -> str:
        who = self.caller or "a process that is no part of the system"
        return (
            f"{who} is connected to {self.callee} past the proxy: {self.peer}; "
            "what is not behind a proxy cannot be disturbed"
        )


class ProcessLeaks:
    """Looks among the processes of this machine.

    Connections of a proxy, of the callee itself and of the harness with what it started (load, readings) are
    no leaks. A connection that ends before it was asked about is not seen.
    """

    def __init__(
        self,
        callees: Mapping[str, Address],
        services: Callable[[], Mapping[str, Sequence[int]]],
        proxies: Callable[[], Collection[int]],
    ) -> None:
        """`callees` is where each listens, `services` gives the processes of each part of the system,
        `proxies` those of the servers of all proxies; none where they are not of this machine."""
        self._callees = {(address.host, address.port): name for name, address in callees.items()}
        self._services = services
        self._proxies = proxies
        self._table: SocketTable | None = None
        self._harmless: set[int] = set()  # sockets whose holder is known to be no leak

    def find(self) -> list[Leak]:
        """Those that are open now. Nothing where the kernel cannot be asked."""
        proxies = self._proxies()
        if not proxies:
            return []
        try:
            if self._table is None:
                self._table = SocketTable()
            sockets = self._table.established()
        except OSError:
            self.close()
            return []
        # By both ends: one local port serves connections to several places at once.
        ends = {(one.host, one.port, one.peer, one.peer_port): one for one in sockets}
        peers: dict[int, str] = {}  # socket of the peer to the callee
        for one in sockets:
            callee = self._callees.get((one.host, one.port))
            peer = ends.get((one.peer, one.peer_port, one.host, one.port))
            if callee is not None and peer is not None and peer.inode:
                peers[peer.inode] = callee
        self._harmless &= peers.keys()
        unknown = peers.keys() - self._harmless
        return self._judged({inode: peers[inode] for inode in unknown}, proxies) if unknown else []

    def _judged(self, peers: Mapping[int, str], proxies: Collection[int]) -> list[Leak]:
        services = self._services()
        owners = {pid: name for name, pids in services.items() for pid in pids}
        ours = {os.getpid(), *(one.pid for one in descendants(os.getpid()))}
        holders = _holders(peers, (*proxies, *owners, *ours)) or {}
        if missing := peers.keys() - holders.keys():
            holders |= _holders(dict.fromkeys(missing, ""), _all_processes())
        found: list[Leak] = []
        for inode, pid in holders.items():
            caller, callee = owners.get(pid, ""), peers[inode]
            if pid in proxies or caller == callee or (not caller and pid in ours):
                self._harmless.add(inode)
            else:
                found.append(Leak(callee, caller, f"process {pid} ({command_of(pid)})"))
        return found

    def close(self) -> None:
        if self._table is not None:
            self._table.close()
        self._table = None


@dataclass(frozen=True, slots=True)
class Dwelling:
    """One part in a network of its own: the process whose network it is, and where it listens."""

    pid: int
    address: Address


class ContainerLeaks:
    """Looks in the network of each callee. A peer at the address of another part is a leak."""

    def __init__(self, callees: Callable[[], Mapping[str, Dwelling]], parts: Mapping[str, str]) -> None:
        """`callees` gives those that run now, `parts` is address to name of every part but the proxies."""
        self._callees = callees
        self._parts = parts
        self._tables: dict[str, tuple[int, SocketTable]] = {}
        self._dwellings: Mapping[str, Dwelling] = {}
        self._times = 0

    def find(self) -> list[Leak]:
        """Those that are open now. Nothing where the kernel may not be asked."""
        found: list[Leak] = []
        if self._times % ASK_EVERY == 0:
            self._dwellings = self._callees()
        self._times += 1
        for name, one in self._dwellings.items():
            try:
                sockets = self._of(name, one.pid).established()
            except OSError:
                self._drop(name)
                continue
            for socket in sockets:
                caller = self._parts.get(socket.peer, "")
                if socket.port == one.address.port and caller not in ("", name):
                    found.append(Leak(name, caller, f"its container at {socket.peer}"))
        return found

    def _of(self, name: str, pid: int) -> SocketTable:
        known = self._tables.get(name)
        if known is None or known[0] != pid:
            self._drop(name)
            known = self._tables[name] = (pid, SocketTable(Path(f"/proc/{pid}/ns/net")))
        return known[1]

    def _drop(self, name: str) -> None:
        if (known := self._tables.pop(name, None)) is not None:
            known[1].close()

    def close(self) -> None:
        for name in tuple(self._tables):
            self._drop(name)


def command_of(pid: int) -> str:
    """The command of a process, for people; what it was cannot be said when it is gone."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return "it is gone"
    text = b" ".join(word for word in words if word).decode("utf-8", "replace")
    return text if len(text) <= MOST_COMMAND else f"{text[:MOST_COMMAND]}..."


def _holders(wanted: Mapping[int, str], pids: Iterable[int]) -> dict[int, int]:
    """Socket to a process that holds it; those of other users are not seen."""
    left, found = set(wanted), dict[int, int]()
    for pid in dict.fromkeys(pids):
        if not left:
            break
        for inode in left & sockets_of(pid):
            found[inode] = pid
        left -= found.keys()
    return found


def sockets_of(pid: int) -> set[int]:
    """The sockets that a process holds, by their numbers; none of one that is gone, or of another user."""
    found: set[int] = set()
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return found
    for name in names:
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue
        if target.startswith("socket:["):
            found.add(int(target[8:-1]))
    return found


def _all_processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal() and identify(int(name)) is not None]
