"""A run folder: everything needed to judge, render and repeat a run without the system that was run.

run.json            what was run and how to repeat it scenario.yaml, system.yaml, design.json, plan.json
history.jsonl       appended while the run happens logs/, spans/       of the services analysis.json,
report.html, report.md, report.json, junit.xml
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from execution.catalogue import read_scenario
from execution.runs.scaling import scaled
from experiment.design import Design
from experiment.errors import HistoryError
from experiment.history import History, load_history
from experiment.plan import Plan
from experiment.scenario import Scenario
from experiment.topology import System, load_system
from reports.report import RunFacts as ReportFacts

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RunInputs:
    """run.json: the inputs beside the files, and the command that repeats the run."""

    run_id: str
    runtime: str
    scenario: str
    design: str
    seed: int
    time_scale: float
    population: str
    command: str
    created: str
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, str] = field(default_factory=dict)
    git: str = ""


@dataclass(frozen=True, slots=True)
class RunFolder:
    path: Path

    @property
    def history_path(self) -> Path:
        return self.path / "history.jsonl"

    @property
    def analysis_path(self) -> Path:
        return self.path / "analysis.json"

    def inputs(self) -> RunInputs:
        return self._decoded("run.json", RunInputs)

    def scenario(self, system: System) -> Scenario:
        return scaled(read_scenario(self.path / "scenario.yaml", system), self.inputs().time_scale)

    def system(self) -> System:
        return load_system(self.path / "system.yaml")

    def design(self) -> Design:
        return self._decoded("design.json", Design)

    def history(self) -> History:
        return load_history(self.history_path)

    def _decoded(self, name: str, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(self._read(name), type=kind)
        except ValueError as error:
            expected = "the file that the run wrote"
            raise HistoryError(f"{self.path / name}: found {error}, expected {expected}") from None

    def _read(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            expected = "a run folder such as reports/runs/NAME; `harness.py list --runs` shows them"
            raise HistoryError(f"{self.path}: no {name} ({error.strerror}), expected {expected}") from None


def fresh_folder(parent: Path, name: str) -> Path:
    """A folder below `parent` that nobody else has, made now: the time, the name, and a number if need be."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        path = parent / (f"{stamp}-{name}" if number == 1 else f"{stamp}-{name}-{number}")
        with suppress(FileExistsError):
            path.mkdir()
            break
    return path


def create(parent: Path, plan: Plan, inputs: RunInputs) -> RunFolder:
    """A new folder below `parent` with every input of the run written out. The name starts with the time."""
    path = fresh_folder(parent, plan.run_id)
    shutil.copyfile(plan.scenario.source, path / "scenario.yaml")
    shutil.copyfile(plan.system.source, path / "system.yaml")
    _write(path / "design.json", plan.design.to_wire())
    _write(path / "plan.json", plan_facts(plan))
    _write(path / "run.json", asdict(inputs))
    return RunFolder(path)


def write_facts(folder: RunFolder, facts: ReportFacts) -> None:
    """facts.json: scenario and design in the words of a report."""
    _write(folder.path / "facts.json", facts)


def plan_facts(plan: Plan) -> dict[str, Any]:
    """The timeline as plain data: phases, activations of faults, and every operation."""
    return {
        "run_id": plan.run_id,
        "seed": plan.seed,
        "scenario": plan.scenario.name,
        "design": plan.design.name,
        "phases": [asdict(phase) for phase in plan.phases],
        "activations": [
            {"id": a.id, "kind": a.fault.kind, "target": a.target, "start_s": a.start_s, "end_s": a.end_s}
            for a in plan.activations
        ],
        "population": plan.population.source,
        "operations": [asdict(operation) for operation in plan.operations],
    }


def _write(path: Path, plain: object) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(plain), indent=1))
