"""Stored results that are damaged: what gate, trend, a resumed suite and reports read of earlier runs."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from execution.campaigns.campaign import JOBS_FILE, begin, resume
from execution.campaigns.stored_runs import single_record, stored_records
from execution.campaigns.verdict_check import simulated, twin_options
from execution.catalogue import default_catalogue
from execution.runs.manifest import seal
from execution.runs.run_folder import RunFolder
from experiment.errors import CodeBlueError, ExitCode
from experiment.history_columns import COLUMNS
from experiment.jobs import Job
from experiment.stop import Stop
from measurement.run_records import FinishedRuns, RunRecord
from reports.loading import load_run_report
from simulation.model.magnitudes import UNCALIBRATED, load_magnitudes
from tests.corpus.damaged import damaged_bytes, damaged_values
from trend.store import Asked, Expected, Occasion, Results

PARTS = (
    "run.json",
    "scenario.json",
    "system.json",
    "design.json",
    "plan.json",
    "history.jsonl",
    *COLUMNS,
    "analysis.json",
    "facts.json",
    "manifest.json",
)
LONGEST_S = 2.0  # of CPU time
JOB = Job(0, "smoke/control", "resilient", 1)
Answers = Iterator[tuple[str, CodeBlueError | None]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A judged run."""
    out = tmp_path_factory.mktemp("runs")
    suite = out / "one.yaml"
    suite.write_text(
        "name: one\nseed: 1\nentries: [{scenario: smoke/control, design: resilient, expect: pass}]\n"
    )
    (judged,) = simulated(default_catalogue(), [str(suite)], twin_options(out), Stop(), lambda _: None)
    return judged.folder.path


@pytest.fixture(scope="module")
def record(run: Path) -> RunRecord:
    return single_record(RunFolder(run))


def answer(read: Callable[[], object]) -> CodeBlueError | None:
    """What a reader says, within two seconds; any error but ours goes on to the caller."""
    before = time.process_time()
    error = None
    try:
        read()
    except CodeBlueError as found:
        error = found
    assert time.process_time() - before < LONGEST_S
    return error


def wrong_answers(answers: Answers, place: Path, may_stand: Callable[[str], bool]) -> list[str]:
    """Damages that were accepted, or refused without the code, the place, or both halves of the sentence."""
    found = []
    for what, error in answers:
        told = str(error)
        if error is None:
            good = may_stand(what)
        else:
            good = error.exit_code is ExitCode.BAD_CONFIGURATION and str(place) in told
            good &= (
                ("found" in told or "could not be read" in told) and len(told) < 5_000 and "\x1b" not in told
            )
        if not good:
            found.append(f"{what}: {told[:300]}")
    return found


def each(path: Path, contents: Iterator[tuple[str, bytes]], read: Callable[[], object]) -> Answers:
    for what, content in contents:
        path.write_bytes(content)
        yield what, answer(read)


def test_a_finished_run_that_is_damaged_is_no_side_of_a_gate(record: RunRecord, tmp_path: Path) -> None:
    """Whatever became of finished.jsonl: it is refused by its name, or says the same of the run."""
    finished = FinishedRuns(tmp_path)
    finished.append(record)
    whole = finished.path.read_bytes()
    contents = [*damaged_bytes(whole), *damaged_values(whole, 60)]
    assert len(contents) > 300
    answers = each(finished.path, iter(contents), lambda: stored_records(str(tmp_path)))
    may_stand = ("no value@", "words@", "a number@", "null@", "mapping for a value@statements")
    assert wrong_answers(answers, tmp_path, lambda what: what.startswith(may_stand)) == []


def test_results_that_are_damaged_make_no_trend(record: RunRecord, tmp_path: Path) -> None:
    """results.sqlite3, as a file, as the record in a row, and as one column of another type."""
    path = tmp_path / "results.sqlite3"
    results = Results(path)
    results.begin("c-1", Asked((Expected(0, "smoke/control", "resilient", 1, 1.0),)))
    results.append(Occasion("2026-01-01T00:00:00", "c-1", "abc", "smoke"), [(record, 1.0)])
    whole = path.read_bytes()
    may_stand = ("empty", "zeros in the middle")  # a new file, and a part that nothing uses
    answers = each(path, damaged_bytes(whole), lambda: results.read("smoke"))
    assert wrong_answers(answers, path, may_stand.__contains__) == []
    assert wrong_answers(_damaged_rows(path, whole, results), path, lambda _: False) == []


def _damaged_rows(path: Path, whole: bytes, results: Results) -> Answers:
    """What SQLite itself takes: its columns hold values of any type."""
    changes = [
        *((table, column, value) for value in (b"\xff{", "{}", "[]", 7) for table, column in RECORDS),
        *(("runs", column, b"\xff") for column in ("recorded_at", "git", "suite")),
        ("runs", "recorded_at", "today"),
        *(("runs", "weight", value) for value in ("much", b"\xff", -1.0, float("inf"))),
    ]
    for table, column, value in changes:
        path.write_bytes(whole)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(f"DROP TRIGGER {TRIGGERS[table]}")
            connection.execute(f"UPDATE {table} SET {column} = ?", (value,))
        yield f"{table}.{column} = {value!r}", answer(results.read)


RECORDS = (("runs", "record"), ("suites", "asked"))
TRIGGERS = {"runs": "never_changed", "suites": "suite_never_changed"}


def test_a_damaged_campaign_is_not_resumed(tmp_path: Path) -> None:
    """What it had asked for is told to be unreadable, or to be another thing than is asked for now."""
    campaign = begin(tmp_path, "one", [JOB], {"runtime": "simulation"})
    path = campaign.folder / JOBS_FILE
    whole = path.read_bytes()

    def again() -> None:
        assert resume(tmp_path, "one", [JOB], {"runtime": "simulation"}).folder == campaign.folder

    contents = [*damaged_bytes(whole), *damaged_values(whole, 40)]
    answers = each(path, iter(contents), again)
    may_stand = ("a number@jobs.0.entry", "null@conditions", "no value@jobs.0.side")
    assert wrong_answers(answers, tmp_path, lambda what: what.startswith(may_stand)) == []


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("sealed", [True, False], ids=["as it was", "sealed anew"])
def test_a_run_folder_with_a_damaged_part_is_refused(
    name: str, sealed: bool, run: Path, tmp_path: Path
) -> None:
    """As one side of a gate, and by `check` and `report`. Sealed anew, it is refused for what it holds."""
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    whole = (folder / name).read_bytes()
    if name.endswith((".jsonl", ".parquet")):
        contents = list(damaged_bytes(whole))
    else:
        contents = [*damaged_bytes(whole), *damaged_values(whole, 12)]
    read = RunFolder(folder)

    def all_of_it() -> None:
        load_run_report(folder, read.history())
        read.scenario(), read.system(), read.design(), read.inputs()
        assert stored_records(str(folder))

    def told() -> Answers:
        for what, content in contents:
            (folder / name).write_bytes(content)
            if not sealed and name != "manifest.json":
                seal(folder)
            yield what, answer(all_of_it)

    stands: Callable[[str], bool] = (lambda _: False) if sealed else (lambda _: True)
    assert wrong_answers(told(), folder, stands) == []


def test_what_is_no_file_is_not_waited_for(record: RunRecord, run: Path, tmp_path: Path) -> None:
    """A pipe, a folder or a device in the place of each file that is read."""
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    reading: dict[Path, Callable[[], object]]
    reading = {folder / name: lambda: stored_records(str(folder)) for name in PARTS if name != "facts.json"}
    reading[folder / "facts.json"] = lambda: load_run_report(folder)
    FinishedRuns(tmp_path).append(record)
    reading[FinishedRuns(tmp_path).path] = lambda: stored_records(str(tmp_path))
    reading[tmp_path / "results.sqlite3"] = Results(tmp_path / "results.sqlite3").read
    for path, read in reading.items():
        kept = path.read_bytes() if path.exists() else None
        for make in (os.mkfifo, os.mkdir, lambda place: os.symlink("/dev/zero", place)):
            path.unlink(missing_ok=True)
            make(path)
            error = answer(read)
            assert error is not None, (path, make)
            assert error.exit_code is ExitCode.BAD_CONFIGURATION and str(path.parent) in str(error)
            assert path.name in str(error), str(error)
            path.rmdir() if path.is_dir() else path.unlink()
        if kept is not None:
            path.write_bytes(kept)


def test_a_damaged_calibration_is_refused(tmp_path: Path) -> None:
    """The file that `calibrate` wrote and `--calibration` names; what fits its keys stands."""
    path = tmp_path / "calibration.json"
    whole = UNCALIBRATED.read_bytes()
    contents = [*damaged_bytes(whole), *damaged_values(whole, 60)]
    answers = each(path, iter(contents), lambda: load_magnitudes(path))
    may_stand = re.compile(r"(no value|words|a number|null)@|list for a value@.*\.[0-9]|an empty mapping")
    assert wrong_answers(answers, path, lambda what: bool(may_stand.match(what))) == []
