"""A run folder: everything needed to judge, render and repeat a run without the system that was run.

run.json        what was run, where and with what; the command that repeats it; the header of the history
scenario.json   with system.json, design.json and plan.json: what was played, as values, and judged by
code/           the system's own files of Python properties, which judge
sources/        the files that the values were read from, for people
history.jsonl   appended while the run happens
history.*.parquet  the same in columns, of a finished run: for reading it again
logs/, traces/  of the services
logs.jsonl      what all services logged, in the order of time, with the traces that it belongs to
facts.json      scenario and design in the words of a report; as all of these it has its digest in run.json
analysis.json   with report.html, report.md, report.json, report.txt, junit.xml: made from the above
manifest.json   the digests of all parts, written last
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import msgspec

from execution.catalogue import read_system, system_file
from execution.runs.manifest import HISTORY, VALUES, digests, require_evidence, require_values, sealed_columns
from execution.whole_files import closed
from experiment.asked import Asked
from experiment.controls import Fault
from experiment.design import Design
from experiment.errors import HistoryError, OutputError, StorageError, UsageError
from experiment.history import Header, History, load_history
from experiment.history_columns import load_columns, require_same
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
FACTS = "facts.json"
UNFINISHED = ".new-"  # begins the name of a folder that is half made
LOCKED_WITHIN_S = 5.0
BEGUN_WITHIN_S = 3600.0  # of the making of its folder, and by a clock that is set back by no more than
CLOCK_S = 60.0
# What the header of a history shares with the header that its run began with; only the run's zero is new.
IDENTITY = tuple(one.name for one in fields(Header) if one.name not in ("started_at", "zero_wall"))
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
        return self.path / HISTORY

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

    def history(self, *, compared: bool = False) -> History:
        """Read from its columns where it has some; `compared` with its lines, row by row. Also of a run that
        ended before it began: then nobody has judged it yet. Raises HistoryError, also for a history that is
        not that of this run."""
        require_evidence(self.path)
        inputs = self.inputs()
        require_values(self.path, inputs.values)
        digest = sealed_columns(self.path)
        if digest is None:
            history = load_history(self.history_path, inputs.header)
        else:
            history = load_columns(self.path, digest)
            if compared:
                require_same(self.path, history, self.history_path)
        for name in IDENTITY:
            found, expected = getattr(history.header, name), getattr(inputs.header, name)
            if found != expected:
                where = f"{self.history_path}: found the history of another run"
                raise HistoryError(f"{where} ({name} {found!r}), expected {name} {expected!r}")
        self._require_time(history.header, inputs.header)
        return history

    def _require_time(self, header: Header, folder: Header) -> None:
        """A run begins when its folder has been made, and soon: by the day of a run waivers are judged."""
        if not -CLOCK_S <= header.zero_wall - folder.zero_wall <= BEGUN_WITHIN_S:
            raise HistoryError(
                f"{self.history_path}: found the history of a run that began at {header.started_at}, "
                f"expected {folder.started_at}, when its folder was made, or an hour later at most"
            )

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


def create(
    parent: Path, plan: Plan, inputs: RunInputs, facts: RunFacts, journaled: Callable[[Path], None]
) -> RunFolder:
    """A new folder below `parent` with everything that will be played written out: whole or not at all.
    Nobody else may enter it. The name starts with the time. Raises StorageError.

    While it is half made it has another name, which is `journaled` beforehand: a guard removes it. What a
    command without a guard left half made is removed here.
    """
    unfinished = parent / f"{UNFINISHED}{secrets.token_hex(8)}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _remove_forsaken(parent)
        journaled(unfinished)
        unfinished.mkdir(mode=CLOSED)
        with _locked(unfinished):
            _write(unfinished, plan, inputs, facts)
    except BaseException as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        if not isinstance(error, OSError):
            raise
        if said := closed(error):
            raise OutputError(said) from None
        why = f"the folder of the run could not be written ({error.strerror})"
        raise StorageError(f"{parent}: {why}") from None
    for path in _names(parent, plan.run_id):
        try:
            return RunFolder(unfinished.rename(path))
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):  # the name is not taken
                raise
    raise AssertionError("there is always another number")


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """A lock on a folder, which the kernel takes away from a process that ends; whether it is ours."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _remove_forsaken(parent: Path) -> None:
    """Folders that nobody is making any more."""
    for folder in parent.glob(f"{UNFINISHED}*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime < LOCKED_WITHIN_S:
                continue  # somebody is about to lock it
            with _locked(folder) as ours:
                if ours:
                    shutil.rmtree(folder, ignore_errors=True)


def _write(unfinished: Path, plan: Plan, inputs: RunInputs, facts: RunFacts) -> None:
    for name in ("scenario", "system", "design"):
        (unfinished / f"{name}.json").write_bytes(packed(name, to_plain(getattr(plan, name))))
    (unfinished / "plan.json").write_bytes(packed("plan", plan_values(plan)))
    (unfinished / FACTS).write_bytes(msgspec.json.format(msgspec.json.encode(facts), indent=1))
    code = {f"{CODE}/{one.file}": one.path for one in _written_in_python(plan.system).values()}
    for name, path in code.items():
        (unfinished / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, unfinished / name)
    bound = replace(inputs, values=digests(unfinished, (*VALUES, FACTS, *code)))
    (unfinished / "run.json").write_bytes(packed("run", to_plain(bound)))
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
