"""Writing and loading a history, whole, interleaved, cut off and damaged."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pytest

from experiment import history_lines
from experiment.errors import HistoryError
from experiment.history import build, encode, load_history
from experiment.recorder import Recorder
from experiment.rows import End, Header, LoadReport, Operation, PhaseEvent, Record, Row, Sample

HEADER = Header(1, "r-1", "processes", "s", "d", "clinic", 1, "2026-03-01T10:00:00+00:00", 1.7e9)


def rows(count: int = 50) -> list[Row]:
    """Every type of line, in an order that no process would write them in."""
    made: list[Row] = [HEADER, PhaseEvent("baseline", 0.0, 10.0), End(40.0, "completed", True)]
    made += [
        Operation(i, "pay", f"inv-{i}", i / 10, i / 10, i / 10 + 0.1, "acknowledged", 200, trace="ab" * 16)
        for i in range(count)
    ]
    made += [Record("payments", "charge", f"inv-{i}", f"ch-{i}", i / 10, amount=5.0) for i in range(count)]
    made += [Sample(float(i), "billing", "attempts", float(i), "payments") for i in range(10)]
    made += [LoadReport(float(i), 0, 10, 10, 0.0, 0.0, 0.0) for i in range(10)]
    random.Random(4).shuffle(made)
    return made


def written(path: Path, made: list[Row]) -> Path:
    recorder = Recorder(path / "history.jsonl")
    recorder.write_all(made)
    recorder.close()
    return path / "history.jsonl"


@pytest.mark.parametrize("chunk", [97, 1000, 16_000_000])
def test_what_is_loaded_is_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    """Whatever the chunk that is read at once, the history is that of the rows in memory."""
    monkeypatch.setattr(history_lines, "CHUNK_BYTES", chunk)
    loaded, built = load_history(written(tmp_path, rows())), build(rows())
    assert loaded.operations.equals(built.operations)
    assert loaded.records.sort("key").equals(built.records.sort("key"))
    assert loaded.samples == built.samples
    assert (loaded.header, loaded.phases, loaded.load, loaded.end) == (
        built.header,
        built.phases,
        built.load,
        built.end,
    )


def test_operations_are_sorted_by_intended_start(tmp_path: Path) -> None:
    """The order of the file, which is that of the ends, is not kept."""
    loaded = load_history(written(tmp_path, rows()))
    assert loaded.operations["id"].to_list() == list(range(50))


def test_a_file_cut_off_in_a_line_loads_up_to_it(tmp_path: Path) -> None:
    """A crash while writing: the half line is dropped, the rest stays."""
    path = tmp_path / "history.jsonl"
    path.write_bytes(encode(HEADER) + encode(rows()[1]) + b'{"type":"op","id":7,"journ')
    assert load_history(path).header == HEADER


def test_a_torn_line_in_the_middle_is_dropped(tmp_path: Path) -> None:
    """A full disk tore a line, later lines were written again: only the torn one is lost."""
    first, second = (Operation(i, "pay", f"inv-{i}", 1.0, 1.0, 1.1, "acknowledged") for i in (1, 2))
    path = tmp_path / "history.jsonl"
    path.write_bytes(encode(HEADER) + encode(first) + encode(second)[:40] + b"\n" + encode(second))
    assert load_history(path).operations["id"].to_list() == [1, 2]


def test_a_line_torn_into_another_is_dropped(tmp_path: Path) -> None:
    """Half a line and a whole one without a newline between them end like a line and are no JSON."""
    first, second = (Operation(i, "pay", f"inv-{i}", 1.0, 1.0, 1.1, "acknowledged") for i in (1, 2))
    path = tmp_path / "history.jsonl"
    path.write_bytes(encode(HEADER) + encode(first) + encode(second)[:40] + encode(second) + encode(first))
    assert load_history(path).operations["id"].to_list() == [1, 1]


def test_few_distinct_texts_are_categories(tmp_path: Path) -> None:
    """Loaded and built histories have the same types, and a type that a record does not share keeps its
    own."""
    loaded, built = load_history(written(tmp_path, rows())), build([HEADER])
    assert loaded.operations.schema == built.operations.schema
    assert loaded.records.schema == built.records.schema
    assert loaded.operations.schema["journey"] == pl.Categorical
    assert loaded.operations.schema["status"] == pl.Int32


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "found 0 headers"),
        (encode(HEADER) + encode(HEADER), "found 2 headers"),
        (b'{"type":"header","format":9}\n', "found a line that is no event"),
        (encode(HEADER) + b'{"type":"opera","x":1}\n', "found a line that is no event"),
        (encode(HEADER) + b'{"kind":1}\n', "found a line that is no event"),
        (encode(HEADER) + b'{"type":"sample"}\n', "found a line that is no event"),
    ],
)
def test_what_is_no_history_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """Each with the file and what was found."""
    path = tmp_path / "history.jsonl"
    path.write_bytes(content)
    with pytest.raises(HistoryError, match=message):
        load_history(path)


def test_a_missing_file_names_what_to_do(tmp_path: Path) -> None:
    """The message says that a run folder is expected."""
    with pytest.raises(HistoryError, match="name a run folder"):
        load_history(tmp_path / "nowhere.jsonl")
