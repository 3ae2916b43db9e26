"""The history of a run: everything that happened, in one append-only file of JSON lines, loaded into columns.

Every line is one object whose first key is `type`. Times `t` (and intended, sent, ended) are seconds since
the run's zero, the start of warm-up. Lines come from several processes and are not sorted in the file; a
loaded History is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from experiment.errors import HistoryError
from experiment.history_frames import (
    OPERATIONS,
    RECORDS,
    SHOWN_BYTES,
    Table,
    frame_of_lines,
    frame_of_rows,
    is_json,
    require_outcomes,
)
from experiment.history_lines import read_ahead
from experiment.rows import (
    FORMAT,
    End,
    FaultEvent,
    Header,
    LoadReport,
    Note,
    Operation,
    Outcome,
    PhaseEvent,
    Record,
    Row,
    Sample,
    encode,
)

__all__ = [
    "FORMAT",
    "End",
    "FaultEvent",
    "Header",
    "History",
    "LoadReport",
    "Note",
    "Operation",
    "Outcome",
    "PhaseEvent",
    "Record",
    "Row",
    "Sample",
    "build",
    "encode",
    "load_history",
]


@dataclass(frozen=True, slots=True)
class History:
    """A loaded history. `operations` and `records` are polars frames with the columns of Operation and
    Record; the columns named in CATEGORIES are categorical."""

    header: Header
    operations: pl.DataFrame
    records: pl.DataFrame
    phases: tuple[PhaseEvent, ...]
    faults: tuple[FaultEvent, ...]
    samples: tuple[Sample, ...]
    load: tuple[LoadReport, ...]
    notes: tuple[Note, ...]
    end: End | None

    def phase(self, name: str) -> PhaseEvent | None:
        return next((phase for phase in self.phases if phase.name == name), None)


_OTHERS: dict[str, type] = {
    cls.TAG: cls for cls in (Header, PhaseEvent, FaultEvent, Sample, LoadReport, Note, End)
}


def build(rows: Iterable[Row]) -> History:
    """A History from rows in memory (the simulator's way, and the tests')."""
    kept: list[Row] = list(rows)
    operations = [row for row in kept if isinstance(row, Operation)]
    records = [row for row in kept if isinstance(row, Record)]
    others = [row for row in kept if not isinstance(row, (Operation, Record))]
    return _assemble(frame_of_rows(operations, OPERATIONS), frame_of_rows(records, RECORDS), others, "memory")


def load_history(path: Path) -> History:
    """Read a history file, also one that was cut off in the middle of a line. Lines that a crash or a full
    disk tore are left out and counted in a note. Raises HistoryError."""
    operations: list[pl.DataFrame] = []
    records: list[pl.DataFrame] = []
    others: list[Row] = []
    torn = 0
    try:
        for lines in read_ahead(path):
            torn += lines.torn
            torn += _append(operations, lines.operations, OPERATIONS, path)
            torn += _append(records, lines.records, RECORDS, path)
            whole = [line for line in lines.others if is_json(line)]
            torn += len(lines.others) - len(whole)
            others.extend(_other(line, path) for line in whole)
    except OSError as error:
        raise HistoryError(f"{path}: no readable history ({error.strerror}); name a run folder") from None
    if torn:
        others.append(Note(0.0, "warning", f"lines of the history that were torn and are left out: {torn}"))
    return _assemble(_taken(operations, OPERATIONS), _taken(records, RECORDS), others, str(path))


def _append(parts: list[pl.DataFrame], text: bytes, table: Table, path: Path) -> int:
    """Add the columns of `text` to the parts. Returns how many lines were torn."""
    if not text:
        return 0
    frame, torn = frame_of_lines(text, table, str(path))
    parts.append(frame)
    return torn


def _taken(parts: list[pl.DataFrame], table: Table) -> pl.DataFrame:
    """The parts as one; the list is emptied, so that nothing else holds their memory."""
    whole = pl.concat(parts) if parts else frame_of_rows([], table)
    parts.clear()
    return whole


def _other(line: bytes, path: Path) -> Row:
    try:
        plain = msgspec.json.decode(line)
        cls = _OTHERS[plain.pop("type")]
        row: Row = msgspec.convert(plain, cls)
    except (msgspec.MsgspecError, KeyError, AttributeError) as error:
        shown = line[:SHOWN_BYTES].decode("utf-8", "replace")
        raise HistoryError(f"{path}: found a line that is no event of a history: {shown} ({error})") from None
    return row


def _in_order(operations: pl.DataFrame) -> pl.DataFrame:
    """Sorted by intended start, one column after the other: sorting all at once would hold them twice."""
    order = operations.select(pl.arg_sort_by("intended", "id")).to_series()
    return pl.DataFrame([operations.drop_in_place(name).gather(order) for name in operations.columns])


def _assemble(operations: pl.DataFrame, records: pl.DataFrame, others: Sequence[Row], where: str) -> History:
    headers = [row for row in others if isinstance(row, Header)]
    if len(headers) != 1:
        raise HistoryError(
            f"{where}: found {len(headers)} headers, expected one; this is no complete history"
        )
    if headers[0].format != FORMAT:
        raise HistoryError(f"{where}: found history format {headers[0].format}, expected {FORMAT}")

    require_outcomes(operations, where)

    def of(cls: type, key: str) -> tuple[Any, ...]:
        return tuple(
            sorted((row for row in others if isinstance(row, cls)), key=lambda row: getattr(row, key))
        )

    ends = of(End, "t")
    return History(
        headers[0],
        _in_order(operations),
        records,
        of(PhaseEvent, "start"),
        of(FaultEvent, "t"),
        of(Sample, "t"),
        of(LoadReport, "t"),
        of(Note, "t"),
        ends[-1] if ends else None,
    )
