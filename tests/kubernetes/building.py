"""Builds Kubernetes from its module sources with Go: all parts in one program, and the first process of pods.

A build takes about 18 minutes of one processor and is kept by what it is made of. `prune` removes it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from tests.kubernetes.layout import CACHE, VERSION

SOURCES = Path(__file__).parent / "node"
TOOLS = ("go", "containerd", "ctr", "runc", "etcd", "docker", "ip", "nft", "unshare", "nsenter", "mount")
PLUGINS = Path("/usr/lib/cni")
BUILD_WITHIN_S = 2400.0
SET = "k8s.io/component-base/version"


def missing() -> list[str]:
    """What this machine lacks for a cluster, by name."""
    lacks = [name for name in TOOLS if shutil.which(name) is None]
    lacks += [
        f"{PLUGINS / name}" for name in ("ptp", "host-local", "loopback") if not (PLUGINS / name).exists()
    ]
    return lacks + ([] if os.geteuid() == 0 else ["root"])


def built() -> Path:
    """The folder that the programs of these sources are in, once they are built."""
    content = hashlib.sha256()
    for path in sorted(SOURCES.rglob("*")):
        if path.is_file():
            content.update(f"{path.relative_to(SOURCES)}\n".encode() + path.read_bytes())
    return CACHE / content.hexdigest()[:16]


def build() -> Path:
    """The folder with the programs `node` and `pause`; those of other sources are removed. Raises
    CalledProcessError, TimeoutExpired."""
    made = built()
    if not made.exists():
        half = made.with_suffix(".half")
        half.mkdir(parents=True, exist_ok=True)
        major, minor, _ = VERSION.split(".")
        named = {"gitVersion": f"v{VERSION}", "gitMajor": major, "gitMinor": minor}
        linked = " ".join(["-s -w", *(f"-X {SET}.{key}={value}" for key, value in named.items())])
        _compile(".", half / "node", linked)
        _compile("./pause", half / "pause", "-s -w")
        half.rename(made)
        for other in CACHE.glob("?" * 16):
            if other != made:
                shutil.rmtree(other)
    return made


def _compile(package: str, to: Path, linked: str) -> None:
    """Without cgo the program needs no library: it runs in any image."""
    command = ["go", "build", "-trimpath", "-buildvcs=false", "-ldflags", linked, "-o", str(to), package]
    environment = {**os.environ, "CGO_ENABLED": "0"}
    subprocess.run(command, cwd=SOURCES, env=environment, check=True, timeout=BUILD_WITHIN_S)


def prune() -> None:
    """Remove what was built. Go's own caches stay: `go clean -cache -modcache`."""
    shutil.rmtree(CACHE, ignore_errors=True)
