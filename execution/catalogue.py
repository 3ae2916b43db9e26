"""Which system is meant, and how the names of its scenarios, designs and suites are found."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from execution.places import ROOT
from execution.program import pasteable
from experiment.design import Design, load_design
from experiment.errors import ConfigError, Problem, UsageError, nearest
from experiment.named_files import check_roles, check_shown_by
from experiment.scenario import Covers, Scenario
from experiment.scenario_file import load_scenario
from experiment.suite import Suite, load_suite, part_of_suite
from experiment.topology import System, load_system
from experiment.yaml_source import Mapping, Scalar, Sequence, place, read_yaml
from faults import KINDS
from measurement.properties import KINDS as PROPERTY_KINDS

SYSTEM_FILE = "system.yaml"
REFERENCE = ROOT / "reference_system" / SYSTEM_FILE
ENDINGS = (".yaml", ".yml")

SETTLED_NS = 1_000_000_000  # after that a change of a file or a folder shows in its time
_LISTED: dict[tuple[Path, ...], tuple[dict[Path, tuple[int, int]], list[tuple[str, Path]]]] = {}
_SCENARIOS: dict[Path, tuple[tuple[int, int], System, Scenario]] = {}  # by file, as `read_scenario` had it

Kind = Literal["scenarios", "designs", "suites"]
KEYS: tuple[Kind, ...] = ("scenarios", "designs", "suites")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The files of one system by name. A name is the path in its folder without the ending
    (`smoke/control`) or the last part of it alone, which belongs to the first file that has it."""

    system_path: Path
    scenarios_of: Path | None = None  # another system.yaml, whose scenarios are meant

    def system(self) -> System:
        """Raises ConfigError."""
        return read_system(self.system_path)

    def scenario_files(self) -> dict[str, Path]:
        return _scenario_files(read_system(self.scenarios_of or self.system_path))

    def design_files(self) -> dict[str, Path]:
        return _files(self.system(), "designs")

    def suite_files(self) -> dict[str, Path]:
        return _files(self.system(), "suites")

    def files(self) -> list[Path]:
        """Every file of the system, its own first."""
        kinds = (self.design_files(), self.suite_files(), self.scenario_files())
        return [self.system_path, *(path for kind in kinds for path in unique(kind).values())]

    def scenario_path(self, name: str) -> Path:
        return self._resolve(name, self.scenario_files(), "scenario")

    def design_path(self, name: str) -> Path:
        return self._resolve(name, self.design_files(), "design")

    def suite_path(self, name: str) -> Path:
        return self._resolve(name, self.suite_files(), "suite")

    def runnable_path(self, name: str) -> Path:
        """The file of a suite or of a scenario; a suite's name goes before a scenario's."""
        return self._resolve(name, self.scenario_files() | self.suite_files(), "suite or scenario")

    def kind_of(self, name: str) -> Kind:
        """Whether a name is that of a design or of a scenario; of a file its keys say it. Raises UsageError
        naming the nearest of both."""
        designs, scenarios = self.design_files(), self.scenario_files()
        if name in designs or name in scenarios:
            return "designs" if name in designs else "scenarios"
        node = read_yaml(self._resolve(name, designs | scenarios, "design or scenario"))
        keys = {key.text for key, _ in node.items} if isinstance(node, Mapping) else set()
        return "scenarios" if keys & {"load", "phases"} else "designs"

    def scenario(self, name: str, system: System) -> Scenario:
        return read_scenario(self.scenario_path(name), system)

    def design(self, name: str, system: System) -> Design:
        return load_design(self.design_path(name), system)

    def suite(self, path: Path) -> Suite:
        """The suite of a file, with the entries that it has of another one. Raises ConfigError."""
        suite = load_suite(path)
        if suite.part_of is None:
            return suite
        known = self.suite_files()
        if suite.part_of not in known:
            found, expected = f'the unknown suite "{suite.part_of}"', "another suite of the system"
            where = place(read_yaml(path), "part_of")
            raise ConfigError([Problem(where, found, expected, nearest(suite.part_of, known))])
        system, files = self.system(), self.scenario_files()
        whole = load_suite(known[suite.part_of])

        def covers(name: str) -> Covers:
            return read_scenario(self._resolve(name, files, "scenario"), system).covers

        return part_of_suite(suite, whole, covers)

    def usual_design(self) -> str:
        """The design that is meant where none was chosen: the system's strong one, or its only one. Raises
        UsageError."""
        system, known = self.system(), unique(self.design_files())
        if system.roles.strong:
            return system.roles.strong
        if len(known) == 1:
            return next(iter(known))
        if not known:
            raise UsageError(
                f"found no design of the system {system.name}, expected one in {_listed(system)}"
            )
        raise UsageError(
            f"found no choice of a design, expected one of the system {system.name}: {', '.join(known)}; "
            f"`roles: {{strong: NAME}}` in its {SYSTEM_FILE} says which one is meant where none is named"
        )

    def usual_designs(self) -> tuple[str, ...]:
        """The designs that are played side by side where none was chosen: the system's weak and strong one,
        or all."""
        roles = self.system().roles
        named = tuple(name for name in (roles.weak, roles.strong) if name)
        return named if len(named) == 2 else tuple(unique(self.design_files()))

    def name_of(self, kind: Kind, path: Path) -> str:
        """How a file of the system is named from everywhere; its path where it is not the system's."""
        known = {"scenarios": self.scenario_files, "designs": self.design_files, "suites": self.suite_files}
        found = unique(known[kind]())
        own = (name for name, file in found.items() if file.resolve() == path.resolve())
        return next(own, pasteable(path))

    def system_words(self, names: Iterable[str]) -> list[str]:
        """`--system DIR` where the names alone would mean another system."""
        try:
            meant = default_catalogue(None, names).system_path
        except UsageError:
            meant = Path()
        if meant.resolve() == self.system_path.resolve():
            return []
        path = self.system_path
        return ["--system", pasteable(path.parent if path.name == SYSTEM_FILE else path)]

    def _resolve(self, name: str, known: dict[str, Path], what: str) -> Path:
        """A path as given, or the file of that name. Raises UsageError naming the nearest."""
        if name in known:
            return known[name]
        path = Path(name)
        if path.suffix in ENDINGS:
            return path
        check_folders(self.system_path)
        of = f"expected a file or a {what} of the system {self.system().name}"
        raise UsageError(f'found no {what} "{name}", {of}: {nearest(name, known, unique(known))}')


def read_scenario(path: Path, system: System) -> Scenario:
    """A scenario checked against its system and the registry of fault kinds; read once as long as the file
    stays as it is: suites that are parts of one another ask for all scenarios again and again."""
    stamp = _stamp(path)
    known = _SCENARIOS.get(path)
    if known is not None and known[0] == stamp and known[1] is system:
        return known[2]
    scenario = load_scenario(path, system, KINDS)
    settled = stamp[0] < time.time_ns() - SETTLED_NS
    if settled and scenario.load.arrivals.file is None:  # that file may change alone
        _SCENARIOS[path] = stamp, system, scenario
    return scenario


def read_system(path: Path) -> System:
    """The system of a file, checked against the kinds of properties; read once as long as the file stays as
    it is. Raises ConfigError."""
    return _system(path, _stamp(path))


def _stamp(path: Path) -> tuple[int, int]:
    """Tells whether a file has changed since it was read; nothing of one that is not there."""
    try:
        facts = path.stat()
    except OSError:
        return 0, 0
    return facts.st_mtime_ns, facts.st_size


@cache
def _system(path: Path, _read_as: tuple[int, int]) -> System:
    system = load_system(path, PROPERTY_KINDS)
    if all(folder.is_dir() for folder in system.folders("designs")):
        check_roles(system, _files(system, "designs"))
    if all(folder.is_dir() for folder in system.folders("scenarios")):
        check_shown_by(system, _scenario_files(system))
    return system


def check_folders(path: Path) -> None:
    """Whether every folder that a system file names is there. Raises ConfigError with the place of each that
    is not."""
    system, node = read_system(path), read_yaml(path)
    problems = [
        Problem(
            place(node, key),
            f"the folder {folder}, which is not there",
            "one that is (relative to this file)",
        )
        for key in KEYS
        if isinstance(node, Mapping) and node.get(key) is not None
        for folder in system.folders(key)
        if not folder.is_dir()
    ]
    if problems:
        raise ConfigError(problems)


def _listed(system: System) -> str:
    return ", ".join(map(str, system.folders("designs")))


def _scenario_files(system: System) -> dict[str, Path]:
    return _files(system, "scenarios", without=("designs", "suites"))


def _files(system: System, kind: Kind, without: tuple[Kind, ...] = ()) -> dict[str, Path]:
    others = [folder for other in without for folder in system.folders(other)]
    found: dict[str, Path] = {}
    for folder in system.folders(kind):
        apart = [other for other in others if other != folder]
        if any(folder.is_relative_to(other) for other in apart):
            continue
        for name, path in _yaml_below(folder, apart):
            found.setdefault(name, path)
    for path in list(found.values()):
        found.setdefault(path.stem, path)
    return found


def _yaml_below(folder: Path, without: list[Path]) -> list[tuple[str, Path]]:
    """The YAML files in a folder and in those below it, each with its name, but for those in the folders
    `without`. They are listed anew when a folder has changed, or so lately that its time does not tell."""
    known = _LISTED.get((folder, *without))
    if known is not None and all(_stamp(at) == stamp for at, stamp in known[0].items()):
        return known[1]
    now, apart = time.time_ns(), {str(other) for other in without}
    folders: dict[Path, tuple[int, int]] = {}
    found: list[Path] = []
    for at, below, files in os.walk(folder):
        folders[Path(at)] = _stamp(Path(at))
        below[:] = [name for name in below if os.path.join(at, name) not in apart]
        found += (Path(at, name) for name in files if os.path.splitext(name)[1] in ENDINGS)
    named = [(str(path.relative_to(folder).with_suffix("")), path) for path in sorted(found)]
    if folders and all(changed < now - SETTLED_NS for changed, _ in folders.values()):
        _LISTED[folder, *without] = folders, named
    return named


def default_catalogue(system: Path | None = None, names: Iterable[str] = ()) -> Catalogue:
    """The catalogue of `system`; without one that of the system which the files among `names` belong to;
    else of the reference system. Raises UsageError for files of two systems, or a folder without a
    system."""
    if system is not None:
        return Catalogue(system_file(system))
    found: dict[Path, str] = {}
    for name in names:
        above = _system_above(Path(name)) if Path(name).suffix in ENDINGS else None
        if above is not None:
            found.setdefault(above, name)
    if len(found) > 1:
        (one, first), (other, second), *_ = found.items()
        raise UsageError(
            f"found files of two systems, {first} of {one.parent} and {second} of {other.parent}, "
            "expected those of one: use a command for each, or choose the system with --system"
        )
    return Catalogue(next(iter(found), REFERENCE))


def system_file(named: Path) -> Path:
    """The system.yaml that is meant by a file, by its folder, or by a checkout of Code Blue. Raises
    UsageError."""
    if named.is_file():
        return named
    if not named.is_dir():
        raise UsageError(
            f"--system: found no folder or file {named}, expected the folder of a system or its {SYSTEM_FILE}"
        )
    for inside in (named / SYSTEM_FILE, named / REFERENCE.parent.name / SYSTEM_FILE):
        if inside.is_file():
            return inside
    below = sorted(str(path.parent) for path in named.glob(f"*/{SYSTEM_FILE}"))
    hint = f"; systems below it: {', '.join(below)}" if below else ""
    raise UsageError(f"--system: found no {SYSTEM_FILE} in the folder {named}, expected one{hint}")


def _system_above(file: Path) -> Path | None:
    """The system of the nearest folder above a file that holds a system.yaml, or is named by one beside
    it."""
    file = file.resolve()
    for folder in file.parents:
        if (folder / SYSTEM_FILE).is_file():
            return folder / SYSTEM_FILE
        for beside in sorted(folder.glob(f"*/{SYSTEM_FILE}")):
            if any(file.is_relative_to(named) for named in _named_folders(beside, _stamp(beside))):
                return beside
    return None


@cache
def _named_folders(system: Path, _read_as: tuple[int, int]) -> list[Path]:
    """The folders that a system.yaml names, read without the rest of it. None when it cannot be read: it is
    perhaps nobody's system."""
    try:
        node = read_yaml(system)
    except ConfigError:
        return []
    named = [node.get(key) for key in KEYS] if isinstance(node, Mapping) else []
    texts: list[str] = []
    for value in named:
        items = value.items if isinstance(value, Sequence) else (value,)
        texts += [item.text for item in items if isinstance(item, Scalar)]
    return [(system.parent / text).resolve() for text in texts]


def unique(files: dict[str, Path]) -> dict[str, Path]:
    """Each file once, by its longest name."""
    longest: dict[Path, str] = {}
    for name, path in files.items():
        if len(name) > len(longest.get(path, "")):
            longest[path] = name
    return {name: path for path, name in longest.items()}
