"""`pytest scenarios/`: scenario files are tests, run on the twin here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from execution.places import ROOT

SIMULATED = ("--scenario-runtime", "simulation", "--scenario-out")


def pytest_on(tmp_path: Path, *words: str) -> tuple[int, str]:
    """Exit code and output of pytest in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words, *SIMULATED, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_files_are_collected_with_their_markers(tmp_path: Path) -> None:
    """One item a file and design; -m selects by cause, -k by name."""
    code, said = pytest_on(tmp_path, "scenarios/smoke", "--collect-only", "-q", "-m", "cause4", "-k", "lost")
    assert code == 0, said
    assert [line for line in said.splitlines() if "::" in line] == [
        "scenarios/smoke/charge_response_lost.yaml::charge_response_lost[resilient]"
    ]


def test_a_pass_passes_and_a_failure_says_why(tmp_path: Path) -> None:
    """The same file on two designs: the reasons of the verdict stand in pytest's output and in its JUnit."""
    xml = tmp_path / "junit.xml"
    code, said = pytest_on(
        tmp_path, "scenarios/smoke", "-k", "charge_response_lost", f"--junit-xml={xml}",
        "--design", "resilient", "--design", "no_key",
    )  # fmt: skip
    assert code == 1, said
    assert "1 failed, 1 passed" in said
    assert "verdict fail (safety veto)" in said and "no_duplicate_charge:" in said
    cases = {case.get("name"): case for case in ElementTree.parse(xml).iter("testcase")}
    assert cases["charge_response_lost[resilient]"].find("failure") is None
    failure = cases["charge_response_lost[no_key]"].find("failure")
    assert failure is not None and "duplicate charges" in (failure.text or "")
    properties = {
        p.get("name"): p.get("value") for p in cases["charge_response_lost[no_key]"].iter("property")
    }
    assert properties["verdict"] == "fail" and properties["score"] == "0.0"


def test_the_first_failure_can_end_it(tmp_path: Path) -> None:
    """-x stops before the second design is run."""
    code, said = pytest_on(
        tmp_path,
        "scenarios/smoke",
        "-x",
        "-k",
        "charge_response_lost",
        "--design",
        "no_key",
        "--design",
        "resilient",
    )
    assert code == 1, said
    assert "stopping after 1 failures" in said and "passed" not in said.splitlines()[-1]


def test_a_wrong_design_is_a_collection_error(tmp_path: Path) -> None:
    """Nothing is run, and the nearest name is told."""
    code, said = pytest_on(tmp_path, "scenarios/smoke/control.yaml", "--design", "resilent")
    assert code != 0 and "resilient" in said
