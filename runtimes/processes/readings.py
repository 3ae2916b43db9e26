"""CPU and memory of the processes of a system, as the kernel accounts for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import psutil

from experiment.history import Sample
from runtimes.owners import Identity


def process_samples(processes: Mapping[str, Identity], t: float) -> Iterable[Sample]:
    """`process_cpu_s` (user and system, with all children so far) and `process_rss_bytes` of each that
    runs."""
    for name, identity in processes.items():
        try:
            process = psutil.Process(identity.pid)
            family = [process, *process.children(recursive=True)]
            cpu_s = 0.0
            rss = 0
            for one in family:
                times = one.cpu_times()
                cpu_s += times.user + times.system
                rss += one.memory_info().rss
            ended = process.cpu_times()
        except psutil.Error:
            continue
        yield Sample(t, name, "process_cpu_s", cpu_s + ended.children_user + ended.children_system)
        yield Sample(t, name, "process_rss_bytes", float(rss))
