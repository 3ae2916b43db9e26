"""CPU and memory of the processes of a system, as the kernel accounts for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from experiment.history import Sample
from runtimes.machine import processes_now, with_descendants
from runtimes.owners import Identity


def process_samples(processes: Mapping[str, Identity], t: float) -> Iterable[Sample]:
    """`process_cpu_s` (user and system, with all children so far) and `process_rss_bytes` of each that runs.

    The kernel is asked once for all of them: looking for the children of each anew would take longer than a
    phase on a machine that others keep busy."""
    now = processes_now() if processes else {}
    for name, identity in processes.items():
        family = with_descendants([identity], now)
        if not family:
            continue
        cpu_s = sum(now[one].used_s for one in family) + now[identity].ended_s
        yield Sample(t, name, "process_cpu_s", cpu_s)
        yield Sample(t, name, "process_rss_bytes", float(sum(now[one].rss_bytes for one in family)))
