"""The history of a run: everything that happened, in one append-only file of JSON lines, loaded into columns.

Every line is one object whose first key is `type`. Times `t` (and intended, sent, ended) are seconds since
the run's
zero, the start of warm-up. Lines come from several processes and are not sorted in the file; a loaded
History is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Literal

import msgspec
import polars as pl

from experiment.errors import HistoryError

FORMAT = 1
CHUNK_BYTES = 48_000_000

Outcome = Literal["acknowledged", "rejected", "indeterminate"]


@dataclass(frozen=True, slots=True)
class Header:
    """First line of a history: what was run, where and with what. `source` is the runtime's name."""

    TAG: ClassVar[str] = "header"
    format: int
    run_id: str
    source: str  # processes, containers or simulation
    scenario: str
    design: str
    system: str
    seed: int
    started_at: str  # ISO 8601
    zero_wall: float  # unix seconds of t = 0
    population: str = ""
    toxiproxy: str = ""  # which server the links ran through, with its version
    versions: Mapping[str, str] = field(default_factory=dict)
    git: str = ""
    command: str = ""  # reproduces the run
    calibration: str = ""  # simulated runs: the calibration file and its age
    clock_scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of a journey as its user saw it.

    `outcome` comes from the table in load/outcomes.py. `version` is the version read or written, `value`
    the dose or
    state, `label` what the answer said of itself (pending, cached, stale, held), `age` its labelled age in
    seconds.
    `sent` is None when the operation was never sent (what it needs had failed).
    """

    TAG: ClassVar[str] = "op"
    id: int
    journey: str
    key: str
    intended: float
    sent: float | None
    ended: float
    outcome: Outcome
    status: int | None = None
    error: str | None = None
    trace: str | None = None
    version: int | None = None
    expected_version: int | None = None  # If-Match of a write
    value: str | None = None
    label: str | None = None
    age: float | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a system of record, read after settling. `store` is the service that owns it."""

    TAG: ClassVar[str] = "record"
    store: str
    kind: str
    key: str
    id: str | None = None
    t: float | None = None
    version: int | None = None
    status: str | None = None
    amount: float | None = None
    value: str | None = None
    caller: str | None = None


@dataclass(frozen=True, slots=True)
class PhaseEvent:
    TAG: ClassVar[str] = "phase"
    name: str
    start: float
    end: float | None  # None: the run was cut off inside it


@dataclass(frozen=True, slots=True)
class FaultEvent:
    """`event`: inject, active (effect seen), no_effect, heal, healed (effect gone), not_healed, failed."""

    TAG: ClassVar[str] = "fault"
    fault: str
    kind: str
    target: str
    event: Literal["inject", "active", "no_effect", "heal", "healed", "not_healed", "failed"]
    t: float
    planned: float
    statement: str = ""
    existing_connections: str = ""
    measured: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading of one counter or gauge: source `billing`, name `attempts`, about `payments`."""

    TAG: ClassVar[str] = "sample"
    t: float
    source: str
    name: str
    value: float
    about: str = ""


@dataclass(frozen=True, slots=True)
class LoadReport:
    """One second of the load generator's own account: operations due and sent, and how late they were
    sent."""

    TAG: ClassVar[str] = "load"
    t: float
    worker: int
    offered: int
    achieved: int
    lag_p50: float
    lag_p99: float
    lag_max: float


@dataclass(frozen=True, slots=True)
class Note:
    """Something the reader of a report must know. `level` invalid makes the run invalid."""

    TAG: ClassVar[str] = "note"
    t: float
    level: Literal["info", "warning", "invalid"]
    text: str


@dataclass(frozen=True, slots=True)
class End:
    """Last line: a history without it was cut off."""

    TAG: ClassVar[str] = "end"
    t: float
    reason: Literal["completed", "interrupted", "failed"]
    clean: bool  # everything healed and stopped as far as this run had to
    statement: str = ""


Row = Header | Operation | Record | PhaseEvent | FaultEvent | Sample | LoadReport | Note | End

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


_ENCODER = msgspec.json.Encoder()
_FIELDS: dict[type, tuple[str, ...]] = {
    cls: tuple(f.name for f in fields(cls))
    for cls in (Header, Operation, Record, PhaseEvent, FaultEvent, Sample, LoadReport, Note, End)
}
_OTHERS: dict[str, type] = {
    cls.TAG: cls for cls in (Header, PhaseEvent, FaultEvent, Sample, LoadReport, Note, End)
}


def encode(row: Row) -> bytes:
    """One line with its newline. None fields are left out."""
    plain: dict[str, Any] = {"type": row.TAG}
    for name in _FIELDS[type(row)]:
        value = getattr(row, name)
        if value is not None:
            plain[name] = value
    return _ENCODER.encode(plain) + b"\n"


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
