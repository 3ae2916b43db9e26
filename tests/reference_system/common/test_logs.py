"""Log lines: which trace they belong to, and how many of one kind there are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reference_system.common import tracing
from reference_system.common.logs import MOST_A_SECOND, Log


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_names_the_trace_in_which_it_was_said(tmp_path: Path) -> None:
    """Nothing is named where nothing is served."""
    path = tmp_path / "a.log"
    log = Log("billing", str(path))
    log.info("ready")
    token = tracing.current.set(tracing.remote(f"00-{'ab' * 16}-{'cd' * 8}-01"))
    log.often("call failed", link="billing -> payments")
    tracing.current.reset(token)
    assert [line.get("trace") for line in lines(path)] == [None, "ab" * 16]


def test_of_many_lines_in_a_second_only_their_number_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault must not fill the disk; the next second says how many were left out."""
    path, now = tmp_path / "a.log", [7.0]
    monkeypatch.setattr("reference_system.common.logs.time.monotonic", lambda: now[0])
    log = Log("billing", str(path))
    for _ in range(MOST_A_SECOND + 30):
        log.often("call failed")
    log.often("request not done")
    assert len(lines(path)) == MOST_A_SECOND + 1
    now[0] = 8.0
    log.often("call failed")
    assert [line.get("left_out") for line in lines(path)][-2:] == [30, None]
