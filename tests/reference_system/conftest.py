"""One cluster for all tests of the reference system; every test begins with its own reset."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reference_system.cluster import Cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    temporary = Path(tempfile.gettempdir())
    for path in (folder, *(above for above in folder.parents if temporary in above.parents)):
        path.chmod(0o755)  # PostgreSQL may run as another user
    running = Cluster(folder)
    try:
        try:
            running.start_all(running.design("resilient"))
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), *running.logs()])) from error
        yield running
    finally:
        running.stop_all()
