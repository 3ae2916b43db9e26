"""What a scan found: a table of places and faults, the worst first, in every form that a reader may want."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from experiment.plain_text import Plain
from experiment.units import noun
from experiment.verdict import Verdict
from reports.html import render_page
from reports.markdown import code, table, text
from reports.schemas import document_schema, document_text

UNPLAYED, IMPOSSIBLE = "not run", "not possible"
_RANK = {Verdict.FAIL: 1, Verdict.ABORTED: 1, Verdict.INCONCLUSIVE: 2, Verdict.INVALID: 3, Verdict.PASS: 4}


@dataclass(frozen=True, slots=True)
class Cell(Plain):
    """One fault at one place of the system."""

    target: str  # the link or service
    kind: str  # the kind of fault
    verdict: Verdict | None = None  # the verdict of its run; none: it was not played
    vetoed: bool = False  # whether a safety property was violated
    score: float | None = None  # the score of its run from 0 to 100; none: invalid or not played
    headline: str = ""  # the verdict with its first reason
    link: str = ""  # the page of its run
    impossible: str = ""  # the reason why the runtime cannot play it; empty: it can

    @property
    def word(self) -> str:
        """`FAIL (veto)`, or why there is no verdict."""
        if self.verdict is None:
            return IMPOSSIBLE if self.impossible else UNPLAYED
        return self.verdict.value.upper() + (" (veto)" if self.vetoed else "")

    @property
    def rank(self) -> tuple[int, float]:
        """Sorts the worst first."""
        if self.verdict is None:
            return (6 if self.impossible else 5, 0.0)
        return (0 if self.vetoed else _RANK[self.verdict], self.score if self.score is not None else -1.0)


@dataclass(frozen=True, slots=True)
class ScanReport(Plain):
    """Every place with every fault, in the order of the system's file."""

    name: str  # the name of the system
    design: str  # the design that was played
    runtime: str  # where it was played
    started_at: str  # when the scan ended, as ISO 8601
    command: str  # what to type to scan again
    cells: tuple[Cell, ...]  # every place with every fault
    git: str = ""  # the commit of Code Blue

    @property
    def worst_first(self) -> list[Cell]:
        return sorted(self.cells, key=lambda cell: cell.rank)

    @property
    def kinds(self) -> list[str]:
        return list(dict.fromkeys(cell.kind for cell in self.cells))

    @property
    def targets(self) -> list[str]:
        """The target with the worst cell first."""
        return list(dict.fromkeys(cell.target for cell in self.worst_first))

    def at(self, target: str, kind: str) -> Cell | None:
        """The cell of a place; None of a fault that is not for this kind of place."""
        return next((cell for cell in self.cells if (cell.target, cell.kind) == (target, kind)), None)

    @property
    def counted(self) -> str:
        """`57 places: 3 FAIL (veto), 4 FAIL, 50 PASS`."""
        words = [cell.word for cell in self.worst_first]
        counts = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))
        return f"{noun(len(words), 'place')}: {counts}"


@dataclass(frozen=True, slots=True)
class ScanDocument:
    """The file scan.json; `format` counts up when a reader would have to change."""

    format: Literal[1]  # the version of this format; it counts up when a reader would have to change
    kind: Literal["scan"]  # always `scan`, which tells documents apart
    report: ScanReport  # the whole report


def render_json(report: ScanReport) -> str:
    """Schema: docs/schemas/scan.schema.json."""
    document = ScanDocument(1, "scan", report)
    return document_text(document)


def scan_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of what `render_json` writes."""
    return document_schema(ScanDocument)


def render_markdown(report: ScanReport) -> str:
    """The table, then why each cell that did not pass did not."""
    rows = [
        (text(target), *(_short(report.at(target, kind)) for kind in report.kinds))
        for target in report.targets
    ]
    lines = [f"# Scan of {text(report.name)}: {text(report.counted)}", ""]
    lines += [f"Design {code(report.design)}, runtime {text(report.runtime)}.", ""]
    lines += [*table(("place", *report.kinds), rows), ""]
    lines += [f"- {text(said)}" for said in reasons(report)]
    return "\n".join([*lines, "", f"Again: {code(report.command)}", ""])


def render_html(report: ScanReport) -> str:
    """One page without network and scripts."""
    return render_page("scan.html", report=report)


def reasons(report: ScanReport) -> list[str]:
    """A sentence for every cell that did not pass, the worst first."""
    return [
        f"{cell.word}: {cell.kind} on {cell.target}: {cell.headline or cell.impossible or 'interrupted'}"
        for cell in report.worst_first
        if cell.verdict is not Verdict.PASS
    ]


def scan_lines(report: ScanReport) -> list[str]:
    """For a terminal: the table with its columns set apart, then the reasons."""
    rows = [("place", *report.kinds)]
    rows += [
        (target, *(_short(report.at(target, kind)) for kind in report.kinds)) for target in report.targets
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [*(_row(row, widths) for row in rows), *reasons(report), report.counted]


def _row(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip()


def _short(cell: Cell | None) -> str:
    """The verdict with the score beside it."""
    if cell is None:
        return "–"
    scored = f" {cell.score:.0f}" if cell.score is not None and not cell.vetoed else ""
    return f"{cell.word}{scored}"


SCAN_FORMATS: dict[str, Callable[[ScanReport], str]] = {
    "scan.html": render_html,
    "scan.md": render_markdown,
    "scan.json": render_json,
    "scan.txt": lambda report: "\n".join(scan_lines(report)) + "\n",
}
