"""A history in columns: what lines say, and nothing else; whatever differs is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import polars as pl
import pytest

from experiment import history_columns, history_lines
from experiment.errors import HistoryError
from experiment.history import History, load_history
from experiment.history_columns import (
    COLUMNS,
    kept_in_columns,
    load_columns,
    remove_columns,
    require_same,
    write_columns,
)
from experiment.rows import FaultEvent, Note, Obeyed, Operation, Row
from tests.experiment.test_history import rows, written

DIGEST = "the digest of the lines"
MORE: list[Row] = [
    FaultEvent("f1", "latency", "a -> b", "active", 1.0, 1.0, measured={"s": {"p50": 0.1}}),
    Obeyed(1.0, "billing", "ab", {"timeout": 0.3, "name": "é\n"}),
    Note(1.0, "info", 'a "text"'),
    Operation(99, "pay", "inv-é", 1 / 3, None, 1e-9, "rejected", value="\u2028", age=0.1 + 0.2),
]


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    """A history of every type of line."""
    return written(tmp_path, [*rows(), *MORE])


@pytest.fixture
def columns(lines: Path) -> Path:
    """Its columns, in the same folder."""
    write_columns(lines.parent, load_history(lines), DIGEST)
    return lines.parent


def test_columns_give_the_history_that_the_lines_give(lines: Path, columns: Path) -> None:
    """Every part of it, also texts of any language and times to the last bit."""
    from_lines, from_columns = load_history(lines), load_columns(columns, DIGEST)
    for one in fields(History):
        mine, other = getattr(from_columns, one.name), getattr(from_lines, one.name)
        if isinstance(mine, pl.LazyFrame):
            assert mine.collect_schema() == other.collect_schema()
            assert mine.collect().equals(other.collect()), one.name
        else:
            assert mine == other, one.name


def test_a_large_history_stays_on_the_disk(
    lines: Path, columns: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says the same; nothing of it is held but what was asked for."""
    in_memory = load_columns(columns, DIGEST)
    monkeypatch.setattr(history_columns, "LARGE", 10)
    on_disk = load_columns(columns, DIGEST)
    assert "Parquet SCAN" in on_disk.lazy_operations.explain()
    assert "Parquet SCAN" not in in_memory.lazy_operations.explain()
    assert on_disk.operations.equals(in_memory.operations) and on_disk.records.equals(in_memory.records)
    assert (on_disk.tally, on_disk.stores) == (in_memory.tally, in_memory.stores)
    monkeypatch.setattr(history_columns, "ROWS", 7)
    require_same(columns, on_disk, lines)


def test_a_history_without_operations_and_records_has_columns_too(tmp_path: Path) -> None:
    """A run whose load was none."""
    path = written(tmp_path, rows(0))
    write_columns(tmp_path, load_history(path), DIGEST)
    found = load_columns(tmp_path, DIGEST)
    assert (found.operations.height, found.records.height, found.tally) == (0, 0, load_history(path).tally)
    require_same(tmp_path, found, path)


@pytest.mark.parametrize("chunk", [200, 16_000_000])
def test_the_same_rows_are_the_same_in_any_chunks(
    lines: Path, columns: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    """The lines are in the order of their ends, the operations in that of their starts."""
    monkeypatch.setattr(history_lines, "CHUNK_BYTES", chunk)
    require_same(columns, load_columns(columns, DIGEST), lines)


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "operations": lambda text: text.replace(b'"outcome":"rejected"', b'"outcome":"acknowledged"'),
    "records": lambda text: text.replace(b'"amount":5.0', b'"amount":5.000000000000001', 1),
    "events": lambda text: text.replace(b'"level":"info"', b'"level":"warning"'),
}


@pytest.mark.parametrize("part", list(CHANGES))
def test_one_value_that_differs_is_refused(part: str, lines: Path, columns: Path) -> None:
    """By the full comparison, which needs no digest."""
    before = lines.read_bytes()
    lines.write_bytes(CHANGES[part](before))
    assert lines.read_bytes() != before
    with pytest.raises(HistoryError, match=rf"history\.{part}\.parquet: found other rows than those of"):
        require_same(columns, load_columns(columns, DIGEST), lines)


def test_a_line_more_or_less_or_torn_is_refused(lines: Path, columns: Path) -> None:
    """Also one that stands there twice, and half a line between whole ones."""
    whole = lines.read_bytes().splitlines(True)
    record = next(line for line in whole if line.startswith(b'{"type":"record"'))
    for changed in (
        [*whole, record],
        [line for line in whole if line != record],
        [*whole[:3], record[:20] + b"\n", *whole[3:]],
    ):
        lines.write_bytes(b"".join(changed))
        with pytest.raises(HistoryError, match="found other rows than those of"):
            require_same(columns, load_columns(columns, DIGEST), lines)


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_of_another_history_are_refused(name: str, columns: Path) -> None:
    """Each file says of which lines it was made."""
    frame = pl.read_parquet(columns / name)
    frame.write_parquet(columns / name, metadata={"lines": "another", "version": "1"})
    with pytest.raises(HistoryError, match=rf"{name}: found columns of another history"):
        load_columns(columns, DIGEST)
    frame.write_parquet(columns / name, metadata={"lines": DIGEST, "version": "2"})
    with pytest.raises(HistoryError, match=rf"{name}: found version 2 of columns, expected 1"):
        load_columns(columns, DIGEST)


@pytest.mark.parametrize("name", COLUMNS)
def test_files_that_are_no_columns_are_refused_by_their_name(name: str, columns: Path) -> None:
    """Cut off, empty, of another kind, gone, with other columns, or with a row that lacks a value."""
    path = columns / name
    whole, frame = path.read_bytes(), pl.read_parquet(path)
    said = {"lines": DIGEST, "version": "1"}
    for content in (b"", whole[:-100], b"{}\n"):
        path.write_bytes(content)
        with pytest.raises(HistoryError, match=rf"{name}: found no readable columns"):
            load_columns(columns, DIGEST)
    path.unlink()
    with pytest.raises(HistoryError, match=rf"{name}: found no readable columns \(No such file"):
        load_columns(columns, DIGEST)
    frame.rename({frame.columns[0]: "other"}).write_parquet(path, metadata=said)
    with pytest.raises(HistoryError, match=rf"{name}: found other columns than those of a history"):
        load_columns(columns, DIGEST)
    needed = "key" if "key" in frame.columns else frame.columns[0]
    frame.with_columns(pl.lit(None, frame.schema[needed]).alias(needed)).write_parquet(path, metadata=said)
    with pytest.raises(HistoryError, match=rf"{name}: found a row without {needed}"):
        load_columns(columns, DIGEST)


def test_operations_in_another_order_are_refused(columns: Path) -> None:
    """Whoever judges relies on the order."""
    path = columns / COLUMNS[0]
    pl.read_parquet(path).reverse().write_parquet(path, metadata={"lines": DIGEST, "version": "1"})
    with pytest.raises(HistoryError, match="found operations in another order"):
        load_columns(columns, DIGEST)


def test_a_history_that_is_not_whole_has_no_columns(tmp_path: Path) -> None:
    """Without its end, with two of them, or with a torn line."""
    made = rows(5)
    path = written(tmp_path, made)
    assert kept_in_columns(load_history(path))
    path.write_bytes(path.read_bytes() + b'{"type":"op","id')
    assert not kept_in_columns(load_history(path))
    path.unlink()
    ends = [row for row in made if row.TAG == "end"]
    assert not kept_in_columns(load_history(written(tmp_path, [*made, *ends])))
    path.unlink()
    assert not kept_in_columns(load_history(written(tmp_path, [row for row in made if row not in ends])))


def test_a_full_disk_says_so_and_leaves_no_half(lines: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is that of the system, as for any other file."""
    write = pl.DataFrame.write_parquet

    def full(frame: pl.DataFrame, _path: Path, **options: object) -> None:
        write(frame, "/dev/full", **options)  # type: ignore[arg-type]  # as they were given

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    with pytest.raises(OSError, match="No space left on device"):
        write_columns(lines.parent, load_history(lines), DIGEST)
    assert [path.name for path in lines.parent.iterdir()] == [lines.name]


def test_columns_can_be_taken_away(columns: Path) -> None:
    """Once more, too."""
    remove_columns(columns)
    remove_columns(columns)
    assert not any((columns / name).exists() for name in COLUMNS)
