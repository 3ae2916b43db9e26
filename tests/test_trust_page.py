"""docs/trust.md promises nothing without a test."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "trust.md"


def test_every_test_that_is_named_exists() -> None:
    """A file or folder of tests that the page names is there."""
    named = re.findall(r"`(tests/[\w/.]+)`", PAGE.read_text(encoding="utf-8"))
    assert named
    missing = [name for name in named if not (ROOT / name).exists()]
    assert not missing


def test_every_promise_names_what_tests_it() -> None:
    """Each section says which files test it, or which command checks it."""
    sections = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    bare = [section.splitlines()[0] for section in sections if not re.search(r"`(tests/|make )", section)]
    assert not bare
