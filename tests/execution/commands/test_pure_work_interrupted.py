"""Commands that compute on several processes end in order when a signal comes, and leave none behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import psutil
import pytest

from experiment.errors import SIGNALS, ExitCode

ROOT = Path(__file__).resolve().parents[3]
WITHIN_S = 60.0


def interrupted(
    number: int, begun: str, *words: str, to: Callable[[int, int], None] = os.kill
) -> tuple[int, str]:
    """Send the signal once `begun` was said; (exit code, what was said), when all its processes are gone."""
    command = [sys.executable, "-u", "harness.py", *words]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as started:
        assert started.stdout is not None
        said = ""
        for line in started.stdout:
            said += line
            if begun in line:
                break
        family = psutil.Process(started.pid).children(recursive=True)
        to(started.pid, number)
        said += started.communicate(timeout=WITHIN_S)[0]
    _, alive = psutil.wait_procs(family, timeout=WITHIN_S)
    assert alive == []
    return started.returncode, said


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED)]
)
def test_a_sweep_keeps_the_rows_until_a_signal(number: int, code: ExitCode, tmp_path: Path) -> None:
    """Runs that have ended are in the file; those that nobody had begun are not waited for."""
    rows = tmp_path / "rows.csv"
    words = ("simulate", "smoke/control", "resilient", "--seeds", "900", "--out", str(rows))
    ended, said = interrupted(number, "90 of 900 runs", *words)
    assert ended == code, said
    kept = pl.read_csv(rows)
    assert 90 <= len(kept) < 900
    assert f"interrupted: {len(kept)} of 900 runs had ended" in said


def test_a_check_of_the_simulator_leaves_no_process_behind() -> None:
    """SIGTERM ends it as Ctrl-C does, with a code of its own."""
    words = ("selfcheck", "simulation", "mmc", "--customers", "400000", "--seeds", "900", "--json")
    command = [sys.executable, "harness.py", *words]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as started:
        parent = psutil.Process(started.pid)
        while len(family := parent.children(recursive=True)) < 3:
            assert started.poll() is None
            with pytest.raises(subprocess.TimeoutExpired):
                started.wait(0.1)
        started.send_signal(signal.SIGTERM)
        started.communicate(timeout=WITHIN_S)
    _, alive = psutil.wait_procs(family, timeout=WITHIN_S)
    assert (started.returncode, alive) == (ExitCode.TERMINATED, [])


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_the_selfcheck_of_the_gate_ends_in_order(name: str) -> None:
    """Also where the whole group gets the signal, as from `timeout` or a terminal that was closed: the
    workers' end is not told as a mistake."""
    words = ("selfcheck", "gate", "--scenario", "smoke/control", "--only", "no_key")
    ended, said = interrupted(getattr(signal, name), "trial 1 of", *words, to=os.killpg)
    assert ended == SIGNALS[name], said
    assert f"interrupted by {name}" in said and "error" not in said
