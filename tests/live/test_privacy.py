"""What a run leaves behind names no patient: ids and digests only, whatever the services are given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiment.errors import ExitCode
from tests.standin.containers import require_engine

ROOT = Path(__file__).resolve().parents[2]
WITHIN_S = 280
PATIENTS = 30
SCENARIO = """\
name: everybody
title: Every kind of user, for a moment
load: {arrivals: 12/s, journeys: {visit: 2, records: 2, staff: 1, results: 1}}
phases: {warm_up: 1s, baseline: 5s, settle: 5s}
expect:
  invariants: [no_lost_checkin, audit_complete, break_glass_reviewed]
"""


def patient(number: int) -> dict[str, Any]:
    """One whose every word is found nowhere else."""
    return {
        "resourceType": "Patient",
        "id": f"pat-{number:05d}",
        "name": [{"family": f"Quillfeather{number:03d}x", "given": [f"Zephyrine{number:03d}x"]}],
        "birthDate": f"19{10 + number}-0{1 + number % 9}-{10 + number % 18}",
        "gender": "female",
        "address": [{"line": [f"{number} Persimmon Crescent"], "city": f"Oldmere{number:03d}"}],
        "telecom": [{"system": "phone", "value": f"+1-202-555-01{number:02d}"}],
    }


def words_of(resource: dict[str, Any]) -> Iterator[str]:
    """What must stand nowhere."""
    (name,), (address,), (phone,) = resource["name"], resource["address"], resource["telecom"]
    yield from (name["family"], *name["given"], *address["line"], address["city"], phone["value"])
    yield resource["birthDate"]


def found_in(folder: Path, words: set[str]) -> dict[str, list[str]]:
    """The files that hold any of the words, with the first of them."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            text = path.read_bytes().decode("utf-8", "replace")
            if held := sorted(word for word in words if word in text):
                found[str(path.relative_to(folder))] = held[:5]
    return found


def play(folder: Path, design: str, runtime: str) -> Path:
    """One run of the scenario with people of our own. Where its folder is, and what the command said."""
    people = folder / "people"
    people.mkdir()
    for number in range(PATIENTS):
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient(number)}]}
        (people / f"{number}.json").write_text(json.dumps(bundle))
    (folder / "everybody.yaml").write_text(SCENARIO)
    command = [sys.executable, "harness.py", "run", str(folder / "everybody.yaml"), "--design", design]
    command += ["--system", "reference_system", "--population", str(people), "--runtime", runtime]
    command += ["--seed", "1", "--out", str(folder / "runs")]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=WITHIN_S, env=dict(os.environ), check=False
    )
    known = {ExitCode.PASS, ExitCode.FAIL, ExitCode.SAFETY_VETO, ExitCode.INCONCLUSIVE}
    assert ended.returncode in known, ended.stdout + ended.stderr
    assert not any(
        word in ended.stdout + ended.stderr for n in range(PATIENTS) for word in words_of(patient(n))
    )
    (folder / "runs" / "told.txt").write_text(ended.stdout + ended.stderr)
    return folder / "runs"


def judge(folder: Path, design: str, runtime: str) -> None:
    run = play(folder, design, runtime)
    words = {word for number in range(PATIENTS) for word in words_of(patient(number))}
    assert found_in(run, words) == {}
    assert "registry" in {path.stem for path in run.glob("*/logs/*.log")}
    assert found_in(folder / "people", words)  # what is looked for can be found


@pytest.mark.live
@pytest.mark.timeout(2 * WITHIN_S)
@pytest.mark.parametrize("design", ["fragile", "resilient"])
def test_a_run_on_processes_names_no_patient(tmp_path: Path, design: str) -> None:
    """Histories, logs, spans, samples and reports of every service."""
    judge(tmp_path, design, "processes")


@pytest.mark.docker
@pytest.mark.timeout(2 * WITHIN_S)
def test_a_run_in_containers_names_no_patient(tmp_path: Path) -> None:
    """Also what the engine collected of the containers."""
    require_engine()
    judge(tmp_path, "fragile", "containers")
