"""The command line on containers, ended at the hardest moments: the next command leaves nothing behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtimes.containers.engine import Engine
from tests.live.engine_forwarder import Forwarder
from tests.live.harness_process import ROOT, SCENARIOS, HarnessProcess
from tests.standin.containers import made_by, require_engine

pytestmark = pytest.mark.docker
WITHIN_S = 30.0


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    require_engine()
    found = Engine()
    yield found
    found.close()


@pytest.fixture
def started() -> Iterator[list[HarnessProcess]]:
    """Ends what a failed test leaves behind."""
    running: list[HarnessProcess] = []
    yield running
    for harness in running:
        if harness.started.poll() is None:
            harness.started.terminate()
            harness.started.wait(60)


def run(started: list[HarnessProcess], out: Path, scenario: str, **environment: str) -> HarnessProcess:
    path = str(SCENARIOS / f"{scenario}.yaml")
    started.append(HarnessProcess(out, "run", path, "--runtime", "containers", **environment))
    return started[-1]


def of(engine: Engine, harness: HarnessProcess) -> list[str]:
    """What the engine has of a command's instances."""
    return list(made_by(engine, harness.started.pid))


def until_both_faults_act(harness: HarnessProcess) -> None:
    harness._wait(
        lambda: sum(row["event"] == "active" for row in harness.rows("fault")) == 2, "both faults active"
    )


def clean() -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "harness.py", "clean"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )


def test_the_guard_removes_paused_and_disconnected_containers_of_a_killed_command(
    tmp_path: Path, started: list[HarnessProcess], engine: Engine
) -> None:
    """SIGKILL of the command alone, in the middle of the faults: within ten seconds the engine has nothing of
    it any more, without another command."""
    harness = run(started, tmp_path, "held")
    until_both_faults_act(harness)
    assert len(of(engine, harness)) > 10
    harness.kill_alone()
    end = time.monotonic() + 10.0
    while (left := of(engine, harness)) and time.monotonic() < end:
        time.sleep(0.1)
    assert left == []


def test_a_kill_while_nodes_are_paused_and_cut_off_leaves_nothing(
    tmp_path: Path, started: list[HarnessProcess], engine: Engine
) -> None:
    """SIGKILL in the middle of the faults: `clean` names them, removes paused and disconnected containers as
    well, and the second time finds nothing."""
    harness = run(started, tmp_path, "held")
    until_both_faults_act(harness)
    harness.kill()
    assert len(of(engine, harness)) > 10
    done = clean()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pause on payments ended with its processes" in done.stdout
    assert "disconnect on pharmacy ended with its processes" in done.stdout
    assert "containers, networks and volumes" in done.stdout
    assert of(engine, harness) == []
    assert "swept" not in clean().stdout


def test_a_kill_during_removal_leaves_nothing(
    tmp_path: Path, started: list[HarnessProcess], engine: Engine
) -> None:
    """Interrupted, it heals and removes; killed in the middle of that, the rest is the next command's."""
    harness = run(started, tmp_path, "held")
    until_both_faults_act(harness)
    before = len(of(engine, harness))
    harness.started.send_signal(signal.SIGINT)
    end = time.monotonic() + WITHIN_S
    while len(left := of(engine, harness)) >= before and time.monotonic() < end:
        time.sleep(0.01)
    harness.kill()
    assert 0 < len(left) < before, "it was killed neither before nor after the removal"
    done = clean()
    assert done.returncode == 0, done.stdout + done.stderr
    assert of(engine, harness) == []
    assert "swept" not in clean().stdout


def test_an_engine_that_goes_away_in_the_middle_ends_the_run_as_invalid(
    tmp_path: Path, started: list[HarnessProcess], engine: Engine
) -> None:
    """Exit code 3, at once; report and history say why, and once it is back nothing is left."""
    socket = tmp_path / "engine.sock"
    forwarder = Forwarder(socket, engine.url.split("://", 1)[1].replace("/localhost", ""))
    harness = run(started, tmp_path, "quiet", DOCKER_HOST=f"unix://{socket}")
    harness.until("active")
    forwarder.cut()
    harness._wait(lambda: bool(harness.rows("end")), "the end of the history")
    forwarder.reconnect()
    assert harness.exit_code() == 3, harness.said
    assert "went away" in harness.said
    (end,) = harness.rows("end")
    assert end["reason"] == "failed" and "went away at" in end["statement"]
    (report,) = tmp_path.glob("*/report.html")
    assert "went away" in report.read_text(encoding="utf-8")
    assert of(engine, harness) == []
    forwarder.cut()
