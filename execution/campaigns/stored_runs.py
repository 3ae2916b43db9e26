"""Runs that were played earlier: taken as one side of a gate, or judged again with today's formula."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from execution.runs.facts import machine
from execution.runs.judging import judge_again, render
from execution.runs.manifest import require_judgement
from execution.runs.run_folder import RunFolder
from experiment.errors import CodeBlueError, HistoryError, Location, UsageError
from experiment.history import History
from experiment.scenario import Scenario
from experiment.values import to_plain
from measurement.analysis import Analysis
from measurement.run_records import FinishedRuns, RunRecord, record_of
from measurement.score import FORMULA
from reports.loading import load_analysis
from trend.store import Occasion, Result, Results


def stored_records(what: str) -> list[RunRecord] | None:
    """The runs of FOLDER, or of one design (or side of a gate) in it: FOLDER:DESIGN. None when `what` names
    no folder. Raises UsageError when the folder holds several designs and none was chosen."""
    path, chosen = Path(what), ""
    if not path.is_dir():
        before, _, chosen = what.rpartition(":")
        path = Path(before)
        if not before or not path.is_dir():
            return None
    records = _records(path)
    groups = sorted({record.side or record.design for record in records})
    if chosen:
        records = [record for record in records if chosen in (record.design, record.side)]
    elif len(groups) > 1:
        ways = " or ".join(f"{path}:{name}" for name in groups)
        raise UsageError(f"found runs of {len(groups)} designs in {path}, expected one: {ways}")
    if not records:
        raise UsageError(f'found no run of "{chosen}" in {path}, expected one of {", ".join(groups)}')
    return records


def _records(path: Path) -> list[RunRecord]:
    if records := FinishedRuns(path).read():
        require_own(records, FinishedRuns(path).path)
        return records
    folder = RunFolder(path)
    if not folder.analysis_path.is_file():
        expected = "the folder of a suite, a comparison, a gate or a judged run"
        raise UsageError(f"found neither finished.jsonl nor analysis.json in {path}, expected {expected}")
    return [single_record(folder)]


def require_own(records: Sequence[RunRecord], kept_in: Path) -> None:
    """What `kept_in` says of each run is what its folder says, where that is still there. Raises
    HistoryError."""
    for record in records:
        folder = RunFolder(Path(record.folder))
        if not folder.path.is_dir():
            continue
        require_judgement(folder.path)
        _require_identity(record, folder, kept_in)
        found = load_analysis(folder.path)
        said: dict[str, tuple[object, object]]
        said = {"verdict": (record.verdict, found.verdict), "veto": (record.vetoed, found.vetoed)}
        if record.formula == found.score.formula:
            said["score"] = (record.score, found.score.value)
        _require_alike(folder, said, kept_in)


def _require_identity(record: RunRecord, folder: RunFolder, kept_in: Path) -> None:
    """The folder is that of the run that the record is of. Raises HistoryError."""
    header = folder.inputs().header
    said: dict[str, tuple[object, object]]
    said = {"design": (record.design, header.design), "seed": (record.seed, header.seed)}
    if record.source:  # what old records do not say
        said["runtime"] = (record.source, header.source)
    if record.scenario_hash:
        said["scenario"] = (record.scenario_hash, scenario_hash(folder.scenario()))
    _require_alike(folder, said, kept_in)


def _require_alike(folder: RunFolder, said: Mapping[str, tuple[object, object]], kept_in: Path) -> None:
    for name, (kept, found) in said.items():
        if kept != found:
            raise HistoryError(
                f"{folder.path}: found the {name} {found}, expected {kept}, which {kept_in} "
                "says of this run; one of both was changed, or belongs to another run"
            )


def record_of_folder(
    entry: int, scenario: str, folder: RunFolder, history: History, analysis: Analysis, clean: bool
) -> RunRecord:
    """The same of a run that left a folder, with the conditions it was played under."""
    inputs = folder.inputs()
    code = inputs.system.digest
    record = record_of(entry, scenario, folder.path, history, analysis, clean, code)
    hashed = scenario_hash(folder.scenario())
    return replace(record, time_scale=inputs.time_scale, scenario_hash=hashed, system=inputs.system.name)


def scenario_hash(scenario: Scenario) -> str:
    """Tells scenarios apart that say different things, wherever their files lie and whatever else these
    hold; of a fault with several places, whichever was drawn."""
    bare = replace(
        scenario,
        source="",
        faults=tuple(replace(spec, where=Location(""), target=spec.targets[0]) for spec in scenario.faults),
    )
    return hashlib.sha256(msgspec.json.encode(to_plain(bare))).hexdigest()[:16]


def single_record(folder: RunFolder, history: History | None = None) -> RunRecord:
    """A judged run that belongs to no campaign."""
    require_judgement(folder.path)
    analysis = load_analysis(folder.path)
    history = history or folder.history()
    clean = history.end.clean if history.end else False
    return record_of_folder(0, folder.inputs().scenario, folder, history, analysis, clean)


def machine_warnings(records: Sequence[RunRecord]) -> list[str]:
    """A stored side from another machine is good for vetoes and validity, less so for scores. Every run is
    looked at; one line a machine."""
    gone: list[str] = []
    others: dict[str, list[str]] = {}
    here = machine()
    for record in records:
        folder = RunFolder(Path(record.folder))
        try:
            there = dict(folder.inputs().machine)
        except CodeBlueError:
            gone.append(folder.path.name)
            continue
        if there != here:
            name = f"{there.get('cpu', 'unknown')}, {there.get('cores', '?')} cores"
            others.setdefault(name, []).append(folder.path.name)
    found = [
        f"{_counted(names)} run on another machine ({name}): trust vetoes and validity, not latencies"
        for name, names in others.items()
    ]
    if gone:
        found.append(f"the folders of {_counted(gone)} gone: their machine is not known")
    return found


def _counted(names: Sequence[str]) -> str:
    return f"{names[0]} was" if len(names) == 1 else f"{len(names)} runs ({names[0]} first) were"


def rescore(results: Results, stored: Sequence[Result], every: bool) -> tuple[int, list[str]]:
    """Judge stored runs again whose score has another formula (or all of them), from their histories. Returns
    how many were, and why the others could not be."""
    done, problems = 0, []
    for old in stored:
        if old.record.formula == FORMULA and not every:
            continue
        folder = RunFolder(Path(old.record.folder))
        try:
            _require_identity(old.record, folder, results.path)
            history = folder.history()
            render(folder, history, judge_again(folder, history))
            fresh = single_record(folder, history)
        except (CodeBlueError, OSError) as error:
            problems.append(f"{folder.path}: {error}")
            continue
        kept = old.record
        names = {"entry": kept.entry, "scenario": kept.scenario, "design": kept.design, "side": kept.side}
        fresh = replace(fresh, clean=kept.clean, **names)  # type: ignore[arg-type]  # text and a number
        occasion = Occasion(old.recorded_at, old.campaign, old.git, old.suite)
        results.append(occasion, [(fresh, old.weight)], [old.id])
        done += 1
    return done, problems
