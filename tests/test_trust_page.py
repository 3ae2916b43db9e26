"""docs/trust.md promises nothing without a test, docs/evidence.md gives no figure without its command."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "trust.md"
EVIDENCE = ROOT / "docs" / "evidence.md"


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


def test_every_figure_can_be_measured_again() -> None:
    """Each section of the page of evidence names the command, or the test, that makes its figures."""
    sections = re.split(r"^## ", EVIDENCE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    again = re.compile(r"python -m benchmarks\.\w+|codeblue \w+|make \w+|tests/\w+|`twin \w+")
    assert len(sections) > 10
    assert not [section.splitlines()[0] for section in sections if not again.search(section)]


def test_every_benchmark_that_is_named_exists() -> None:
    """A command `python -m benchmarks.X` of the page has its file."""
    named = set(re.findall(r"-m benchmarks\.(\w+)", EVIDENCE.read_text(encoding="utf-8")))
    assert named
    assert not [name for name in named if not (ROOT / "benchmarks" / f"{name}.py").exists()]
