"""What tests share: the journal of an instance that starts nothing by itself, and drawn examples that are the
same each time: the same code gets the same answer. `make fuzz` draws others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from runtimes.leftovers import Journal

settings.register_profile("same", derandomize=True)
settings.load_profile("same")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal of its own for each test."""
    made = Journal(tmp_path / "var", "test")
    yield made
    made.close(remove=True)
