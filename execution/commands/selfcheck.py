"""Holding the simulator to what is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from execution.commands.saying import dump, say
from experiment.errors import ExitCode
from simulation.selfcheck import CASES, Case, CheckRow
from simulation.selfcheck.pages import markdown_page, markdown_section, text_table


def selfcheck_case(case: Case, values: Mapping[str, Any], as_json: bool) -> int:
    """One case with these parameters: 0 when every figure holds, else 1."""
    rows = case.check(**values)
    if as_json:
        dump([row.to_json() for row in rows])
    else:
        say(text_table(rows))
    return int(_held(rows))


def selfcheck_all(as_json: bool, out: Path | None) -> int:
    """Every case with its defaults, as a table, JSON or a Markdown page."""
    sections: list[str] = []
    every: list[CheckRow] = []
    for case in CASES.values():
        rows = case.check()
        every += rows
        sections.append(markdown_section(case, {}, rows))
        if not as_json:
            say(f"{case.name}: {case.title}")
            say(text_table(rows))
    if as_json:
        dump([row.to_json() for row in every])
    if out is not None:
        failed = sum(row.verdict != "pass" for row in every)
        out.write_text(markdown_page(sections, failed), encoding="utf-8")
    return int(_held(every))


def _held(rows: Sequence[CheckRow]) -> ExitCode:
    """No row is no success."""
    if not rows:
        return ExitCode.INCONCLUSIVE
    return ExitCode.PASS if all(row.verdict == "pass" for row in rows) else ExitCode.FAIL
