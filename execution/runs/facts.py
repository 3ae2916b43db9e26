"""Facts of the machine and of the project that a run folder keeps: versions, commit, cores."""

from __future__ import annotations

import os
import platform
import subprocess
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


def git_commit(root: Path) -> str:
    """The commit of the working tree, with `+` when it has changes; empty outside git."""
    try:
        commit = _git(root, "rev-parse", "--short=12", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return ""
    return commit + ("+" if changed else "")


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, timeout=5, check=True)
    return done.stdout.strip()
