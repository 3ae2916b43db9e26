"""A run folder: everything needed to judge, render and repeat a run without the system that was run.

run.json        what was run, where and with what; the command that repeats it; the header of the history
scenario.json   with system.json, design.json and plan.json: what was played, as values, and judged by
code/           the system's own files of Python properties, which judge
sources/        the files that the values were read from, for people
history.jsonl   appended while the run happens
logs/, traces/  of the services
facts.json      scenario and design in the words of a report
analysis.json   with report.html, report.md, report.json, report.txt, junit.xml: made from the above
manifest.json   the digests of all parts, written last
"""

from __future__ import annotations

import errno
import itertools
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import msgspec

from execution.catalogue import read_system, system_file
from execution.runs.manifest import VALUES, digests, require_evidence, require_values
from experiment.asked import Asked
from experiment.controls import Fault
from experiment.design import Design
from experiment.errors import HistoryError, StorageError, UsageError
from experiment.history import Header, History, load_history
from experiment.plan import Plan
from experiment.properties import Binding
from experiment.regular_files import read_regular
from experiment.scenario import Scenario
from experiment.topology import System
from experiment.values import Registries, from_plain, packed, to_plain, unpacked
from experiment.workload import Population
from faults import KINDS
from measurement.properties import KINDS as PROPERTY_KINDS
from measurement.properties.python_property import PythonProperty
from reports.report import RunFacts
from runtimes.private_places import CLOSED

T = TypeVar("T")
REGISTRIES: Registries = {Fault: KINDS, Binding: PROPERTY_KINDS}
CODE = "code"
# What the header of a history shares with the header that its run began with; only the run's zero is new.
IDENTITY = ("run_id", "source", "scenario", "design", "system", "seed", "population", "clock_scale")
PARTS = ("scenario", "system", "design", "population")  # of a plan, kept apart or as a name


@dataclass(frozen=True, slots=True)
class SystemFolder:
    """Which system was run: `digest` tells folders of different content apart."""

    name: str
    folder: str
    digest: str


@dataclass(frozen=True, slots=True)
class RunInputs:
    """run.json: what a run began with, beside the values. The header is that of the history, but for a live
    run's zero, which nobody knows before."""

    header: Header
    scenario: str  # the files
    design: str
    system: SystemFolder
    time_scale: float
    asked: Asked  # what its history is held against
    values: Mapping[str, str] = field(default_factory=dict)  # digests of the files with what was played
    machine: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run and all it left. Python of its system is read from where that lay then, or lies now: `moved`."""

    path: Path
    moved: Path | None = None

    @property
    def history_path(self) -> Path:
        return self.path / "history.jsonl"

    @property
    def analysis_path(self) -> Path:
        return self.path / "analysis.json"

    def inputs(self) -> RunInputs:
        return self._value("run", RunInputs)

    def scenario(self) -> Scenario:
        return self._value("scenario", Scenario)

    def system(self) -> System:
        """Raises UsageError when `moved` is another system."""
        played = _judged_here(self._value("system", System), self.path / CODE)
        if self.moved is None:
            return played
        found = read_system(system_file(self.moved))
        if found.name != played.name:
            raise UsageError(
                f"--system: found the system {found.name} in {self.moved}, expected {played.name}, "
                f"which {self.path} is a run of"
            )
        return replace(played, source=found.source)

    def design(self) -> Design:
        return self._value("design", Design)

    def plan(self, population: Population) -> Plan:
        """The plan that was played; the population is kept as a name only."""
        plain, hints = self._plain("plan"), get_type_hints(Plan)
        kept = {name: self._as(plain.get(name), hints[name], "plan") for name in _kept()}
        return Plan(
            scenario=self.scenario(),
            system=self.system(),
            design=self.design(),
            population=population,
            **kept,
        )

    def history(self) -> History:
        """Also of a run that ended before it began: then nobody has judged it yet. Raises HistoryError, also
        for a history that is not that of this run."""
        require_evidence(self.path)
        inputs = self.inputs()
        require_values(self.path, inputs.values)
        history = load_history(self.history_path, inputs.header)
        for name in IDENTITY:
            found, expected = getattr(history.header, name), getattr(inputs.header, name)
            if found != expected:
                where = f"{self.history_path}: found the history of another run"
                raise HistoryError(f"{where} ({name} {found!r}), expected {name} {expected!r}")
        return history

    def _value(self, name: str, kind: type[T]) -> T:
        return self._as(self._plain(name), kind, name)

    def _as(self, plain: object, kind: type[T], name: str) -> T:
        try:
            return from_plain(plain, kind, REGISTRIES)
        except ValueError as error:
            raise self._unreadable(name, error) from None

    def _plain(self, name: str) -> Any:
        path = self.path / f"{name}.json"
        try:
            return unpacked(name, read_regular(path))
        except OSError as error:
            hint = "expected a run folder such as reports/runs/NAME"
            if (self.path / "run.json").is_file() and (self.path / "scenario.yaml").is_file():
                hint = "which an earlier version of Code Blue left: judge it with that version"
            raise HistoryError(f"{self.path}: found no {name}.json ({error.strerror}), {hint}") from None
        except ValueError as error:
            raise self._unreadable(name, error) from None

    def _unreadable(self, name: str, error: ValueError) -> HistoryError:
        return HistoryError(f"{self.path / name}.json: found {error}")


def fresh_folder(parent: Path, name: str) -> Path:
    """A folder below `parent` that nobody else has or may enter, made now: the time, the name, and a number
    if need be."""
    parent.mkdir(parents=True, exist_ok=True)
    for path in _names(parent, name):
        with suppress(FileExistsError):
            path.mkdir(mode=CLOSED)
            return path
    raise AssertionError("there is always another number")


def _names(parent: Path, name: str) -> Iterator[Path]:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    yield parent / f"{stamp}-{name}"
    yield from (parent / f"{stamp}-{name}-{number}" for number in itertools.count(2))


def create(parent: Path, plan: Plan, inputs: RunInputs, facts: RunFacts) -> RunFolder:
    """A new folder below `parent` with everything that will be played written out: whole or not at all.
    Nobody else may enter it. The name starts with the time. Raises StorageError."""
    unfinished: Path | None = None
    try:
        parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".new-", dir=parent))
        _write(unfinished, plan, inputs, facts)
    except OSError as error:
        if unfinished is not None:
            shutil.rmtree(unfinished, ignore_errors=True)
        why = f"the folder of the run could not be written ({error.strerror})"
        raise StorageError(f"{parent}: {why}") from None
    for path in _names(parent, plan.run_id):
        try:
            return RunFolder(unfinished.rename(path))
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):  # the name is not taken
                raise
    raise AssertionError("there is always another number")


def _write(unfinished: Path, plan: Plan, inputs: RunInputs, facts: RunFacts) -> None:
    for name in ("scenario", "system", "design"):
        (unfinished / f"{name}.json").write_bytes(packed(name, to_plain(getattr(plan, name))))
    (unfinished / "plan.json").write_bytes(packed("plan", plan_values(plan)))
    bound = replace(inputs, values=digests(unfinished, VALUES))
    (unfinished / "run.json").write_bytes(packed("run", to_plain(bound)))
    (unfinished / "facts.json").write_bytes(msgspec.json.format(msgspec.json.encode(facts), indent=1))
    for binding in _written_in_python(plan.system).values():
        kept = unfinished / CODE / binding.file
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(binding.path, kept)
    sources = unfinished / "sources"
    sources.mkdir()
    for name in ("scenario", "system", "design"):
        with suppress(OSError):  # a courtesy: what was played stands in the values
            shutil.copyfile(getattr(plan, name).source, sources / f"{name}.yaml")


def _written_in_python(system: System) -> dict[str, PythonProperty]:
    """Properties whose judge is a file in the system's folder."""
    found = {name: one.binding for name, one in system.properties.items()}
    return {
        name: binding
        for name, binding in found.items()
        if isinstance(binding, PythonProperty) and ".." not in Path(binding.file).parts
    }


def _judged_here(system: System, code: Path) -> System:
    """The system with the judges that the run kept, whatever has become of those in its folder."""
    kept = {
        name: replace(system.properties[name], binding=replace(binding, folder=str(code.resolve())))
        for name, binding in _written_in_python(system).items()
        if (code / binding.file).is_file()
    }
    return replace(system, properties={**system.properties, **kept}) if kept else system


def plan_values(plan: Plan) -> dict[str, Any]:
    """The timeline as plain data, to be encoded by msgspec: phases, activations of faults, operations."""
    kept = {name: to_plain(getattr(plan, name)) for name in _kept() if name != "operations"}
    operations = msgspec.Raw(msgspec.json.encode(plan.operations))  # there may be a million
    named = {"scenario": plan.scenario.name, "design": plan.design.name, "population": plan.population.source}
    return {**named, **kept, "operations": operations}


def _kept() -> tuple[str, ...]:
    return tuple(one.name for one in fields(Plan) if one.name not in PARTS)
