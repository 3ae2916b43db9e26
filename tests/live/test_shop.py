"""The example shop: its planted double charge is found, and is gone when fixed, on both live runtimes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiment.errors import ExitCode
from tests.standin.containers import require_engine

ROOT = Path(__file__).resolve().parents[2]
WITHIN_S = 280


def play(out: Path, scenario: str, design: str, *words: str) -> tuple[int, dict[str, str]]:
    """Exit code of one run, and the verdict of each property that was judged."""
    command = [sys.executable, "harness.py", "run", scenario]
    command += [] if "--system" in words else ["--system", "examples/shop"]
    command += ["--design", design, "--seed", "1", "--time-scale", "0.7", "--out", str(out), *words]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=WITHIN_S, env=dict(os.environ), check=False
    )
    reports = sorted(out.glob("*/report.json"))  # a late load is played a second time
    assert reports, ended.stdout + ended.stderr
    checks = json.loads(reports[-1].read_text())["report"]["analysis"]["checks"]
    return ended.returncode, {check["checker"]: check["verdict"] for check in checks}


def judge(out: Path, *words: str) -> None:
    """The double charge is found as it is, and is not there when it is fixed."""
    (out / "as_it_is").mkdir()
    (out / "fixed").mkdir()
    code, checks = play(out / "as_it_is", "charge_response_lost", "as_it_is", *words)
    assert (code, checks["no_duplicate_charge"]) == (ExitCode.SAFETY_VETO, "fail")
    code, checks = play(out / "fixed", "charge_response_lost", "fixed", *words)
    assert (code, checks["no_duplicate_charge"]) == (ExitCode.PASS, "pass")
    silent = {name for name, verdict in checks.items() if verdict != "pass"}
    assert silent == {"no_retry_amplification"}  # nobody asked for it, and no service has counters to give


@pytest.mark.live
@pytest.mark.timeout(2 * WITHIN_S)
def test_the_double_charge_is_found_and_mended_on_processes(tmp_path: Path) -> None:
    """Services of a common framework, which know nothing of the harness, as local processes."""
    judge(tmp_path)


@pytest.mark.docker
@pytest.mark.timeout(2 * WITHIN_S)
def test_the_double_charge_is_found_and_mended_in_containers(tmp_path: Path) -> None:
    """The same files, with the image that their Dockerfile makes."""
    require_engine()
    judge(tmp_path, "--runtime", "containers")
