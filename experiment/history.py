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

CATEGORIES = ("journey", "outcome", "error", "label", "store", "kind", "status", "caller")

OPERATION_SCHEMA: dict[str, Any] = {
    "id": pl.Int64,
    "journey": pl.String,
    "key": pl.String,
    "intended": pl.Float64,
    "sent": pl.Float64,
    "ended": pl.Float64,
    "outcome": pl.String,
    "status": pl.Int32,
    "error": pl.String,
    "trace": pl.String,
    "version": pl.Int32,
    "expected_version": pl.Int32,
    "value": pl.String,
    "label": pl.String,
    "age": pl.Float64,
}
RECORD_SCHEMA: dict[str, Any] = {
    "store": pl.String,
    "kind": pl.String,
    "key": pl.String,
    "id": pl.String,
    "t": pl.Float64,
    "version": pl.Int32,
    "status": pl.String,
    "amount": pl.Float64,
    "value": pl.String,
    "caller": pl.String,
}


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
    return _assemble(_frame(operations, OPERATION_SCHEMA), _frame(records, RECORD_SCHEMA), others, "memory")


def _frame(rows: list[Any], schema: dict[str, Any]) -> pl.DataFrame:
    columns = {name: [getattr(row, name) for row in rows] for name in schema}
    return _narrow(pl.DataFrame(columns, schema=schema))


def load_history(path: Path) -> History:
    """Read a history file, also one that was cut off in the middle of a line. Raises HistoryError."""
    operations: list[pl.DataFrame] = []
    records: list[pl.DataFrame] = []
    others: list[Row] = []
    try:
        for lines in read_ahead(path):
            if lines.operations:
                operations.append(_parse_frame(lines.operations, OPERATION_SCHEMA))
            if lines.records:
                records.append(_parse_frame(lines.records, RECORD_SCHEMA))
            others.extend(_other(line, path) for line in lines.others)
    except OSError as error:
        raise HistoryError(f"{path}: no readable history ({error.strerror}); name a run folder") from None
    whole = _taken(operations, OPERATION_SCHEMA), _taken(records, RECORD_SCHEMA)
    return _assemble(*whole, others, str(path))


def _taken(parts: list[pl.DataFrame], schema: dict[str, Any]) -> pl.DataFrame:
    """The parts as one; the list is emptied, so that nothing else holds their memory."""
    whole = pl.concat(parts) if parts else _frame([], schema)
    parts.clear()
    return whole


def _other(line: bytes, path: Path) -> Row:
    try:
        plain = msgspec.json.decode(line)
        cls = _OTHERS[plain.pop("type")]
        row: Row = msgspec.convert(plain, cls)
    except (msgspec.MsgspecError, KeyError, AttributeError) as error:
        shown = line[:80].decode("utf-8", "replace")
        raise HistoryError(f"{path}: found a line that is no event of a history: {shown} ({error})") from None
    return row


def _parse_frame(text: bytes, schema: dict[str, Any]) -> pl.DataFrame:
    """NDJSON into columns. Lines that are no JSON (torn in the middle by a crash) are dropped."""
    try:
        frame = pl.read_ndjson(text, schema=schema)
    except pl.exceptions.ComputeError:
        frame = pl.read_ndjson(
            b"".join(line for line in text.splitlines(True) if _whole(line)), schema=schema
        )
    return _narrow(frame)


def _whole(line: bytes) -> bool:
    try:
        msgspec.json.decode(line, type=dict)
    except msgspec.MsgspecError:
        return False
    return True


def _narrow(frame: pl.DataFrame) -> pl.DataFrame:
    """Columns of few distinct texts as categories: a fourth of the memory, and faster to group."""
    texts = [name for name in CATEGORIES if frame.schema.get(name) == pl.String]
    return frame.with_columns(pl.col(name).cast(pl.Categorical) for name in texts)


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
