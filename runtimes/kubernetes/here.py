"""Containers of a cluster whose node is this machine: their processes, where the kernel shows them to us."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from runtimes.kubernetes.watch import PodWatch

PROC = Path("/proc")


def processes_of(containers: Collection[str], proc: Path = PROC) -> dict[str, int]:
    """Container id to its first process, of those that run here; their ids stand in the names of their
    control groups. Of others nothing is found."""
    wanted, found = {one for one in containers if one}, dict[str, int]()
    for name in sorted((one for one in os.listdir(proc) if one.isdecimal()), key=int):
        try:
            groups = (proc / name / "cgroup").read_text()
        except OSError:
            continue
        for one in wanted - found.keys():
            if one in groups:
                found[one] = int(name)
        if len(found) == len(wanted):
            break
    return found


class LocalPods:
    """The pods of a run that are on this machine."""

    def __init__(self, watch: PodWatch, names: Mapping[str, str]) -> None:
        """`names` maps a part as its pods carry it to its own name."""
        self._watch = watch
        self._names = names
        self._known: dict[str, int] = {}  # container to process, 0 for one of another machine

    def pids(self) -> dict[str, int]:
        """Part to the first process of its container."""
        pods = [pod for pod in self._watch.last.pods if pod.running]
        wanted = {pod.container for pod in pods}
        if wanted - self._known.keys():
            found = processes_of(wanted)
            self._known = {one: found.get(one, 0) for one in wanted}
        named = {self._names.get(pod.part, pod.part): self._known[pod.container] for pod in pods}
        return {name: pid for name, pid in named.items() if pid}

    def network(self, part: str) -> Path | None:
        """The network of a part's pod; None where it is not here."""
        pid = self.pids().get(part)
        return PROC / str(pid) / "ns" / "net" if pid else None
