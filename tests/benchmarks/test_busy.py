"""The plays beside busy loops: loops end with the play, and a table says what came out."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from benchmarks.busy import busy, play_of
from experiment.suite import Entry, Suite
from experiment.verdict import Verdict
from measurement.analysis import MachineUse
from measurement.judge import analysis_to_json
from runtimes.machine import Family, read_machine
from runtimes.owners import Identity, identify
from tests.execution.builders import record
from tests.reports import builder

PATIENCE_S = 20.0
SUITE = Suite("two", (Entry("smoke/control", "resilient"), Entry("smoke/control", "fragile")))


def used_s(loops: Iterable[Identity]) -> float:
    """CPU time of all of them."""
    return sum(sum(psutil.Process(one.pid).cpu_times()[:2]) for one in loops)


def still_running(loops: Iterable[Identity]) -> list[Identity]:
    """Those that have not ended after a while."""
    end = time.monotonic() + PATIENCE_S
    while (running := [one for one in loops if one.alive]) and time.monotonic() < end:
        time.sleep(0.02)
    return running


def test_loops_end_with_the_play_however_it_ends() -> None:
    """Two are there, each in a session of its own, and none afterwards."""
    loops: list[Identity] = []
    sessions: set[int] = set()

    def broken_play() -> None:
        with busy(2) as running:
            loops.extend(running)
            sessions.update(os.getsid(one.pid) for one in running)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_play()
    assert len(loops) == len(sessions - {os.getsid(0)}) == 2
    assert still_running(loops) == []


def test_what_loops_use_is_taken_by_others() -> None:
    """They are no descendants of the program that plays: a run would count their time as its own, and would
    not know that it is under pressure."""
    family = Family(os.getpid())
    with busy(2) as running:
        assert family.use(read_machine()) is None
        counted_from = used_s(running)
        end = time.monotonic() + PATIENCE_S
        while used_s(running) < counted_from + 0.2 and time.monotonic() < end:
            time.sleep(0.02)
        use = family.use(read_machine())
    assert use is not None
    assert use.others * use.seconds >= 0.1, "they used 0.2 s at least, in ticks of 10 ms each"
    assert not {one.pid for one in running} & {p.pid for p in psutil.Process().children(recursive=True)}


def test_loops_end_with_a_program_that_is_killed() -> None:
    """Nobody is left to end them."""
    words = (
        "import os; from benchmarks.busy import busy\nwith busy(1) as loops: print(loops[0].pid); os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-uc", words], stdout=subprocess.PIPE, text=True)
    loop = identify(int(done.stdout))
    assert still_running([loop] if loop is not None else []) == []


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
