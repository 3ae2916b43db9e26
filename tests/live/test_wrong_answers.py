"""Cases in which other tools exit 0 or leave the fault in place. Each must end with its own exit code, and
with nothing left running or injected."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.live.harness_process import ROOT, SCENARIOS, HarnessProcess, alive

pytestmark = pytest.mark.live


@pytest.fixture
def running() -> Iterator[list[HarnessProcess]]:
    """Ends what a failed test leaves behind."""
    started: list[HarnessProcess] = []
    yield started
    for harness in started:
        if harness.started.poll() is None:
            harness.started.terminate()
            harness.started.wait(30)


def run(running: list[HarnessProcess], out: Path, scenario: str, *words: str) -> HarnessProcess:
    running.append(HarnessProcess(out, "run", str(SCENARIOS / f"{scenario}.yaml"), *words))
    return running[-1]


def test_a_baseline_that_was_broken_before_is_invalid(tmp_path: Path, running: list[HarnessProcess]) -> None:
    """Exit code 3, and nothing was injected into a system that was not well."""
    harness = run(running, tmp_path, "baseline_broken")
    assert harness.exit_code() == 3, harness.said
    assert harness.rows("phase") and not harness.rows("fault")
    assert "the baseline is outside its own expectations" in harness.said


def test_an_expectation_broken_during_the_fault_fails(tmp_path: Path, running: list[HarnessProcess]) -> None:
    """Exit code 1 though the system was well again at the end."""
    harness = run(running, tmp_path, "fails_during_fault", "--design", "fragile")
    assert harness.exit_code() == 1, harness.said
    assert "pay" in harness.said and "success" in harness.said
    assert [row["event"] for row in harness.rows("fault")][-1] == "healed"


def test_an_injection_that_fails_is_invalid(tmp_path: Path, running: list[HarnessProcess]) -> None:
    """Exit code 3 when Toxiproxy is killed under the fault's hands: a fault that was not there proves
    nothing."""
    harness = run(running, tmp_path, "quiet")
    harness.until("active")
    proxies = [child for child in harness.family() if any("toxiproxy" in w for w in child.cmdline()[:3])]
    assert proxies, "no Toxiproxy among its processes"
    proxies[0].kill()
    family = harness.family()
    assert harness.exit_code() == 3, harness.said
    assert not alive(family)


def test_a_misspelt_key_is_refused(tmp_path: Path, running: list[HarnessProcess]) -> None:
    """Exit code 64 with file, line and the right name, before anything is started."""
    harness = run(running, tmp_path, "misspelt")
    assert harness.exit_code() == 64, harness.said
    assert "misspelt.yaml:6" in harness.said and "delay" in harness.said
    assert not list(tmp_path.glob("*/history.jsonl"))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_heals_and_is_never_a_pass(
    tmp_path: Path, running: list[HarnessProcess], number: signal.Signals, code: int
) -> None:
    """In the middle of the fault: it is healed, all is stopped, and the exit code tells the signal."""
    harness = run(running, tmp_path, "quiet")
    harness.until("active")
    family = harness.family()
    assert len(family) > 8, "the services, the stores, Toxiproxy and the load run"
    harness.started.send_signal(number)
    assert harness.exit_code() == code, harness.said
    assert [row["event"] for row in harness.rows("fault")][-1] == "healed"
    (end,) = harness.rows("end")
    assert (end["reason"], end["clean"]) == ("interrupted", True)
    assert not alive(family)


def test_after_a_kill_nothing_is_left_without_another_command(
    tmp_path: Path, running: list[HarnessProcess]
) -> None:
    """SIGKILL of the command alone, in the middle of the fault: its guard ends all, then itself, and there is
    nothing for `clean` to say."""
    harness = run(running, tmp_path, "quiet")
    harness.until("active")
    family = harness.family()
    harness.kill_alone()
    _, left = psutil.wait_procs(family, timeout=10)
    assert not alive(left)
    done = subprocess.run(
        [sys.executable, "harness.py", "clean"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    swept = [line for line in done.stdout.splitlines() if line.startswith("swept ")]
    assert all(line.startswith("swept images") for line in swept), swept  # old images are no part of a run


def test_after_a_kill_the_next_command_sweeps_everything(
    tmp_path: Path, running: list[HarnessProcess]
) -> None:
    """SIGKILL of the command and its guard: `clean` says what it removed and leaves nothing running."""
    harness = run(running, tmp_path, "quiet")
    harness.until("active")
    family = harness.family()
    harness.kill()
    done = subprocess.run(
        [sys.executable, "harness.py", "clean"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "on billing -> payments ended with its processes" in done.stdout
    _, left = psutil.wait_procs(family, timeout=10)
    assert not alive(left)
    again = subprocess.run(
        [sys.executable, "harness.py", "check", str(next(tmp_path.glob("*/history.jsonl")).parent)],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert again.returncode == 3, again.stdout
