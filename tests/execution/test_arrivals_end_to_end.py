"""Every way in which visits arrive, from the file to the reports of the run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import harness
from execution.places import ROOT
from execution.runs.run_folder import RunFolder

Ran = tuple[int, str]  # exit code and standard output
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


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run a command line in this process; one that starts a system in a process of its own."""
    monkeypatch.chdir(ROOT)

    def run(*words: str) -> Ran:
        if "processes" in words:
            command = [sys.executable, "harness.py", *words]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            return done.returncode, done.stdout
        monkeypatch.setattr("sys.argv", ["harness.py", *words])
        with pytest.raises(SystemExit) as ended:
            harness.main()
        return int(ended.value.code or 0), capsys.readouterr().out

    return run


def only_late(folder: RunFolder) -> bool:
    """Whether a busy machine alone made the run invalid: the load came late."""
    validity = json.loads(folder.analysis_path.read_text(encoding="utf-8"))["validity"]
    return [check["name"] for check in validity if not check["ok"]] == ["generator_kept_up"]


@pytest.mark.parametrize("runtime", ["simulation", pytest.param("processes", marks=pytest.mark.live)])
@pytest.mark.parametrize("process", sorted(ARRIVALS))
def test_visits_that_arrive_so_are_played_judged_and_reported(
    tmp_path: Path, command: Callable[..., Ran], process: str, runtime: str
) -> None:
    """run, then check and report of its folder, with the files of the scenario gone: the exit code of a check
    is that of the run, and the offered operations are those of the plan."""
    home = tmp_path / "scenarios"
    home.mkdir()
    (home / "arriving.yaml").write_text(SCENARIO.format(arrivals=ARRIVALS[process]), encoding="utf-8")
    (home / "times.txt").write_text("\n".join(f"{n * 0.2:.1f}" for n in range(60)), encoding="utf-8")
    words = ["run", str(home / "arriving.yaml"), "--design", "resilient", "--runtime", runtime, "--json"]
    code, text = command(*words, "--out", str(tmp_path / "runs"))
    (said,) = json.loads(text)["result"]
    for path in home.iterdir():
        path.unlink()
    folder = RunFolder(Path(said["folder"]))
    assert code == 0 or (code == 3 and runtime == "processes" and only_late(folder)), said
    assert folder.scenario().load.arrivals.process == process
    planned = json.loads((folder.path / "plan.json").read_text(encoding="utf-8"))["plan"]["operations"]
    played = folder.history().operations.filter(pl.col("journey") != "final_read")
    assert played.height == len(planned) > 20
    assert command("check", str(folder.path))[0] == code
    assert command("report", str(folder.path))[0] == 0
    assert f"{process} arrivals" in (folder.path / "report.html").read_text(encoding="utf-8")
