"""Two checkouts that differ in code alone, side by side on processes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from execution.places import ROOT

pytestmark = pytest.mark.live
SUITE = ROOT / "tests" / "ci" / "suites" / "one.yaml"


def test_a_bug_in_the_code_of_a_checkout_is_caught(tmp_path: Path) -> None:
    """A copy of the reference system whose payments service does not read the key of a charge takes the
    money twice when an answer is lost; design and system.yaml are the same on both sides."""
    checkout = tmp_path / "candidate"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "reference_system", checkout / "reference_system", ignore=ignored)
    service = checkout / "reference_system" / "services" / "payments" / "service.py"
    sound = service.read_text(encoding="utf-8")
    read = "key, caller = request.headers.get(idempotency.HEADER), "
    assert read in sound
    service.write_text(sound.replace(read, "key, caller = None, "), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "harness.py", "gate", "--suite", str(SUITE), "--candidate-system", str(checkout),
         "--n-max", "3", "--out", str(tmp_path / "out")],
        cwd=ROOT, capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    assert done.returncode == 4, done.stdout + done.stderr
    (report,) = (tmp_path / "out").glob("*/gate.json")
    assert "no_duplicate_charge" in json.loads(report.read_text(encoding="utf-8"))["sentence"]
