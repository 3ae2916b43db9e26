"""A finished history once more, in columns: three Parquet files beside the lines, ten times faster to load.

The lines are what is written while a run goes on, and what counts. The columns are made from them once, when
the run is judged. Each file names the digest of the lines that it was made from, so that columns are never
taken for those of another history, whoever made the manifest.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from experiment.errors import HistoryError
from experiment.history import History, Row, assembled, row_of_line, tally_of_parts
from experiment.history_frames import (
    OPERATIONS,
    RECORDS,
    Table,
    frame_of_lines,
    frame_of_rows,
    require_outcomes,
)
from experiment.history_lines import read_ahead
from experiment.libraries import pl
from experiment.regular_files import open_regular
from experiment.rows import Operation, Record, encode

COLUMNS = ("history.operations.parquet", "history.records.parquet", "history.events.parquet")
VERSION = "1"  # of these files
ROWS = 250_000  # of a group, so that a part can be read alone
LINE = "line"  # the column of all events but operations and records, as they stand in the history
LARGE = 3_000_000  # rows, from which on they are not held in memory as a whole
SEEDS = (1, 2)  # of two hashes of a row: together 128 bits
_NOTHING = (0, *(0 for _ in SEEDS))


def kept_in_columns(history: History) -> bool:
    """Whether every line was read, the end among them: only then do columns say all that lines say."""
    return history.end is not None and history.ends == 1 and not history.torn


def write_columns(folder: Path, history: History, digest: str) -> None:
    """The three files of a history that `kept_in_columns`; `digest` is that of its lines. Raises OSError."""
    events = pl.DataFrame({LINE: [encode(row).decode() for row in _events(history)]}, {LINE: pl.String})
    frames = (history.lazy_operations, history.lazy_records, events.lazy())
    for name, frame in zip(COLUMNS, frames, strict=True):
        _write(folder / name, frame.collect(), digest)


def remove_columns(folder: Path) -> None:
    """What an earlier judgement left that was cut short."""
    for name in COLUMNS:
        (folder / name).unlink(missing_ok=True)


def load_columns(folder: Path, digest: str) -> History:
    """The history of which the lines have this digest; a large one stays on the disk, see History. Raises
    HistoryError for any other, and for files that cannot be read."""
    operations, records, events = folder / COLUMNS[0], folder / COLUMNS[1], folder / COLUMNS[2]
    asked, asked_rows = _read(operations, digest, _schema(OPERATIONS), OPERATIONS.required)
    kept, kept_rows = _read(records, digest, _schema(RECORDS), RECORDS.required)
    lines, _ = _read(events, digest, {LINE: pl.String()}, (LINE,))
    others = [row_of_line(line.encode(), events) for line in lines.collect().to_series()]
    seen = _looked_at(asked, operations)
    if seen["out_of_order"].any():
        raise HistoryError(f"{operations}: found operations in another order, expected that of their start")
    require_outcomes(seen["outcome"], str(operations))
    return assembled(asked, kept, others, str(folder), tally_of_parts(asked_rows, kept_rows, others))


def _looked_at(operations: pl.LazyFrame, path: Path) -> pl.DataFrame:
    """Each outcome that there is, and whether any operation comes before one that started earlier."""
    step, next_id = pl.col("intended").diff(), pl.col("id").diff()
    wrong = (step < 0) | ((step == 0) & (next_id < 0))
    seen = operations.select(pl.col("outcome").unique().implode(), out_of_order=wrong.any()).explode(
        "outcome"
    )
    return _collected(seen, path)


def require_same(folder: Path, history: History, path: Path) -> None:
    """The history of the columns is that of its lines in `path`, row by row, whatever digests say. Needs a
    chunk of the lines at a time. Raises HistoryError."""
    seen = {table.name: _NOTHING for table in (OPERATIONS, RECORDS)}
    events: list[Row] = []
    torn = 0
    for lines in read_ahead(path):
        torn += lines.torn
        for table, text in ((OPERATIONS, lines.operations), (RECORDS, lines.records)):
            if text:
                frame, more = frame_of_lines(text, table, str(path))
                torn += more
                seen[table.name] = _added(seen[table.name], _sum(frame))
        events.extend(row_of_line(line, path) for line in lines.others)
    held = (
        (COLUMNS[0], OPERATIONS, history.lazy_operations, Operation.TAG),
        (COLUMNS[1], RECORDS, history.lazy_records, Record.TAG),
    )
    for name, table, rows, tag in held:
        if torn or _sum_of(rows, history.tally.get(tag, 0)) != seen[table.name]:
            raise _other(folder / name, path)
    if sorted(map(encode, events)) != sorted(map(encode, _events(history))):
        raise _other(folder / COLUMNS[2], path)


def _other(columns: Path, lines: Path) -> HistoryError:
    hint = "one of them was changed: nothing can be said of this run"
    return HistoryError(f"{columns}: found other rows than those of {lines.name}; {hint}")


def _events(history: History) -> Iterator[Row]:
    """Everything but operations and records."""
    yield history.header
    parts: tuple[Iterable[Row], ...] = (
        history.phases, history.faults, history.samples, history.load, history.notes, history.designs,
    )  # fmt: skip
    for rows in parts:
        yield from rows
    if history.end is not None:
        yield history.end


def _write(path: Path, frame: pl.DataFrame, digest: str) -> None:
    """Beside the file, then in its place: a full disk leaves no half of it."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        frame.write_parquet(
            unfinished,
            compression="zstd",
            row_group_size=ROWS,
            metadata={"lines": digest, "version": VERSION},
        )
        unfinished.replace(path)
    except pl.exceptions.PolarsError as error:  # which has the number of the system's error in its text
        with suppress(OSError):
            unfinished.unlink()
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        code = int(number.group(1))
        raise OSError(code, os.strerror(code), str(path)) from None


def _read(
    path: Path, digest: str, schema: dict[str, pl.DataType], required: tuple[str, ...]
) -> tuple[pl.LazyFrame, int]:
    """The rows of one file, in the columns that it must have, and how many there are. Raises HistoryError."""
    with _readable(path), open_regular(path) as file:
        said = pl.read_parquet_metadata(file)
    if said.get("version") != VERSION:
        raise HistoryError(f"{path}: found version {said.get('version')} of columns, expected {VERSION}")
    if said.get("lines") != digest:
        raise HistoryError(f"{path}: found columns of another history than history.jsonl beside them")
    lazy = pl.scan_parquet(path, glob=False)
    rows = int(_collected(lazy.select(pl.len()), path).item())
    if rows <= LARGE:
        lazy = _collected(lazy, path).lazy()
    if dict(lazy.collect_schema()) != schema:
        raise HistoryError(
            f"{path}: found other columns than those of a history, expected {', '.join(schema)}"
        )
    missing = _collected(lazy.select(pl.col(required).null_count()), path).row(0, named=True)
    if lacking := [name for name, count in missing.items() if count]:
        raise HistoryError(f"{path}: found a row without {lacking[0]}, expected one in each")
    return lazy, rows


def _collected(lazy: pl.LazyFrame, path: Path) -> pl.DataFrame:
    """Raises HistoryError for what cannot be read."""
    with _readable(path):
        return lazy.collect()


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Whatever reading a file may end with that is none; a panic of Polars is no exception of its own."""
    try:
        yield
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        why = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise HistoryError(f"{path}: found no readable columns ({why}), expected those of the run") from None


def _schema(table: Table) -> dict[str, pl.DataType]:
    return dict(frame_of_rows([], table).schema)


def _sum(frame: pl.DataFrame) -> tuple[int, ...]:
    """How many rows there are, and sums of their hashes: the same for the same rows in any order."""
    plain = frame.with_columns(pl.col(pl.Categorical).cast(pl.String))
    hashes = (plain.hash_rows(seed).cast(pl.Int128).sum() if frame.height else 0 for seed in SEEDS)
    return (frame.height, *(int(one) for one in hashes))


def _sum_of(rows: pl.LazyFrame, height: int) -> tuple[int, ...]:
    """The same, a part at a time."""
    found = _NOTHING
    for start in range(0, height, ROWS):
        found = _added(found, _sum(rows.slice(start, ROWS).collect()))
    return found


def _added(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(one, other, strict=True))
