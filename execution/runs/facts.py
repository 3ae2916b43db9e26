"""Facts of the machine and of the packages that a run folder keeps: versions, cores."""

from __future__ import annotations

import hashlib
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


LEFT_OUT = {"__pycache__", "node_modules"}


def folder_digest(folder: Path) -> str:
    """Of the names and contents of all files below, hidden ones and what tools leave aside: tells folders of
    different content apart."""
    whole = hashlib.sha256()
    for place, inner, names in os.walk(folder):
        inner[:] = sorted(name for name in inner if name not in LEFT_OUT and not name.startswith("."))
        for name in sorted(names):
            path = Path(place, name)
            if name.startswith(".") or not path.is_file():
                continue
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").digest()
            whole.update(str(path.relative_to(folder)).encode() + b"\0" + content)
    return whole.hexdigest()[:16]
