"""Facts of the machine and of the packages that a run folder keeps: versions, cores."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("locust", "simpy", "toxiproxy-python", "docker", "polars", "asyncpg", "nats-py", "uvicorn")


def versions() -> dict[str, str]:
    """Python, the platform and the packages whose behaviour a run depends on."""
    found = {"python": platform.python_version(), "platform": platform.platform(terse=True)}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


def machine() -> dict[str, str]:
    """Cores, memory and processor, for benchmarks and reports."""
    cpu = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu)
    except OSError:
        pass
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cores": str(os.cpu_count() or 1), "cpu": cpu, "memory": f"{memory:.1f} GiB"}
