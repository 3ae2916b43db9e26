"""`pytest scenarios/`: scenario files are tests, run on the twin here."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from execution.places import ROOT


def command(out: Path, *words: str, runtime: str = "simulation") -> list[str]:
    """pytest in a process of its own."""
    base = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words]
    return [*base, "--scenario-runtime", runtime, "--scenario-out", str(out)]


def pytest_on(tmp_path: Path, *words: str, runtime: str = "simulation") -> tuple[int, str]:
    """Exit code and output."""
    done = subprocess.run(
        command(tmp_path, *words, runtime=runtime), cwd=ROOT, capture_output=True, text=True, timeout=120
    )
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


LONG = """
name: long
title: A scenario of a quarter of an hour
load: {arrivals: 12/s, journeys: {payment: 1}}
phases: {warm_up: 1s, baseline: 4s, fault: 15min, recovery: 7s, settle: 6s}
faults:
  - {kind: lost_response, link: billing -> payments, share: 20%, during: fault}
expect: {invariants: [no_duplicate_charge]}
"""


def test_a_signal_ends_the_session_in_order(tmp_path: Path) -> None:
    """SIGTERM during a run: the run is stopped, what was injected is gone, and the exit code says why."""
    scenario, out = tmp_path / "long.yaml", tmp_path / "out"
    scenario.write_text(LONG, encoding="utf-8")
    process = subprocess.Popen(
        command(out, str(scenario)), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        while process.poll() is None and not list(out.glob("*/run.json")):
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 143, said
    assert "interrupted, after clean-up" in said


def test_incomplete_clean_up_fails_the_item(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A pass after which something may still be injected fails, with that said. The exit code is pytest's 1:
    its 5 means that there were no tests."""
    conftest = tmp_path / "dirty.py"
    conftest.write_text(DIRTY, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    code, said = pytest_on(tmp_path, "-p", "dirty", "scenarios/smoke/control.yaml")
    assert code == 1, said
    assert "verdict pass" in said and "clean-up was not complete" in said


DIRTY = """
from dataclasses import replace
from execution.runs.bench import Bench
play = Bench.run
Bench.run = lambda self, plan, watch: replace(play(self, plan, watch), clean=False)
"""


def test_a_seed_that_is_none_is_refused(tmp_path: Path) -> None:
    """Before anything is collected, in words."""
    code, said = pytest_on(tmp_path, "scenarios/smoke", "--scenario-seed", "-3")
    assert code == pytest.ExitCode.USAGE_ERROR, said
    assert "found --scenario-seed -3, expected 0 to" in said
