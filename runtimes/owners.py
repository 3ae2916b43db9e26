"""Who owns an instance, and whether that process certainly lives or certainly is dead.

A pid means something only in one pid namespace of one boot of one machine. An owner elsewhere (in a container
that has the engine's socket, on another machine with the same files) cannot be judged from here: what it has
is left.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ELSEWHERE = (
    "left as it is: its owner is on another machine or in another pid namespace, and may live; "
    "`codeblue clean` there removes it"
)


@dataclass(frozen=True, slots=True)
class Identity:
    """One process, for certain: a pid may be given to another, its start time (clock ticks since boot)
    not."""

    pid: int
    started_ticks: int

    @property
    def alive(self) -> bool:
        """Whether exactly this process still runs (a zombie does not)."""
        return self.state not in ("", "Z", "X")

    @property
    def state(self) -> str:
        """The kernel's letter: R, S, D, T (stopped), Z (zombie); empty when it is gone."""
        status = _stat(self.pid)
        return status[1] if status is not None and status[0] == self.started_ticks else ""


def identify(pid: int) -> Identity | None:
    """The identity of a running process, None when there is none."""
    status = _stat(pid)
    return Identity(pid, status[0]) if status is not None else None


def _stat(pid: int) -> tuple[int, str] | None:
    """Start ticks and state letter of a process. The command name may hold spaces and brackets: cut it off.
    Asked many times a second: without pathlib, which interns each pid."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    rest = text[text.rfind(b")") + 2 :].split()
    return int(rest[19]), rest[0].decode()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pid means something: `boot` is another one at every boot of the machine, `machine` is empty
    when it is not known, `namespace` is the inode of the pid namespace."""

    boot: str
    machine: str
    namespace: int


def here() -> Place:
    """Where this process runs."""
    try:
        machine = Path("/etc/machine-id").read_text().strip()
    except OSError:
        machine = ""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return Place(boot, machine, Path("/proc/self/ns/pid").stat().st_ino)


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that an instance belongs to."""

    identity: Identity
    place: Place

    def __str__(self) -> str:
        """As a label carries it; `read_owner` reads it."""
        place = self.place
        words = (self.identity.pid, self.identity.started_ticks, place.boot, place.machine, place.namespace)
        return ":".join(map(str, words))

    @property
    def same_boot(self) -> bool:
        """Whether pids of its instance mean here what they meant there."""
        ours = here()
        return (self.place.boot, self.place.namespace) == (ours.boot, ours.namespace)

    @property
    def fate(self) -> Literal["alive", "dead", "unknown"]:
        """Dead for certain: the process is gone, or its machine has booted since."""
        ours = here()
        if self.same_boot:
            return "alive" if self.identity.alive else "dead"
        rebooted = self.place.boot != ours.boot and self.place.machine == ours.machine != ""
        return "dead" if rebooted else "unknown"


def this_process() -> Owner:
    """The owner that this process is."""
    identity = identify(os.getpid())
    assert identity is not None
    return Owner(identity, here())


def read_owner(label: str) -> Owner | None:
    """The owner named by a label; None when the label is not one of ours."""
    try:
        pid, ticks, boot, machine, namespace = label.split(":")
        return Owner(Identity(int(pid), int(ticks)), Place(boot, machine, int(namespace)))
    except ValueError:
        return None
