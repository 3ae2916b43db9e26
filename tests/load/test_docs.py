"""The page about the load says what the code does."""

from __future__ import annotations

from pathlib import Path

from experiment.outcomes import TABLE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "load.md"


def test_the_outcomes_in_the_docs_are_those_of_the_table() -> None:
    """Row by row, in order."""
    text = PAGE.read_text(encoding="utf-8")
    shown = [line for line in text.splitlines() if line.startswith("| `")]
    rows = [f"| `{row.seen}` | {row.write} | {row.read} | {row.error or ''} | {row.why} |" for row in TABLE]
    assert [line for line in shown if line.count("|") == 6] == rows
