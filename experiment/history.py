"""The history of a run: everything that happened, in one append-only file of JSON lines, loaded into columns.

Every line is one object whose first key is `type`. Times `t` (and intended, sent, ended) are seconds since
the run's zero, the start of warm-up. Lines come from several processes and are not sorted in the file; a
loaded History is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from experiment.errors import HistoryError
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

CHUNK_BYTES = 48_000_000

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
    Record."""

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
    return pl.DataFrame(columns, schema=schema)


def load_history(path: Path) -> History:
    """Read a history file, also one that was cut off in the middle of a line. Raises HistoryError."""
    operations: list[pl.DataFrame] = []
    records: list[pl.DataFrame] = []
    others: list[Row] = []
    try:
        for lines in _chunks(path):
            by_type = _split(lines, path)
            if by_type.operations:
                operations.append(_parse_frame(by_type.operations, OPERATION_SCHEMA))
            if by_type.records:
                records.append(_parse_frame(by_type.records, RECORD_SCHEMA))
            others.extend(by_type.others)
    except OSError as error:
        raise HistoryError(f"{path}: no readable history ({error.strerror}); name a run folder") from None
    ops = pl.concat(operations) if operations else pl.DataFrame(schema=OPERATION_SCHEMA)
    recs = pl.concat(records) if records else pl.DataFrame(schema=RECORD_SCHEMA)
    return _assemble(ops, recs, others, str(path))


def _chunks(path: Path) -> Iterator[list[bytes]]:
    """Whole lines, a bounded number of bytes at a time; a last line without newline was cut off and is
    dropped."""
    with path.open("rb") as file:
        rest = b""
        while block := file.read(CHUNK_BYTES):
            block = rest + block
            cut = block.rfind(b"\n") + 1
            rest = block[cut:]
            yield block[:cut].splitlines()


@dataclass(slots=True)
class _Split:
    operations: list[bytes]
    records: list[bytes]
    others: list[Row]


def _split(lines: list[bytes], path: Path) -> _Split:
    """Sort lines by type. A line that was cut off by a full disk or a crash lacks its brace and is
    dropped."""
    result = _Split([], [], [])
    for line in lines:
        if not line.endswith(b"}"):
            continue
        if line.startswith(b'{"type":"op"'):
            result.operations.append(line)
        elif line.startswith(b'{"type":"record"'):
            result.records.append(line)
        else:
            result.others.append(_other(line, path))
    return result


def _other(line: bytes, path: Path) -> Row:
    try:
        plain = msgspec.json.decode(line)
        cls = _OTHERS[plain.pop("type")]
        row: Row = msgspec.convert(plain, cls)
    except (msgspec.MsgspecError, KeyError, AttributeError) as error:
        shown = line[:80].decode("utf-8", "replace")
        raise HistoryError(f"{path}: found a line that is no event of a history: {shown} ({error})") from None
    return row


def _parse_frame(lines: list[bytes], schema: dict[str, Any]) -> pl.DataFrame:
    return pl.read_ndjson(b"\n".join(lines), schema=schema)


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
        operations.sort("intended", "id"),
        records,
        of(PhaseEvent, "start"),
        of(FaultEvent, "t"),
        of(Sample, "t"),
        of(LoadReport, "t"),
        of(Note, "t"),
        ends[-1] if ends else None,
    )
