"""`pytest scenarios/`: scenario files are tests, run on the twin here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from execution.places import ROOT


def pytest_on(tmp_path: Path, *words: str, runtime: str = "simulation") -> tuple[int, str]:
    """Exit code and output of pytest in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words,
         "--scenario-runtime", runtime, "--scenario-out", str(tmp_path)],
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


def test_a_runtime_that_is_none_is_refused(tmp_path: Path) -> None:
    """With the nearest right name, before anything is collected."""
    code, said = pytest_on(tmp_path, "scenarios/smoke", runtime="simulatoin")
    assert code == 4 and 'did you mean "simulation"?' in said


def test_what_a_runtime_cannot_do_is_skipped_with_the_reason(tmp_path: Path) -> None:
    """A fault that only containers have is no failure on processes, and bears no mark of them."""
    chosen = ("scenarios/catalogue", "-k", "payer_lossy")
    code, said = pytest_on(tmp_path, *chosen, "-rs", runtime="processes")
    assert code == 0 and "1 skipped" in said and "packet_loss on" in said, said
    code, said = pytest_on(tmp_path, *chosen, "-m", "processes", "--collect-only", "-q")
    assert code == 5, said


def test_a_file_given_by_path_is_a_test(tmp_path: Path) -> None:
    """A scenario of another repository, which no folder of this one holds."""
    mine = tmp_path / "mine.yaml"
    mine.write_bytes((ROOT / "scenarios" / "smoke" / "charge_response_lost.yaml").read_bytes())
    code, said = pytest_on(tmp_path, str(mine), "--collect-only", "-q")
    assert code == 0 and "charge_response_lost[resilient]" in said, said
