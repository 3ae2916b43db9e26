"""Check rows for people: a table for the terminal, a Markdown page for the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

from experiment.units import noun
from simulation.selfcheck.cases import Case, CheckRow


def figure(value: float) -> str:
    """Six significant digits; a whole number without its point; a dash where there is none."""
    return "-" if isnan(value) else f"{value:.6g}"


def verdict(row: CheckRow) -> str:
    """With the reason, where there is one."""
    return f"{row.verdict}: {row.note}" if row.note else row.verdict


def text_table(rows: Sequence[CheckRow]) -> str:
    """Aligned columns, one row a line."""
    cells = [("quantity", "expected", "simulated", "standard error", "verdict")]
    cells += [
        (r.quantity, figure(r.expected), figure(r.simulated), figure(r.standard_error), verdict(r))
        for r in rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(5)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in (0, 4) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    )


def markdown_section(case: Case, parameters: Mapping[str, Any], rows: Sequence[CheckRow]) -> str:
    """One case: what it shows, with which parameters, and its rows."""
    values = {parameter.name: parameter.default for parameter in case.parameters} | dict(parameters)
    options = " ".join(
        f"{parameter.option} {values[parameter.name]}"
        if parameter.type is not str or not any(c in str(values[parameter.name]) for c in " (+")
        else f"{parameter.option} '{values[parameter.name]}'"
        for parameter in case.parameters
        if values[parameter.name] is not None
    )
    lines = [
        f"## {case.name}",
        "",
        f"{case.title}. Expected figures: {case.source}.",
        "",
        f"    selfcheck simulation {case.name} {options}",
        "",
        "| quantity | expected | simulated | standard error | verdict |",
        "|---|---:|---:|---:|---|",
    ]
    lines += [
        f"| {r.quantity} | {figure(r.expected)} | {figure(r.simulated)} | {figure(r.standard_error)} "
        f"| {verdict(r)} |"
        for r in rows
    ]
    return "\n".join(lines) + "\n"


def markdown_page(sections: Sequence[str], rows: Sequence[CheckRow]) -> str:
    """All cases on one page."""
    failed = sum(row.verdict == "fail" for row in rows)
    unknown = sum(row.verdict == "inconclusive" for row in rows)
    result = "every figure holds" if not failed else f"{noun(failed, 'figure does', 'figures do')} not hold"
    result += f", of {unknown} nothing is known" if unknown else ""
    return "\n".join([f"# The simulator against known figures: {result}", "", *sections])
