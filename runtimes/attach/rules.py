"""Packet rules that lead a caller's new connections to a proxy, and how everything of them is undone.

A rule matches the control group of the caller (cgroup v2), so that neither another caller nor the harness nor
the proxies are redirected. A caller that shares its group with others gets one of its own below it for the
length of the run. All rules of a target are one nftables table: it is there as a whole, or not at all.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiment.children import run_child
from experiment.errors import StartError, UnsupportedError
from runtimes.attach.kernel import DEADLINE_S, members, move, nft, program
from runtimes.leaks import sockets_of
from runtimes.links.sockets import Held, SocketTable
from runtimes.runtime import Address

GROUPS = Path("/sys/fs/cgroup")  # nft finds a group's path from here on
CUT_WITHIN_S = 0.8
POLL_S = 0.02


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
class Redirect:
    """One link: what its caller's group sends to the callee goes to the door of its proxy."""

    link: str
    group: Group
    callee: Address
    door: Address

    def rule(self) -> str:
        """As nft reads it."""
        where = self.group.path.relative_to(GROUPS)
        level = len(self.group.path.relative_to(mount_of_groups()).parts)
        return (
            f'socket cgroupv2 level {level} "{where}" ip daddr {self.callee.host} '
            f"tcp dport {self.callee.port} counter redirect to :{self.door.port} "
            f'comment "{self.link}"'
        )


def mount_of_groups() -> Path:
    """Where cgroup v2 is mounted. Raises UnsupportedError where nft cannot name a group."""
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2" and Path(place).is_relative_to(GROUPS):
            return Path(place)
    raise UnsupportedError(f"attach: found no cgroup v2 below {GROUPS}, expected it there: rules match by it")


def require_rules() -> None:
    """Raises UnsupportedError where connections cannot be redirected at all."""
    if os.geteuid() != 0:
        raise UnsupportedError("attach: found a user without rights, expected root: packet rules need them")
    for name, package in (("nft", "nftables"), ("ss", "iproute2")):
        if program(name) is None:
            raise UnsupportedError(f"attach: found no {name}, expected the package {package}")
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
    """Set all rules of a target at once. Raises StartError."""
    rules = "\n".join(f"  {one.rule()};" for one in redirects)
    text = (
        f"table ip {table} {{\n chain out {{\n  type nat hook output priority -100; policy accept;\n"
        f"{rules}\n }}\n}}\n"
    )
    ended = nft("-f", "-", text=text)
    if ended.code != 0:
        raise StartError(f"attach: the packet rules could not be set: {ended.err.strip()[:300]}")


def missing_rules(table: str, redirects: Sequence[Redirect]) -> list[str]:
    """Read back: the links whose rule is not there."""
    shown = nft("list", "table", "ip", table)
    return [one.link for one in redirects if f'comment "{one.link}"' not in shown.out or shown.code != 0]


def cut(redirects: Sequence[tuple[Redirect, Sequence[int]]]) -> dict[str, int]:
    """End the connections that the callers had before the rules were there, once, so that their pools come
    back through the proxies. Returns how many of each link; raises StartError for one that stays."""
    table = SocketTable()
    counts: dict[str, int] = {}
    try:
        for one, pids in redirects:
            mine = _past(table, one.callee, pids)
            counts[one.link] = len(mine)
            end = time.monotonic() + CUT_WITHIN_S
            while mine:
                _destroy(one.callee, [held.port for held in mine])
                mine = [held for held in _past(table, one.callee, pids) if held in mine]
                if mine and time.monotonic() > end:
                    raise StartError(f"attach: {len(mine)} old connections of {one.link} could not be cut")
    finally:
        table.close()
    return counts


def _past(table: SocketTable, callee: Address, pids: Sequence[int]) -> list[Held]:
    """Connections of these processes to a callee. After a redirect the caller's own side still shows the
    callee's address, so that only those of before are asked for."""
    inodes = set().union(*(sockets_of(pid) for pid in pids)) if pids else set()
    return [
        one
        for one in table.established()
        if (one.peer, one.peer_port) == (callee.host, callee.port) and one.inode in inodes
    ]


def _destroy(callee: Address, ports: Sequence[int]) -> None:
    which = " or ".join(f"sport = :{port}" for port in ports)
    words = ["ss", "-K", "-Htn", f"dst {callee.host} and dport = :{callee.port} and ( {which} )"]
    run_child(words, within_s=DEADLINE_S)  # what it says is not to be trusted: it is read back
