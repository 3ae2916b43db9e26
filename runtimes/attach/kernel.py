"""The two things that a run adds to a kernel at a running system, a table of packet rules and control groups:
asked, changed, and taken away again."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from experiment.children import ChildTimeout, Ended, run_child

PLACES = "/usr/sbin:/sbin:/usr/local/sbin"
DEADLINE_S = 10.0
BACK_WITHIN_S = 2.0
POLL_S = 0.02


def remove_rules(table: str, number: str = "") -> str:
    """Take all rules of a target away, in the network of this number; without it, in our own. A network that
    is gone has taken its rules with it. Returns what went wrong."""
    network = network_of(number) if number else None
    if number and network is None:
        return ""
    if program("nft") is None or nft("list", "table", "ip", table, network=network).code != 0:
        return ""
    ended = nft("delete", "table", "ip", table, network=network)
    return f"the packet rules {table} may be left: {ended.err.strip()[-200:]}" if ended.code else ""


def move_back(path: Path, home: Path) -> str:
    """Every process of the group back to where it was, and the group away. Returns what went wrong."""
    end = time.monotonic() + BACK_WITHIN_S
    while path.exists():
        try:
            move(members(path), home)
            path.rmdir()
        except OSError as error:
            if time.monotonic() > end:
                return f"the group {path} is left: {error.strerror}"
            time.sleep(POLL_S)
    return ""


def members(group: Path) -> list[int]:
    """The processes in a group; none of one that is not there."""
    try:
        return [int(pid) for pid in (group / "cgroup.procs").read_text().split()]
    except OSError:
        return []


def move(pids: Iterable[int], group: Path) -> None:
    """Into a group; a process that has ended meanwhile is left out. Raises OSError."""
    for pid in pids:
        try:
            (group / "cgroup.procs").write_text(str(pid))
        except ProcessLookupError:
            continue


def program(name: str) -> str | None:
    """Where a program is, also one that only root has on its path."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{PLACES}")


def network_of(number: str) -> Path | None:
    """Where a network namespace can be entered; None of one that no process is in any more."""
    for path in Path("/proc").glob("[0-9]*/ns/net"):
        with suppress(OSError):
            if os.readlink(path) == number:
                return path
    return None


def number_of(pid: int) -> str:
    """The network namespace of a process, as the kernel names it. Raises OSError."""
    return os.readlink(f"/proc/{pid}/ns/net")


def nft(*words: str, text: str = "", network: Path | None = None) -> Ended:
    """One call of nft, inside a network; how it ended says whether it did what it was to do."""
    enter = [program("nsenter") or "nsenter", f"--net={network}"] if network is not None else []
    try:
        return run_child([*enter, program("nft") or "nft", *words], within_s=DEADLINE_S, text=text)
    except (OSError, ChildTimeout) as error:
        return Ended(1, "", str(error))
