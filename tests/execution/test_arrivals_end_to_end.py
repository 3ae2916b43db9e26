"""Every way in which visits arrive, from the file to the reports of the run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from execution.places import ROOT
from execution.runs.run_folder import RunFolder

ARRIVALS = {
    "poisson": "{process: poisson, rate: 6/s}",
    "constant": "{process: constant, rate: 6/s}",
    "burst": "{process: burst, rate: 4/s, burst_rate: 12/s, burst_every: 4s, burst_for: 1s}",
    "ramp": "{process: ramp, rate: 2/s, to: 10/s}",
    "replay": "{process: replay, file: times.txt}",
}
SCENARIO = """
name: arriving
title: Visits arrive in their way
load: {{arrivals: {arrivals}, journeys: {{visit: 1}}}}
phases: {{warm_up: 1s, baseline: 4s, fault: 4s, recovery: 3s, settle: 20s}}
faults:
  - {{kind: latency, link: checkin -> registry, delay: 150ms, during: fault}}
expect: {{invariants: [no_lost_checkin], minimum_operations: 5}}
"""


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "harness.py", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("runtime", ["simulation", pytest.param("processes", marks=pytest.mark.live)])
@pytest.mark.parametrize("process", sorted(ARRIVALS))
def test_visits_that_arrive_so_are_played_judged_and_reported(
    tmp_path: Path, process: str, runtime: str
) -> None:
    """run, then check and report of its folder, with the files of the scenario gone: the exit code of a check
    is that of the run, and the offered operations are those of the plan."""
    home = tmp_path / "scenarios"
    home.mkdir()
    (home / "arriving.yaml").write_text(SCENARIO.format(arrivals=ARRIVALS[process]), encoding="utf-8")
    (home / "times.txt").write_text("\n".join(f"{n * 0.2:.1f}" for n in range(60)), encoding="utf-8")
    words = ["run", str(home / "arriving.yaml"), "--design", "resilient", "--runtime", runtime]
    ran = command(*words, "--out", str(tmp_path / "runs"), "--json")
    (said,) = json.loads(ran.stdout)
    late = [text for text in said["failures"] if text.startswith("generator_kept_up")]
    assert ran.returncode == 0 or (runtime != "simulation" and said["failures"] == late), said
    for path in home.iterdir():
        path.unlink()
    folder = RunFolder(Path(said["folder"]))
    assert folder.scenario().load.arrivals.process == process
    planned = json.loads((folder.path / "plan.json").read_text(encoding="utf-8"))["plan"]["operations"]
    played = folder.history().operations.filter(pl.col("journey") != "final_read")
    assert played.height == len(planned) > 20
    checked = command("check", str(folder.path))
    assert checked.returncode == ran.returncode, checked.stderr
    assert command("report", str(folder.path)).returncode == 0
    assert f"{process} arrivals" in (folder.path / "report.html").read_text(encoding="utf-8")
