"""What tests share: the journal of an instance that starts nothing by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runtimes.leftovers import Journal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal of its own for each test."""
    made = Journal(tmp_path / "var", "test")
    yield made
    made.close(remove=True)
