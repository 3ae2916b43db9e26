"""The logs of all services in one file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from execution.runs import merged_logs
from execution.runs.merged_logs import merge_logs


def logged(folder: Path, service: str, *lines: str) -> None:
    (folder / "logs").mkdir(exist_ok=True)
    (folder / "logs" / f"{service}.log").write_text("".join(f"{line}\n" for line in lines))


def merged(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "logs.jsonl").read_text().splitlines()]


def test_lines_of_all_services_stand_in_the_order_of_time(tmp_path: Path) -> None:
    """Whichever file they come from; each keeps its fields, so that one trace can be searched for."""
    logged(tmp_path, "a", '{"at":3,"level":"info","service":"a","message":"late","trace":"t1"}')
    logged(tmp_path, "b", '{"at":1.5,"level":"error","service":"b","message":"early","trace":"t1","why":"x"}')
    assert merge_logs(tmp_path) == 2
    found = merged(tmp_path)
    assert [(line["service"], line["message"], line["trace"]) for line in found] == [
        ("b", "early", "t1"),
        ("a", "late", "t1"),
    ]
    assert found[0]["why"] == "x"


def test_a_line_that_names_no_service_is_of_the_one_whose_file_it_is_in(tmp_path: Path) -> None:
    """A container's log says only what the service wrote."""
    logged(tmp_path, "shop", '{"at":1,"message":"up","left":{"deep":[1]}}')
    merge_logs(tmp_path)
    assert merged(tmp_path) == [{"at": 1, "message": "up", "left": {"deep": [1]}, "service": "shop"}]


def test_what_is_no_line_of_a_service_stays_where_it_is(tmp_path: Path) -> None:
    """A database's words, another program's JSON, what a kill tore."""
    logged(
        tmp_path,
        "postgres",
        "LOG: ready",
        '{"ts":1,"msg":"x"}',
        '{"at":"noon","message":"x"}',
        '{"at":1,"mess',
    )
    assert merge_logs(tmp_path) == 0
    assert merged(tmp_path) == []


def test_a_run_without_logs_has_an_empty_file(tmp_path: Path) -> None:
    """Who searches finds nothing, not an error."""
    assert merge_logs(tmp_path) == 0


def test_a_flood_is_cut_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first lines are kept: what began it is among them."""
    monkeypatch.setattr(merged_logs, "MOST_LINES", 3)
    logged(tmp_path, "a", *(f'{{"at":{n},"message":"m{n}"}}' for n in range(5)))
    assert merge_logs(tmp_path) == 4
    assert [line["message"] for line in merged(tmp_path)][:3] == ["m0", "m1", "m2"]
    assert merged(tmp_path)[3]["left_out"] == 2
