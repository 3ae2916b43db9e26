"""What a machine does, as its kernel tells: CPU time of one family of processes, of others and of nobody; for
how long something waited for CPU, disk or memory (PSI).

CPU time that is neither idle nor the family's was taken by others: other processes, also those that cannot be
seen from here (another pid namespace), and other guests of the same host (steal).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from runtimes.owners import Identity

TICKS_S = 1.0 / os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PROC = Path("/proc")
RESOURCES = ("cpu", "io", "memory")
IDLE, IOWAIT, STEAL = 3, 4, 7  # columns of a line of /proc/stat


@dataclass(frozen=True, slots=True)
class Process:
    """One process at one moment. `used_s`: CPU time of its own; `ended_s`: of children that it has reaped;
    `rss_bytes`: memory that it holds."""

    parent: int
    used_s: float
    ended_s: float
    rss_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """Counters at one moment, all in seconds since boot but for `at_s` (CLOCK_MONOTONIC). `waiting`: by
    resource, in which something waited for it; empty where the kernel does not say (no PSI)."""

    at_s: float
    cores: int
    idle_s: float
    stolen_s: float
    processes: Mapping[Identity, Process] = field(default_factory=dict)
    waiting: Mapping[str, float] = field(default_factory=dict)
    held_back_s: float | None = None  # by the CPU limit of our own control group; none: it has no limit


@dataclass(frozen=True, slots=True)
class Use:
    """What happened between two readings, as cores (CPU seconds a second) and as shares of the time."""

    seconds: float
    cores: int
    own: float  # cores that the family used
    others: float  # cores that others used
    stolen: float  # of those, what other guests of the host took
    waiting: Mapping[str, float] = field(default_factory=dict)  # share of the time, by resource
    held_back: float | None = None  # share of the time; none: no limit

    @property
    def idle(self) -> float:
        """Cores that nobody used."""
        return max(0.0, self.cores - self.own - self.others)


def read_machine(proc: Path = PROC) -> Reading:
    """All counters now. Raises OSError where there is no such kernel."""
    cores, idle_s, stolen_s = _cpu_times((proc / "stat").read_bytes(), os.sched_getaffinity(0))
    return Reading(
        time.monotonic(), cores, idle_s, stolen_s, processes_now(proc), waiting_s(proc), held_back_s()
    )


class Family:
    """The processes that belong to this one: its descendants, whatever was one before its parent ended, and
    what runs in the control groups that it was told of."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._groups: frozenset[str] = frozenset()
        self._strangers: frozenset[Identity] = frozenset()  # whose control group was looked at
        self._known: frozenset[Identity] = frozenset()
        self._before: Reading | None = None

    def follow(self, pids: Iterable[int], proc: Path = PROC) -> None:
        """The control groups of these processes are the family's, unless they are our own too."""
        ours = _groups_of(proc, os.getpid())
        self._strangers = frozenset()  # one may have been seen on its way into its group
        self._groups |= {group for pid in pids if (group := _groups_of(proc, pid)) not in ("", ours)}

    def use(self, now: Reading) -> Use | None:
        """What happened since the last call; none the first time."""
        own, before = self._members(now), self._before
        self._before, known = now, self._known
        self._known = own
        if before is None or now.at_s <= before.at_s:
            return None
        seconds = now.at_s - before.at_s
        used = _used(before, now, own, known)
        busy = now.cores * seconds - max(0.0, now.idle_s - before.idle_s)
        held = None
        if now.held_back_s is not None and before.held_back_s is not None:
            held = (now.held_back_s - before.held_back_s) / seconds
        return Use(
            seconds,
            now.cores,
            used / seconds,
            max(0.0, busy - used) / seconds,
            max(0.0, now.stolen_s - before.stolen_s) / seconds,
            {
                name: min(1.0, (total - before.waiting[name]) / seconds)
                for name, total in now.waiting.items()
                if name in before.waiting
            },
            held,
        )

    def _members(self, now: Reading) -> frozenset[Identity]:
        found = {one for one in now.processes if one.pid == self._root or one in self._known}
        if self._groups:
            others = now.processes.keys() - found - self._strangers
            found |= {one for one in others if _groups_of(PROC, one.pid) in self._groups}
            self._strangers = frozenset(now.processes.keys() - found)
        return frozenset(with_descendants(found, now.processes))


def with_descendants(roots: Iterable[Identity], processes: Mapping[Identity, Process]) -> set[Identity]:
    """Those of the roots that run, their children, theirs, and so on."""
    children: dict[int, list[Identity]] = {}
    for one, process in processes.items():
        children.setdefault(process.parent, []).append(one)
    found = {root for root in roots if root in processes}
    waiting = list(found)
    while waiting:
        for child in children.get(waiting.pop().pid, ()):
            if child not in found:
                found.add(child)
                waiting.append(child)
    return found


def _used(before: Reading, now: Reading, own: frozenset[Identity], known: frozenset[Identity]) -> float:
    """CPU seconds of the family between two readings. Of one that ended in between its parent, which reaped
    it, tells the rest."""
    used = reaped = 0.0
    for one in own:
        process, old = now.processes[one], before.processes.get(one)
        used += process.used_s - (old.used_s if old else 0.0)
        reaped += process.ended_s - (old.ended_s if old else 0.0)
    for gone in known - now.processes.keys():
        old = before.processes[gone]
        reaped -= old.used_s + old.ended_s
    return max(0.0, used) + max(0.0, reaped)


def _cpu_times(stat: bytes, usable: Iterable[int]) -> tuple[int, float, float]:
    """(cores, idle seconds, stolen seconds) of the cores that we may use."""
    wanted = {f"cpu{number}".encode() for number in usable}
    lines = [line.split() for line in stat.splitlines() if line.startswith(b"cpu")]
    mine = [list(map(int, words[1:])) for words in lines if words[0] in wanted]
    idle = sum(row[IDLE] + row[IOWAIT] for row in mine)
    return len(mine), idle * TICKS_S, sum(row[STEAL] for row in mine if len(row) > STEAL) * TICKS_S


def processes_now(proc: Path = PROC) -> dict[Identity, Process]:
    """All that can be seen, each read once. Raises OSError where there is no such kernel."""
    return dict(_processes(proc))


def _processes(proc: Path) -> Iterable[tuple[Identity, Process]]:
    """The command name may hold spaces and brackets: it is cut off. Read without pathlib, which interns each
    pid: Python's table of interned words grows with every reading, by megabytes until it is made anew."""
    for entry in os.scandir(proc):
        if not entry.name.isdigit():
            continue
        try:
            with open(f"{entry.path}/stat", "rb") as file:
                text = file.read()
        except OSError:
            continue  # it has just ended
        words = text[text.rfind(b")") + 2 :].split()
        own, ended = int(words[11]) + int(words[12]), int(words[13]) + int(words[14])
        yield (
            Identity(int(entry.name), int(words[19])),
            Process(int(words[1]), own * TICKS_S, ended * TICKS_S, int(words[21]) * PAGE_BYTES),
        )


def waiting_s(proc: Path = PROC) -> dict[str, float]:
    """Seconds since boot in which something waited, by resource; empty where the kernel has no PSI."""
    found = {}
    for name in RESOURCES:
        with suppress(OSError, ValueError, IndexError):
            first = (proc / "pressure" / name).read_text().splitlines()[0]
            found[name] = int(first.rpartition("total=")[2]) / 1e6
    return found


def held_back_s(
    mounts: Iterable[Path] = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")),
) -> float | None:
    """For how long in all the CPU limit of our control group (v2) has kept it from the CPU; none without
    one."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    place = next((line[4:] for line in lines if line.startswith("0::/")), None)
    for mount in mounts if place is not None else ():
        with suppress(OSError, ValueError):
            shown = (mount / str(place) / "cpu.stat").read_text()
            figures = dict(line.split() for line in shown.splitlines())
            if "throttled_usec" in figures:
                return int(figures["throttled_usec"]) / 1e6
    return None


def _groups_of(proc: Path, pid: int) -> str:
    try:
        with open(f"{proc}/{pid}/cgroup", encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""
