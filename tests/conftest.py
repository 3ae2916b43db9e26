"""What tests share: which of them a busy moment can make fail, drawn examples that are the same each time
(`make fuzz` draws others), and the journal of an instance that starts nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from runtimes.leftovers import Journal

settings.register_profile("same", derandomize=True)
settings.load_profile("same")

ROOT = Path(__file__).parent
TIMED = (
    "docs/test_tutorial.py",
    "execution/commands",
    "execution/test_installed.py",
    "execution/test_places.py",
    "experiment/test_children.py",
    "load",
    "reference_system",
    "reports/test_accessibility.py",
    "reports/test_chromium.py",
    "runtimes",
)
"""Folders and files whose tests talk with servers, browsers and other programs. They share the processors
with other tests, and are run once more when they fail; all others are right or wrong whatever the moment."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them."""
    for item in items:
        if any(item.path.is_relative_to(ROOT / place) for place in TIMED):
            item.add_marker(pytest.mark.timed)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal of its own for each test."""
    made = Journal(tmp_path / "var", "test")
    yield made
    made.close(remove=True)
