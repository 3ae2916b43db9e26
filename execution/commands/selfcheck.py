"""Holding the simulator to what is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from execution.commands.saying import dump, say, shown, tell
from execution.places import RUNS
from experiment.errors import ExitCode, gravest
from simulation.selfcheck import CASES, Case, CheckRow
from simulation.selfcheck.pages import markdown_page, markdown_section, text_table

PAGE = RUNS / "selfcheck_simulation.md"
CODES = {"pass": ExitCode.PASS, "fail": ExitCode.FAIL, "inconclusive": ExitCode.INCONCLUSIVE}


def selfcheck_case(case: Case, values: Mapping[str, Any], as_json: bool, out: Path | None) -> int:
    """One case with these parameters: 0 when every figure holds, 1 when one does not, 2 when unknown."""
    rows = case.check(**values)
    if as_json:
        dump([row.to_json() for row in rows])
    else:
        say(text_table(rows))
    if out is not None:
        _write(out, [markdown_section(case, values, rows)], rows)
    return int(_held(rows))


def selfcheck_all(as_json: bool, out: Path | None) -> int:
    """Every case with its defaults, as a table or JSON, and as a Markdown page."""
    sections: list[str] = []
    every: list[CheckRow] = []
    for case in CASES.values():
        rows = case.check()
        # One list of all cases: two of them have a "mean wait".
        every += [replace(row, quantity=f"{case.name}: {row.quantity}") for row in rows]
        sections.append(markdown_section(case, {}, rows))
        if not as_json:
            say(f"{case.name}: {case.title}")
            say(text_table(rows))
    if as_json:
        dump([row.to_json() for row in every])
    _write(out or PAGE, sections, every)
    return int(_held(every))


def _write(page: Path, sections: Sequence[str], rows: Sequence[CheckRow]) -> None:
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(markdown_page(sections, rows), encoding="utf-8")
    tell(f"page in {shown(page)}")


def _held(rows: Sequence[CheckRow]) -> ExitCode:
    """No row is no success."""
    return gravest(CODES[row.verdict] for row in rows)
