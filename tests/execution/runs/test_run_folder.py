"""A run folder holds what was played, and is judged by that alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from execution.catalogue import default_catalogue
from execution.options import Options
from execution.places import ROOT
from execution.runs.bench import RunResult
from execution.runs.facts import folder_digest
from execution.runs.judging import judge_again
from execution.runs.manifest import seal
from execution.runs.preflight import Request, plans
from execution.runs.run_folder import RunFolder
from execution.runs.simulated_bench import SimulatedBench
from experiment import history_lines
from experiment.errors import HistoryError, StorageError
from experiment.history_columns import COLUMNS, remove_columns
from experiment.plan import Plan
from experiment.properties import Property
from experiment.stop import Stop
from experiment.verdict import Verdict
from measurement.properties.python_property import PythonProperty


def planned(scenario: Path | str, time_scale: float = 1.0) -> Plan:
    options = Options("simulation", time_scale=time_scale)
    (plan,) = plans([Request(str(scenario), "fragile", 1)], default_catalogue(), options)
    return plan


def played(plan: Plan, out: Path, time_scale: float = 1.0) -> RunResult:
    bench = SimulatedBench([plan], Options("simulation", out=out, time_scale=time_scale), Stop())
    return bench.run(plan, lambda _: None)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A short run with a fault, at another time scale."""
    return played(planned("smoke/registry_flapping", 0.5), tmp_path_factory.mktemp("runs"), 0.5)


def test_what_was_played_comes_back_as_it_was(result: RunResult) -> None:
    """Scenario (scaled), system, design and plan, whose operations have all their arguments."""
    plan, folder = result.plan, result.folder
    assert folder.scenario() == plan.scenario
    assert folder.system() == plan.system
    assert folder.design() == plan.design
    assert repr(folder.plan(plan.population)) == repr(plan)


def test_a_run_is_judged_again_alike(result: RunResult) -> None:
    """By the values, as it was by what was in memory."""
    again = judge_again(result.folder, result.folder.history())
    assert repr(again) == repr(result.analysis)


def test_a_source_that_is_edited_after_the_plan_changes_nothing(tmp_path: Path) -> None:
    """Neither before the run starts, as the plans of a suite are made, nor before it is judged again."""
    file = tmp_path / "mine.yaml"
    shutil.copyfile(ROOT / "scenarios" / "smoke" / "control.yaml", file)
    plan = planned(file)
    asked = plan.scenario.expect
    assert asked.invariants
    file.write_text("name: another\n", encoding="utf-8")
    result = played(plan, tmp_path / "runs")
    assert result.verdict is Verdict.PASS
    file.unlink()
    for source in (result.folder.path / "sources").iterdir():
        source.unlink()
    assert judge_again(result.folder, result.folder.history()) == result.analysis
    assert result.folder.scenario().expect == asked


def test_a_history_is_read_once_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To judge, to render and to record, the history in memory serves."""
    read: list[Path] = []
    chunks = history_lines.chunks

    def counted(path: Path, start: int = 0, whole: bool = True) -> object:
        read.append(path)
        return chunks(path, start, whole)

    monkeypatch.setattr(history_lines, "chunks", counted)
    result = played(planned("smoke/control"), tmp_path)
    assert read == [result.folder.history_path]


def test_a_finished_run_is_read_from_its_columns(
    result: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines are read only to be compared; without columns, as of an earlier version, they serve."""
    shutil.copytree(result.folder.path, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    compared = folder.history(compared=True)
    with monkeypatch.context() as patched:
        patched.setattr(history_lines, "chunks", None)  # whoever reads lines fails
        read = folder.history()
    remove_columns(folder.path)
    with pytest.raises(HistoryError, match=r"history\.operations\.parquet: found no readable file"):
        folder.history()
    seal(folder.path)
    for other in (compared, folder.history()):
        assert other.operations.equals(read.operations) and other.records.equals(read.records)
        assert (other.samples, other.tally) == (read.samples, read.tally)


def test_columns_that_say_something_else_are_refused(result: RunResult, tmp_path: Path) -> None:
    """Made with the right digests, by a writer that is wrong: `check` compares them with the lines."""
    shutil.copytree(result.folder.path, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    path = folder.path / COLUMNS[0]
    said = {name: text for name, text in pl.read_parquet_metadata(path).items() if name != "ARROW:schema"}
    later = pl.read_parquet(path).with_columns(pl.col("ended") + 0.001)
    later.write_parquet(path, metadata=said)
    seal(folder.path)
    folder.history()
    with pytest.raises(HistoryError, match=r"found other rows than those of history\.jsonl"):
        folder.history(compared=True)


def test_another_version_is_refused_by_name(result: RunResult, tmp_path: Path) -> None:
    """The message has the file, what was found and what to do."""
    shutil.copytree(result.folder.path, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    path = folder.path / "scenario.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 7'), encoding="utf-8")
    with pytest.raises(HistoryError, match=r"scenario.json: found version 7 of scenario, expected 1;"):
        folder.scenario()


def test_a_folder_of_an_earlier_version_says_so(tmp_path: Path) -> None:
    """It had the sources beside the history, and no values."""
    for name in ("run.json", "scenario.yaml", "system.yaml", "design.json"):
        (tmp_path / name).write_text("{}", encoding="utf-8")
    with pytest.raises(HistoryError, match="which an earlier version of Code Blue left: judge it with that"):
        RunFolder(tmp_path).scenario()


def test_a_run_that_ended_before_it_began_is_invalid(result: RunResult, tmp_path: Path) -> None:
    """A crash before the first line leaves a folder that loads: nothing was played, so nothing is claimed."""
    shutil.copytree(result.folder.path, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    for name in ("analysis.json", "manifest.json"):
        (folder.path / name).unlink()
    for content in (b"", b'{"type":"header","form', None):
        folder.history_path.unlink(missing_ok=True)
        if content is not None:
            folder.history_path.write_bytes(content)
        analysis = judge_again(folder, folder.history())
        assert analysis.verdict is Verdict.INVALID
        assert "the run ended before it began" in str(analysis.validity)
        assert judge_again(folder, folder.history()).verdict is Verdict.INVALID
        for name in ("analysis.json", "manifest.json"):
            (folder.path / name).unlink()


def test_a_history_that_was_lost_after_judging_is_no_run_that_never_began(
    result: RunResult, tmp_path: Path
) -> None:
    """Something removed it: that is told, and not judged."""
    shutil.copytree(result.folder.path, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    folder.history_path.unlink()
    with pytest.raises(HistoryError, match=r"history\.jsonl: found no readable file"):
        folder.history()


KILLED = """
import os, sys, threading
from pathlib import Path
from tests.execution.runs import test_run_folder as tests
from execution.runs import bench, simulated_bench

def die(*_, **__):
    os._exit(9)

where, out = sys.argv[1], Path(sys.argv[2])
if where == "play":
    simulated_bench.play = die
elif where == "judge":
    bench.judge = die
elif where == "render":
    bench.render = die
tests.played(tests.planned("smoke/control"), out)
"""


@pytest.mark.parametrize("where", ["play", "judge", "render"])
def test_a_crash_at_any_instant_leaves_a_folder_that_loads(tmp_path: Path, where: str) -> None:
    """The values are there before the start, the analysis comes after the end."""
    done = subprocess.run([sys.executable, "-c", KILLED, where, str(tmp_path)], cwd=ROOT, check=False)
    assert done.returncode == 9
    (path,) = tmp_path.iterdir()
    folder = RunFolder(path)
    expected = Verdict.INVALID if where == "play" else Verdict.PASS
    assert judge_again(folder, folder.history()).verdict is expected


def test_a_folder_that_cannot_be_written_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk at the start: there is no folder that looks like a run."""

    def full(*_: object) -> bytes:
        raise OSError(28, "No space left on device")

    plan = planned("smoke/control")
    monkeypatch.setattr("execution.runs.run_folder.packed", full)
    with pytest.raises(StorageError, match="the folder of the run could not be written"):
        played(plan, tmp_path)
    assert not list(tmp_path.iterdir())


def test_runs_that_begin_in_the_same_second_have_folders_of_their_own(tmp_path: Path) -> None:
    """The second is numbered."""
    plan = planned("smoke/control")
    folders = {played(plan, tmp_path).folder.path for _ in range(2)}
    assert folders == set(tmp_path.iterdir())


def test_a_run_says_which_system_it_was_of(result: RunResult) -> None:
    """By name and place, and by a digest of what its folder held."""
    system = result.folder.inputs().system
    assert (system.name, system.folder) == ("reference_healthcare", "reference_system")
    assert system.digest == folder_digest(ROOT / "reference_system")


def test_a_digest_tells_every_change_of_a_system(tmp_path: Path) -> None:
    """Content, names and places count; what tools leave beside them does not."""
    (tmp_path / "services").mkdir()
    (tmp_path / "system.yaml").write_text("name: a")
    (tmp_path / "services" / "one.py").write_text("x = 1")
    seen = {folder_digest(tmp_path)}
    (tmp_path / "services" / "__pycache__").mkdir()
    (tmp_path / "services" / "__pycache__" / "one.pyc").write_text("?")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("?")
    assert folder_digest(tmp_path) in seen
    (tmp_path / "services" / "one.py").write_text("x = 2")
    assert folder_digest(tmp_path) not in seen
    seen.add(folder_digest(tmp_path))
    (tmp_path / "services" / "one.py").rename(tmp_path / "one.py")
    assert folder_digest(tmp_path) not in seen


def test_the_files_of_a_run_are_json_for_others_too(result: RunResult) -> None:
    """Programs read the plan without the harness: every activation and operation, in seconds."""
    plan = json.loads((result.folder.path / "plan.json").read_text(encoding="utf-8"))
    assert plan["version"] == 1
    first = plan["plan"]["activations"][0]
    assert (first["id"], first["fault"]["kind"]) == ("f1.1", "latency")
    assert first["end_s"] > first["start_s"]
    assert len(plan["plan"]["operations"]) == len(result.plan.operations)


JUDGE = """
from experiment.findings import Finding
from experiment.verdict import Verdict
from measurement.properties.python_property import PythonProperty

def find(history, scenario, system):
    return Finding(Verdict.PASS, "{said}", history.operations.height)
"""


def test_a_property_in_python_is_judged_by_the_code_that_the_run_had(tmp_path: Path) -> None:
    """The system's file is edited, then its folder is gone: the run kept its judge."""
    home = tmp_path / "system"
    (home / "workload").mkdir(parents=True)
    judge_file = home / "workload" / "stock.py"
    judge_file.write_text(JUDGE.format(said="as it was"), encoding="utf-8")
    plan = planned("smoke/control")
    binding = PythonProperty("workload/stock.py").located(home)
    system = replace(
        plan.system, properties={**plan.system.properties, "stock": Property(binding, True, "Stock holds.")}
    )
    expect = replace(plan.scenario.expect, invariants=(*plan.scenario.expect.invariants, "stock"))
    plan = replace(plan, system=system, scenario=replace(plan.scenario, expect=expect))
    result = played(plan, tmp_path / "runs")
    judge_file.write_text(JUDGE.format(said="as it is now"), encoding="utf-8")
    shutil.rmtree(home)
    for analysis in (result.analysis, judge_again(result.folder, result.folder.history())):
        (found,) = [check for check in analysis.checks if check.checker == "stock"]
        assert found.statement.startswith("as it was")
