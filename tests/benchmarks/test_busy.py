"""The plays beside busy loops: loops end with the play, and a table says what came out."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from benchmarks.busy import busy, play_of
from experiment.suite import Entry, Suite
from experiment.verdict import Verdict
from measurement.analysis import MachineUse
from measurement.judge import analysis_to_json
from tests.execution.builders import record
from tests.reports import builder

PATIENCE_S = 20.0
SUITE = Suite("two", (Entry("smoke/control", "resilient"), Entry("smoke/control", "fragile")))


def loops() -> list[psutil.Process]:
    mine = psutil.Process(os.getpid()).children()
    return [
        one for one in mine if one.status() != psutil.STATUS_ZOMBIE and "while True: pass" in one.cmdline()
    ]


def test_loops_end_with_the_play_however_it_ends() -> None:
    """Two are there, each in a session of its own, and none afterwards."""
    sessions: set[int] = set()

    def broken_play() -> None:
        with busy(2):
            end = time.monotonic() + PATIENCE_S  # a process has its own words only once it has begun
            while len(loops()) < 2 and time.monotonic() < end:
                time.sleep(0.02)
            sessions.update(os.getsid(one.pid) for one in loops())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_play()
    assert len(sessions - {os.getsid(0)}) == 2
    assert loops() == []


def test_a_row_says_what_came_out_and_what_others_took(tmp_path: Path) -> None:
    """An entry that came out otherwise is named; one that was not played is no success."""
    use = MachineUse(2.0, 0.3, 1.7, 2.0, 0.9, 1.0)
    analysis = replace(builder.analysis(), machine=use)
    (tmp_path / "analysis.json").write_bytes(analysis_to_json(analysis))
    good = record(0, 1, folder=str(tmp_path), baseline_latency=((200, 100),))
    bad = record(1, 1, folder=str(tmp_path), verdict=Verdict.INVALID, score=None, headline="too late")
    row = play_of(SUITE, 2, 1, 3, [good, bad]).row()
    assert row.startswith("| 2 | 1 | 1 of 3 | ")
    assert ": invalid (too late) | 1.70 | 0.30 | 90 | 100 | " in row
