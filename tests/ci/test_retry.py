"""What continuous integration does about failed tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

RETRY = Path(__file__).resolve().parents[2] / "ci" / "retry.sh"
SETTINGS = (
    "[pytest]\nmarkers =\n    live: real processes\n    docker: real containers\n    timed: other processes\n"
)
TESTS = """
import pathlib, pytest

def once(name):
    seen = pathlib.Path(__file__).with_name(name)
    before, _ = seen.exists(), seen.write_text("seen")
    assert before

@pytest.mark.live
def test_flaky_live(): once("live")

@pytest.mark.live
def test_wrong_live(): assert {live_is_right}

@pytest.mark.timed
def test_flaky_timed(): once("timed")

def test_unit(): once("unit") if {unit_is_flaky} else None
"""


@pytest.mark.parametrize(
    ("live_is_right", "unit_is_flaky", "code", "said"),
    [
        (True, False, 0, "run once more"),
        (False, False, 1, "run once more"),
        (True, True, 1, "only live and timed tests are run once more"),
    ],
)
def test_only_live_and_timed_tests_are_run_once_more(
    live_is_right: bool, unit_is_flaky: bool, code: int, said: str, tmp_path: Path
) -> None:
    """A flaky live or timed test is named and passes at its second run; a wrong one, and any other, fails."""
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    tests = TESTS.format(live_is_right=live_is_right, unit_is_flaky=unit_is_flaky)
    (tmp_path / "test_it.py").write_text(tests)
    environment = {**os.environ, "PYTHON": sys.executable}
    subprocess.run([sys.executable, "-m", "pytest", "-q"], cwd=tmp_path, capture_output=True, check=False)
    again = subprocess.run(
        [RETRY], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert again.returncode == code, again.stdout + again.stderr
    assert said in again.stdout
    for name in ("unit",) if unit_is_flaky else ("flaky_live", "flaky_timed"):
        assert f"test_it.py::test_{name}" in again.stdout


def test_a_run_that_failed_without_a_failed_test_stays_failed(tmp_path: Path) -> None:
    """A test run that broke down in another way is not made good by running nothing."""
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    environment = {**os.environ, "PYTHON": sys.executable}
    again = subprocess.run(
        [RETRY], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert again.returncode != 0
