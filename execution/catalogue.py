"""Where scenarios, designs, suites and systems live, and how their names are found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from execution.places import ROOT
from experiment.design import Design, load_design
from experiment.errors import UsageError, nearest
from experiment.scenario import Scenario
from experiment.scenario_file import load_scenario
from experiment.topology import System, load_system
from faults import KINDS
from measurement.checkers import CHECKERS

SCENARIO_FOLDERS = ("smoke", "catalogue", "planted_bugs")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Files by name, below `root` (the project) for the system file `system_path`."""

    root: Path
    system_path: Path

    def system(self) -> System:
        return load_system(self.system_path)

    def scenario_files(self) -> dict[str, Path]:
        """Name (file stem, and folder/stem) to file. A bare stem belongs to the first folder that has it."""
        found: dict[str, Path] = {}
        for folder in SCENARIO_FOLDERS:
            for path in sorted((self.root / "scenarios" / folder).glob("*.yaml")):
                found[f"{folder}/{path.stem}"] = path
                found.setdefault(path.stem, path)
        return found

    def design_files(self) -> dict[str, Path]:
        folders = (self.system_path.parent / "designs", self.root / "scenarios" / "planted_bugs" / "designs")
        return {path.stem: path for folder in reversed(folders) for path in sorted(folder.glob("*.yaml"))}

    def suite_files(self) -> dict[str, Path]:
        return {path.stem: path for path in sorted((self.root / "scenarios" / "suites").glob("*.yaml"))}

    def scenario_path(self, name: str) -> Path:
        return _resolve(name, self.scenario_files(), "scenario")

    def design_path(self, name: str) -> Path:
        return _resolve(name, self.design_files(), "design")

    def suite_path(self, name: str) -> Path:
        return _resolve(name, self.suite_files(), "suite")

    def runnable_path(self, name: str) -> Path:
        """The file of a suite or of a scenario; a suite's name goes before a scenario's."""
        return _resolve(name, self.scenario_files() | self.suite_files(), "suite or scenario")

    def scenario(self, name: str, system: System) -> Scenario:
        return read_scenario(self.scenario_path(name), system)

    def design(self, name: str, system: System) -> Design:
        return load_design(self.design_path(name), system)


def read_scenario(path: Path, system: System) -> Scenario:
    """A scenario checked against the registries of fault kinds and invariants."""
    return load_scenario(path, system, KINDS, CHECKERS)


def default_catalogue(system: Path | None = None) -> Catalogue:
    """Of the project's own scenarios, for its own system or another one: a system.yaml, its folder, or a
    checkout of the project."""
    if system is not None and system.is_dir():
        inside = system / "reference_system" / "system.yaml"
        system = inside if inside.is_file() else system / "system.yaml"
    return Catalogue(ROOT, system or ROOT / "reference_system" / "system.yaml")


def _resolve(name: str, known: dict[str, Path], what: str) -> Path:
    """A path as given, or the file of that name. Raises UsageError naming the nearest."""
    if name in known:
        return known[name]
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return path
    raise UsageError(f'found no {what} "{name}", expected a file or a known {what}: {nearest(name, known)}')


def unique_scenarios(catalogue: Catalogue) -> Iterator[tuple[str, Path]]:
    """Each scenario file once, with its longest name."""
    for name, path in catalogue.scenario_files().items():
        if "/" in name:
            yield name, path
