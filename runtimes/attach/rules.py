"""Packet rules that lead a caller's new connections to a proxy, and how everything of them is undone.

A rule matches the control group of the caller (cgroup v2), so that neither another caller nor the harness nor
the proxies are redirected. A caller that shares its group with others gets one of its own below it for the
length of the run. The rules of a caller with a network of its own, as in a container, stand in that network
and meet nobody else. All rules of a target in one network are one nftables table: it is there as a whole, or
not at all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiment.errors import StartError, UnsupportedError
from runtimes.attach.kernel import members, move, nft, program
from runtimes.leaks import sockets_of
from runtimes.links.sockets import Held, SocketTable
from runtimes.runtime import Address

GROUPS = Path("/sys/fs/cgroup")  # nft finds a group's path from here on
BEFORE_OTHERS = -110  # whatever rules an engine has for its published ports and its names


@dataclass(frozen=True, slots=True)
class Group:
    """The control group by which a caller is matched. `home` is where its processes were."""

    path: Path
    home: Path

    @property
    def made(self) -> bool:
        """Whether it is made for the run."""
        return self.path != self.home


@dataclass(frozen=True, slots=True)
class Network:
    """The network of a caller that has one of its own: that of a process, by the kernel's name for it."""

    pid: int
    number: str

    @property
    def path(self) -> Path:
        """Where it can be entered, as long as that process runs."""
        return Path(f"/proc/{self.pid}/ns/net")


@dataclass(frozen=True, slots=True)
class Redirect:
    """One link: what its caller, known by its group or its network, sends to the callee goes to the door of
    its proxy."""

    link: str
    caller: Group | Network
    callee: Address
    door: Address

    @property
    def network(self) -> Path | None:
        """Where its rule stands; None for our own network."""
        return self.caller.path if isinstance(self.caller, Network) else None

    def rule_shown(self) -> str:
        """The end of its rule as nft lists it."""
        to = f"dnat to {self.door}" if isinstance(self.caller, Network) else f"redirect to :{self.door.port}"
        return f'{to} comment "{self.link}"'

    def rule(self) -> str:
        """As nft reads it."""
        callee = f"ip daddr {self.callee.host} tcp dport {self.callee.port} counter"
        if isinstance(self.caller, Network):
            return f"{callee} {self.rule_shown()}"
        where = self.caller.path.relative_to(GROUPS)
        level = len(self.caller.path.relative_to(mount_of_groups()).parts)
        match = f'socket cgroupv2 level {level} "{where}"'
        return f"{match} {callee} {self.rule_shown()}"


def mount_of_groups() -> Path:
    """Where cgroup v2 is mounted. Raises UnsupportedError where nft cannot name a group."""
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2" and Path(place).is_relative_to(GROUPS):
            return Path(place)
    raise UnsupportedError(f"attach: found no cgroup v2 below {GROUPS}, expected it there: rules match by it")


def require_rules(*, groups: bool, networks: bool) -> None:
    """Raises UnsupportedError where connections cannot be redirected at all, of callers that are matched by
    their groups, or by networks of their own."""
    if os.geteuid() != 0:
        raise UnsupportedError("attach: found a user without rights, expected root: packet rules need them")
    for name, package, needed in (("nft", "nftables", True), ("nsenter", "util-linux", networks)):
        if needed and program(name) is None:
            raise UnsupportedError(f"attach: found no {name}, expected the package {package}")
    if groups:
        mount_of_groups()


def group_of(pids: Sequence[int], name: str) -> Group:
    """The group of a caller: its own where nobody else is in it, else one that is to be made."""
    lines = Path(f"/proc/{pids[0]}/cgroup").read_text(encoding="utf-8").splitlines()
    inside = next(line[3:] for line in lines if line.startswith("0::"))
    home = mount_of_groups() / inside.lstrip("/")
    if inside != "/" and set(members(home)) <= set(pids):
        return Group(home, home)
    return Group(home / name, home)


def move_in(group: Group, pids: Iterable[int]) -> None:
    """Put a caller's processes into the group that is made for them. Raises StartError."""
    if not group.made:
        return
    try:
        group.path.mkdir(exist_ok=True)
        move(pids, group.path)
    except OSError as error:
        raise StartError(f"attach: the group {group.path} could not be made: {error.strerror}") from None


def redirect(table: str, redirects: Sequence[Redirect]) -> None:
    """Set all rules of a target, in place of those that were there; those of one network at once. Raises
    StartError."""
    for network, several in by_network(redirects).items():
        rules = "\n".join(f"  {one.rule()};" for one in several)
        text = (
            f"add table ip {table}\ndelete table ip {table}\n"  # in one step with the new ones
            f"table ip {table} {{\n chain out {{\n  type nat hook output priority {BEFORE_OTHERS}; "
            f"policy accept;\n{rules}\n }}\n}}\n"
        )
        ended = nft("-f", "-", text=text, network=network)
        if ended.code != 0:
            raise StartError(f"attach: the packet rules could not be set: {ended.err.strip()[:300]}")


def by_network(redirects: Sequence[Redirect]) -> dict[Path | None, list[Redirect]]:
    """Those whose rules stand in the same network."""
    found: dict[Path | None, list[Redirect]] = {}
    for one in redirects:
        found.setdefault(one.network, []).append(one)
    return found


def missing_rules(table: str, redirects: Sequence[Redirect]) -> list[str]:
    """Read back: the links whose rule is not there."""
    missing: list[str] = []
    for network, several in by_network(redirects).items():
        shown = nft("list", "table", "ip", table, network=network)
        missing += [one.link for one in several if shown.code != 0 or one.rule_shown() not in shown.out]
    return list(dict.fromkeys(missing))


def cut(redirects: Sequence[tuple[Redirect, Sequence[int]]]) -> dict[str, int]:
    """End the connections that the callers had before the rules were there, once, so that their pools come
    back through the proxies. Returns how many of each link; raises StartError for one that stays."""
    counts: dict[str, int] = {}
    pids = {id(one): known for one, known in redirects}
    for network, several in by_network([one for one, _ in redirects]).items():
        try:
            table = SocketTable(network)
            try:
                old = _old(table, [(one, pids[id(one)]) for one in several])
                for end in (end for ends in old.values() for end in ends):
                    table.destroy(end)
                _require_gone(table, old)
            finally:
                table.close()
        except OSError as error:
            raise StartError(f"attach: old connections could not be cut: {error.strerror or error}") from None
        counts |= {link: counts.get(link, 0) + len(ends) for link, ends in old.items()}
    return counts


def _old(table: SocketTable, redirects: Sequence[tuple[Redirect, Sequence[int]]]) -> dict[str, list[Held]]:
    """The connections of each link. They are asked for once: after a redirect the caller's own side still
    shows the callee's address, so that new connections look like old ones."""
    held, inodes = table.established(), {pid: sockets_of(pid) for _, pids in redirects for pid in pids}
    old: dict[str, list[Held]] = {}
    for one, pids in redirects:
        callee, mine = (one.callee.host, one.callee.port), set[int]().union(*(inodes[pid] for pid in pids))
        alone = isinstance(one.caller, Network)  # whatever is there is the caller's
        ends = [end for end in held if (end.peer, end.peer_port) == callee and (alone or end.inode in mine)]
        old.setdefault(one.link, []).extend(ends)
    return old


def _require_gone(table: SocketTable, old: Mapping[str, Sequence[Held]]) -> None:
    """Read back: none of them is there. Raises StartError."""
    there = {end.identity for end in table.established()}
    for link, several in old.items():
        if left := sum(end.identity in there for end in several):
            raise StartError(f"attach: {left} old connections of {link} could not be cut")
