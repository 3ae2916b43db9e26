"""The cluster that all tests of this folder share."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtimes.kubernetes.client import Cluster
from tests.kubernetes.building import built, missing
from tests.kubernetes.cluster import connected, down, running, up
from tests.kubernetes.layout import CGROUP, HOST_LINK, PLACE
from tests.standin.containers import require_engine


@pytest.fixture(scope="session")
def kubeconfig() -> Iterator[Path]:
    """One that runs is used, and left as it is; else one is started and ends with the tests, without a
    trace."""
    if running():
        yield PLACE.kubeconfig
        return
    lacks = missing()
    if lacks:
        pytest.skip(f"needs what a cluster is made of: {', '.join(lacks)}")
    if not built().exists():
        pytest.skip(
            "needs Kubernetes, built once (python -m tests.kubernetes.cluster build, 18 minutes of CPU)"
        )
    require_engine()
    try:
        yield up()
    finally:
        down()
    assert not PLACE.folder.exists()
    assert not list(Path("/sys/fs/cgroup").glob(f"**/{CGROUP}"))
    shown = subprocess.run(["ip", "link", "show", HOST_LINK], capture_output=True, timeout=10, check=False)
    assert shown.returncode != 0, "the link to the node is still there"


@pytest.fixture(scope="session")
def admin(kubeconfig: Path) -> Iterator[Cluster]:
    """By a client certificate."""
    assert kubeconfig.exists()
    with connected("admin") as cluster:
        yield cluster
