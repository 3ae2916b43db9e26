"""The history of a run: everything that happened, in one append-only file of JSON lines, loaded into columns.

Every line is one object whose first key is `type`. Times `t` (and intended, sent, ended) are seconds since
the run's zero, the start of warm-up. Lines come from several processes and are not sorted in the file; a
loaded History is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec

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
from experiment.libraries import pl
from experiment.regular_files import open_regular
from experiment.rows import (
    FORMAT,
    End,
    FaultEvent,
    Header,
    LoadReport,
    Note,
    Obeyed,
    Operation,
    Outcome,
    PhaseEvent,
    Record,
    Row,
    Sample,
    encode,
    tally_of,
)

__all__ = [
    "FORMAT",
    "End",
    "FaultEvent",
    "Header",
    "History",
    "HistoryReader",
    "LoadReport",
    "Note",
    "Obeyed",
    "Operation",
    "Outcome",
    "PhaseEvent",
    "Record",
    "Row",
    "Sample",
    "assembled",
    "build",
    "encode",
    "load_history",
    "read_header",
    "row_of_line",
    "tally_of_parts",
]


@dataclass(frozen=True, slots=True)
class History:
    """A loaded history. `operations` and `records` are polars frames with the columns of Operation and
    Record; the columns named in CATEGORIES are categorical. A large one lies on the disk: then the `lazy`
    frames read what a query needs of it, and asking for all is the caller's to afford."""

    header: Header
    lazy_operations: pl.LazyFrame
    lazy_records: pl.LazyFrame
    phases: tuple[PhaseEvent, ...]
    faults: tuple[FaultEvent, ...]
    samples: tuple[Sample, ...]
    load: tuple[LoadReport, ...]
    notes: tuple[Note, ...]
    end: End | None
    tally: Mapping[str, int] = field(default_factory=dict)  # lines by type, the end left out
    torn: int = 0  # lines that were left out
    ends: int = 0
    designs: tuple[Obeyed, ...] = ()
    stores: Mapping[str, int] = field(default_factory=dict)  # records by store

    @property
    def operations(self) -> pl.DataFrame:
        return self.lazy_operations.collect()

    @property
    def records(self) -> pl.DataFrame:
        return self.lazy_records.collect()

    def phase(self, name: str) -> PhaseEvent | None:
        return next((phase for phase in self.phases if phase.name == name), None)


_OTHERS: dict[str, type] = {
    cls.TAG: cls for cls in (Header, PhaseEvent, FaultEvent, Sample, LoadReport, Note, Obeyed, End)
}


def build(rows: Iterable[Row]) -> History:
    """A History from rows in memory (the simulator's way, and the tests')."""
    kept: list[Row] = list(rows)
    operations = [row for row in kept if isinstance(row, Operation)]
    records = [row for row in kept if isinstance(row, Record)]
    others = [row for row in kept if not isinstance(row, (Operation, Record))]
    frames = frame_of_rows(operations, OPERATIONS), frame_of_rows(records, RECORDS)
    tally = tally_of_parts(frames[0].height, frames[1].height, others)
    return assembled(_in_order(frames[0]).lazy(), frames[1].lazy(), others, "memory", tally)


class HistoryReader:
    """Reads a history while it grows, every line once: each `read` goes on where the last one ended.

    `header` stands in for one that was never written: of a run that ended before it began.
    """

    def __init__(self, path: Path, header: Header | None = None) -> None:
        self._path = path
        self._header = header
        self._operations: list[pl.DataFrame] = []
        self._records: list[pl.DataFrame] = []
        self._others: list[Row] = []
        self._torn = 0
        self._read = 0  # bytes

    def read(self) -> History:
        """Everything up to now; a line that is being written is left for the next time. Raises
        HistoryError."""
        self._go_on(whole=False)
        operations = _joined(self._operations, OPERATIONS).clone()  # assembling takes its columns away
        return self._assembled(operations, _joined(self._records, RECORDS))

    def finish(self) -> History:
        """The whole, also of a file that was cut off in the middle of a line. Lines that a crash or a full
        disk tore are left out and counted in a note. Nothing can be read after it. Raises HistoryError."""
        self._go_on(whole=True)
        return self._assembled(_taken(self._operations, OPERATIONS), _taken(self._records, RECORDS))

    def _go_on(self, whole: bool) -> None:
        path = self._path
        try:
            for lines in read_ahead(path, self._read, whole):
                self._read += lines.size
                self._torn += lines.torn
                self._torn += _append(self._operations, lines.operations, OPERATIONS, path)
                self._torn += _append(self._records, lines.records, RECORDS, path)
                good = [line for line in lines.others if is_json(line)]
                self._torn += len(lines.others) - len(good)
                self._others.extend(row_of_line(line, path) for line in good)
        except OSError as error:
            if self._header is None or not isinstance(error, FileNotFoundError):
                expected = "name a run folder"
                raise HistoryError(f"{path}: no readable history ({error.strerror}); {expected}") from None

    def _assembled(self, operations: pl.DataFrame, records: pl.DataFrame) -> History:
        others = list(self._others)
        tally = tally_of_parts(operations.height, records.height, others)
        if self._header is not None and not any(isinstance(row, Header) for row in others):
            others += [
                self._header,
                Note(0.0, "invalid", "the run ended before it began: nothing was played"),
            ]
        if self._torn:
            text = f"lines of the history that were torn and are left out: {self._torn}"
            others.append(Note(0.0, "warning", text))
        require_outcomes(operations["outcome"].unique(), str(self._path))
        in_order = _in_order(operations).lazy()
        return assembled(in_order, records.lazy(), others, str(self._path), tally, self._torn)


def read_header(path: Path) -> Header:
    """The header alone, which stands near the beginning of the file. Raises HistoryError."""
    try:
        with open_regular(path) as file:
            for line in file:
                if line.startswith(b'{"type":"header"') and is_json(line):
                    found = row_of_line(line, path)
                    assert isinstance(found, Header)
                    return found
    except OSError as error:
        raise HistoryError(f"{path}: no readable history ({error.strerror}); name a run folder") from None
    raise HistoryError(f"{path}: found no header, expected one; this is not a complete history")


def load_history(path: Path, header: Header | None = None) -> History:
    """A history file as a whole; see `HistoryReader`. Raises HistoryError."""
    return HistoryReader(path, header).finish()


def _append(parts: list[pl.DataFrame], text: bytes, table: Table, path: Path) -> int:
    """Add the columns of `text` to the parts. Returns how many lines were torn."""
    if not text:
        return 0
    frame, torn = frame_of_lines(text, table, str(path))
    parts.append(frame)
    return torn


def _joined(parts: list[pl.DataFrame], table: Table) -> pl.DataFrame:
    return pl.concat(parts) if parts else frame_of_rows([], table)


def _taken(parts: list[pl.DataFrame], table: Table) -> pl.DataFrame:
    """The parts as one; the list is emptied, so that nothing else holds their memory."""
    whole = _joined(parts, table)
    parts.clear()
    return whole


def row_of_line(line: bytes, path: Path) -> Row:
    """An event that is neither operation nor record. Raises HistoryError."""
    try:
        plain = msgspec.json.decode(line)
        cls = _OTHERS[plain.pop("type")]
        row: Row = msgspec.convert(plain, cls)
    except (msgspec.MsgspecError, KeyError, AttributeError, RecursionError) as error:
        shown = line[:SHOWN_BYTES].decode("utf-8", "replace")
        raise HistoryError(
            f"{path}: found a line that is not an event of a history: {shown} ({error})"
        ) from None
    return row


def _in_order(operations: pl.DataFrame) -> pl.DataFrame:
    """Sorted by intended start, one column after the other: sorting all at once would hold them twice."""
    order = operations.select(pl.arg_sort_by("intended", "id")).to_series()
    return pl.DataFrame([operations.drop_in_place(name).gather(order) for name in operations.columns])


def tally_of_parts(operations: int, records: int, others: Sequence[Row]) -> dict[str, int]:
    """How many lines of each type there are, the end left out."""
    frames = {Operation.TAG: operations, Record.TAG: records}
    return tally_of(others) | {name: height for name, height in frames.items() if height}


def assembled(
    operations: pl.LazyFrame,
    records: pl.LazyFrame,
    others: Sequence[Row],
    where: str,
    tally: Mapping[str, int],
    torn: int = 0,
) -> History:
    """A History from its parts, the operations in the order of their start. Raises HistoryError."""
    of_type: dict[type, list[Any]] = {cls: [] for cls in _OTHERS.values()}
    for row in others:
        of_type[row.__class__].append(row)
    headers = of_type[Header]
    if len(headers) != 1:
        raise HistoryError(
            f"{where}: found {len(headers)} headers, expected one; this is not a complete history"
        )
    if headers[0].format != FORMAT:
        raise HistoryError(f"{where}: found history format {headers[0].format}, expected {FORMAT}")

    def of(cls: type, key: str) -> tuple[Any, ...]:
        return tuple(sorted(of_type[cls], key=attrgetter(key)))

    ends = of(End, "t")
    return History(
        headers[0],
        operations,
        records,
        of(PhaseEvent, "start"),
        of(FaultEvent, "t"),
        of(Sample, "t"),
        of(LoadReport, "t"),
        of(Note, "t"),
        ends[-1] if ends else None,
        tally,
        torn,
        len(ends),
        of(Obeyed, "t"),
        _by_store(records),
    )


def _by_store(records: pl.LazyFrame) -> dict[str, int]:
    counts = records.group_by("store").len().with_columns(pl.col("store").cast(pl.String)).collect()
    return dict(counts.sort("store").iter_rows())
