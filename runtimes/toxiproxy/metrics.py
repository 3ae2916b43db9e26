"""Byte counters of the proxies and facts about the process, in the Prometheus text format."""

from __future__ import annotations

import os
import platform
import resource
import time

from runtimes.toxiproxy.chain import Direction
from runtimes.toxiproxy.proxy import Proxy

Labels = tuple[str, str, str, str]
"""Direction, listen address, proxy name, upstream address."""
LABEL_NAMES = ("direction", "listener", "proxy", "upstream")


class Metrics:
    """Counts the bytes of connections that have ended, as the original does; live ones are not in it."""

    def __init__(self, *, proxies: bool, runtime: bool) -> None:
        self.proxies = proxies
        self.runtime = runtime
        self._received: dict[Labels, int] = {}
        self._sent: dict[Labels, int] = {}

    @property
    def enabled(self) -> bool:
        """Whether there is anything to show."""
        return self.proxies or self.runtime

    def link_ended(self, proxy: Proxy, direction: Direction, *, received: int, sent: int) -> None:
        """Add a link's bytes to its proxy's sums."""
        if self.proxies:
            labels = (direction.name.lower(), proxy.listen, proxy.name, proxy.upstream)
            self._received[labels] = self._received.get(labels, 0) + received
            self._sent[labels] = self._sent.get(labels, 0) + sent

    def text(self) -> str:
        """All metrics, families sorted by name."""
        families: dict[str, list[str]] = {}
        if self.proxies:
            families["toxiproxy_proxy_received_bytes_total"] = _counter(self._received)
            families["toxiproxy_proxy_sent_bytes_total"] = _counter(self._sent)
        families["promhttp_metric_handler_errors_total"] = [
            "# HELP promhttp_metric_handler_errors_total Total number of internal errors encountered"
            " by the promhttp metric handler.",
            "# TYPE promhttp_metric_handler_errors_total counter",
            'promhttp_metric_handler_errors_total{cause="encoding"} 0',
            'promhttp_metric_handler_errors_total{cause="gathering"} 0',
        ]
        # A counter with labels appears with its first value.
        written = {
            name: [
                f"# HELP {name} ",
                f"# TYPE {name} counter",
                *(f"{name}{sample}" for sample in lines),
            ]
            if name.startswith("toxiproxy_")
            else lines
            for name, lines in families.items()
            if lines
        }
        if self.runtime:
            written.update(_process_families())
        return "".join(f"{line}\n" for name in sorted(written) for line in written[name])


def _counter(values: dict[Labels, int]) -> list[str]:
    lines = []
    for labels in sorted(values):
        pairs = ",".join(
            f'{name}="{_escaped(value)}"' for name, value in zip(LABEL_NAMES, labels, strict=True)
        )
        lines.append(f"{{{pairs}}} {_number(values[labels])}")
    return lines


def _number(value: float) -> str:
    """As the original writes numbers: from 1e21, or 2**53 and more digits than that, with an exponent."""
    text = repr(float(value))
    if "e" in text:
        mantissa, power = text.split("e")
        return f"{mantissa.removesuffix('.0')}e{power[0]}{power[1:].zfill(2)}"
    whole = text.removesuffix(".0")
    if float(value).is_integer() and abs(value) >= 1e6 and len(whole.lstrip("-")) > 6:
        digits = whole.lstrip("-").rstrip("0")
        power_of_ten = len(whole.lstrip("-")) - 1
        mantissa = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
        return f"{'-' if value < 0 else ''}{mantissa}e+{power_of_ten:02d}"
    return whole


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _process_families() -> dict[str, list[str]]:
    """The process metrics that Prometheus clients export; the interpreter in the place of Go's runtime."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    with open("/proc/self/stat", encoding="ascii") as stat:
        after_name = stat.read().rpartition(")")[2].split()
    with open("/proc/stat", encoding="ascii") as stat:
        boot_s = next(int(line.split()[1]) for line in stat if line.startswith("btime"))
    started_s = boot_s + int(after_name[19]) / os.sysconf("SC_CLK_TCK")
    gauges = {
        "process_cpu_seconds_total": (
            "Total user and system CPU time spent in seconds.",
            usage.ru_utime + usage.ru_stime,
        ),
        "process_max_fds": (
            "Maximum number of open file descriptors.",
            resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        ),
        "process_open_fds": ("Number of open file descriptors.", len(os.listdir("/proc/self/fd"))),
        "process_resident_memory_bytes": (
            "Resident memory size in bytes.",
            int(after_name[21]) * os.sysconf("SC_PAGE_SIZE"),
        ),
        "process_start_time_seconds": (
            "Start time of the process since unix epoch in seconds.",
            min(started_s, time.time()),
        ),
        "process_virtual_memory_bytes": ("Virtual memory size in bytes.", int(after_name[20])),
    }
    families = {
        name: [
            f"# HELP {name} {text}",
            f"# TYPE {name} {'counter' if name.endswith('_total') else 'gauge'}",
            f"{name} {_number(value)}",
        ]
        for name, (text, value) in gauges.items()
    }
    families["python_info"] = [
        "# HELP python_info Python platform information",
        "# TYPE python_info gauge",
        f'python_info{{implementation="{platform.python_implementation()}",'
        f'version="{platform.python_version()}"}} 1',
    ]
    return families
