"""Writing and loading a history, whole, interleaved, cut off and damaged."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from experiment import history_lines
from experiment.errors import HistoryError
from experiment.history import build, encode, load_history
from experiment.recorder import Recorder
from experiment.rows import (
    End,
    FaultEvent,
    Header,
    LoadReport,
    Note,
    Operation,
    PhaseEvent,
    Record,
    Row,
    Sample,
)

ROOT = Path(__file__).resolve().parents[2]
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


TORN: list[Row] = [
    *{type(row): row for row in rows(1)}.values(),
    FaultEvent("f1", "latency", "a -> b", "active", 1.0, 1.0, measured={"s": {"p50": 1.0}}),
    Note(1.0, "info", "a text"),
]
WARNING = "lines of the history that were torn and are left out: "


@pytest.mark.parametrize("row", TORN, ids=lambda row: row.TAG)
@pytest.mark.parametrize("joint", [b"", b"\n"], ids=["glued", "alone"])
def test_a_torn_line_of_any_type_is_left_out_and_counted(tmp_path: Path, row: Row, joint: bytes) -> None:
    """Cut off anywhere, on a line of its own or with the next line glued to it: the rest stays."""
    line = encode(row)
    last = encode(End(50.0, "completed", True))
    path = tmp_path / "history.jsonl"
    inner = {at + 1 for at, byte in enumerate(line[:-2]) if byte == ord("}")}
    for cut in sorted({1, 9, len(line) // 2, len(line) - 2, *inner}):
        path.write_bytes(encode(HEADER) + line[:cut] + joint + encode(Sample(1.0, "a", "b", 2.0)) + last)
        loaded = load_history(path)
        assert [note.text for note in loaded.notes] == [f"{WARNING}1"]
        assert (loaded.notes[0].level, len(loaded.samples)) == ("warning", len(joint))
        assert loaded.end == End(50.0, "completed", True)


@pytest.mark.parametrize(
    ("damage", "torn"),
    [
        (b"", 0),
        (b"\n\n", 0),
        (b"\0" * 500, 1),
        (b"\0" * 500 + b"\n", 1),
        (b"}\n", 1),
        (b'{"type":"sample","source":"\xff"}\n', 1),
        (b'{"type":"op","key":"\xff"}\n{"type":"record","key":"\xff"}\n', 2),
        (b'{"type":"op"\n{"type":"record"}}\n{"type":"phase"\n', 3),
        (b'{"type":"op","x":' + b"[" * 3000 + b"]" * 3000 + b"}\n", 1),
        (b'{"type":"note","x":' + b"[" * 3000 + b"]" * 3000 + b"}\n", 1),
    ],
)
def test_damage_of_any_kind_is_counted(tmp_path: Path, damage: bytes, torn: int) -> None:
    """Zeros after a power cut, broken text, empty lines (which are none)."""
    path = tmp_path / "history.jsonl"
    path.write_bytes(encode(HEADER) + damage)
    assert [note.text for note in load_history(path).notes] == ([f"{WARNING}{torn}"] if torn else [])


def test_a_last_line_that_only_lacks_its_newline_is_kept(tmp_path: Path) -> None:
    """It is whole: nothing of it is missing."""
    path = tmp_path / "history.jsonl"
    path.write_bytes(encode(HEADER) + encode(End(50.0, "completed", True)).rstrip())
    assert load_history(path).end == End(50.0, "completed", True)
    assert load_history(path).notes == ()


FILL = """
import resource, sys
from pathlib import Path
from experiment.recorder import Recorder
from experiment.rows import Sample
recorder = Recorder(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    for number in range(100):
        recorder.write(Sample(float(number), "load", "lag", 0.0))
except OSError:
    sys.exit(9)
"""


def test_a_history_that_two_processes_share_survives_a_full_disk(tmp_path: Path) -> None:
    """One of them may write no more and leaves half a line; the other goes on, and both are loaded."""
    path = written(tmp_path, [HEADER])
    assert subprocess.run([sys.executable, "-c", FILL, path], cwd=ROOT, check=False).returncode == 9
    assert path.stat().st_size == 1000
    recorder = Recorder(path)
    recorder.write(Sample(98.0, "parent", "glued", 0.0))
    recorder.write(Sample(99.0, "parent", "kept", 0.0), End(99.0, "failed", True, "the disk is full"))
    recorder.close()
    loaded = load_history(path)
    assert [note.text for note in loaded.notes] == [f"{WARNING}1"]
    assert [row.name for row in loaded.samples if row.source == "parent"] == ["kept"]
    assert [row.t for row in loaded.samples if row.source == "load"] == [
        float(number) for number in range(len(loaded.samples) - 1)
    ]
    assert loaded.end is not None


def test_after_a_failed_write_the_next_line_stands_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that met the full disk glues nothing to its own half line, once there is room again."""
    path = written(tmp_path, [HEADER])
    recorder, write = Recorder(path), os.write
    monkeypatch.setattr(os, "write", lambda fd, batch: write(fd, batch[:20]))
    with pytest.raises(OSError, match="is the disk full"):
        recorder.write(Sample(1.0, "a", "torn", 0.0))
    monkeypatch.setattr(os, "write", write)
    recorder.write(Sample(2.0, "a", "whole", 0.0))
    recorder.close()
    assert [row.name for row in load_history(path).samples] == ["whole"]


GOOD = {"id": 1, "journey": "pay", "key": "k", "intended": 1.0, "ended": 2.0, "outcome": "acknowledged"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"outcome": "weird"}, 'found the outcome "weird", expected acknowledged, rejected, indeterminate'),
        ({"outcome": 3}, 'found the outcome "3", expected acknowledged'),
        ({"version": 99_999_999_999}, "found version 99999999999 in .*, expected a whole number below 2,147"),
        ({"version": "2"}, "found version '2' in .*, expected a whole number"),
        ({"id": 1.5}, "found id 1.5 in .*, expected a whole number"),
        ({"intended": "soon"}, "found intended 'soon' in .*, expected a number"),
        ({"ended": None}, "found an operation without ended, expected one in each"),
        ({"outcome": None}, "found an operation without outcome"),
        ({"type": "record"}, "found a record without store, expected one in each"),
        (
            {"type": "record", "store": "a", "kind": "b", "amount": [1]},
            r"found amount \[1\] in .*, expected a num",
        ),
    ],
)
def test_a_value_that_fits_no_column_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    """Whole lines with wrong values were written so: file, value and what was expected."""
    path = tmp_path / "history.jsonl"
    good, bad = (msgspec.json.encode({"type": "op", **GOOD, **more}) + b"\n" for more in ({}, change))
    path.write_bytes(encode(HEADER) + good + bad + b'{"type":"op"}}\n' + good)
    with pytest.raises(HistoryError, match=f"history.jsonl: {message}"):
        load_history(path)


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
        (b'{"type":"header","format":9}\n', "found a line that is not an event"),
        (encode(HEADER) + b'{"type":"opera","x":1}\n', "found a line that is not an event"),
        (encode(HEADER) + b'{"kind":1}\n', "found a line that is not an event"),
        (encode(HEADER) + b'{"type":"sample"}\n', "found a line that is not an event"),
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
