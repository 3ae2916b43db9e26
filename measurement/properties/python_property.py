"""A property in Python, where no kind fits: a function of a file that the system brings.

It is called as `find(history, scenario, system)` and returns an `experiment.findings.Finding`. What it raises
is its own mistake, not one of the system: the run is invalid.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from experiment.errors import ConfigError, nearest
from experiment.findings import Finding
from experiment.history import History
from experiment.names import JourneyName, StoreName
from experiment.python_source import load_python
from experiment.scenario import Scenario
from experiment.topology import System
from experiment.verdict import Verdict

WHAT = "a file with a property"


@dataclass(frozen=True, slots=True)
class PythonProperty:
    """A property that a function of the system's own judges."""

    kind: ClassVar[str] = "python"
    safety: ClassVar[bool] = True

    file: str  # a Python file, relative to the system's: workload/stock.py
    function: str = "find"  # called with (history, scenario, system), returns a Finding
    operations: tuple[JourneyName, ...] = ()  # journeys that it judges
    stores: tuple[StoreName, ...] = ()  # stores whose records it reads
    folder: str = field(default="", metadata={"internal": True})  # of the system's file

    @property
    def reads_all(self) -> bool:
        """Whether it does not say what it reads, so that every run must start the whole system."""
        return not (self.operations or self.stores)

    @property
    def sentence(self) -> str:
        return f"What {self.file} judges holds."

    def located(self, folder: Path) -> PythonProperty:
        """The same, of a system in this folder. Raises ValueError where there is no such function."""
        found = replace(self, folder=str(folder.resolve()))
        path = found.path
        if not path.is_file():
            beside = [one.name for one in path.parent.glob("*.py")] if path.parent.is_dir() else []
            hint = f"; {nearest(path.name, beside)}" if beside else ""
            raise ValueError(
                f'file "{self.file}", which is not there; expected {WHAT}, relative to this file{hint}'
            )
        module = load_python(path, WHAT)
        if not callable(getattr(module, self.function, None)):
            known = [n for n, one in vars(module).items() if callable(one) and not n.startswith("_")]
            raise ValueError(
                f'function "{self.function}", which {self.file} does not have; expected a function of it; '
                f"{nearest(self.function, known)}"
            )
        return found

    @property
    def path(self) -> Path:
        return Path(self.folder) / self.file

    def find(self, history: History, scenario: Scenario, system: System) -> Finding:
        """What the function finds."""
        try:
            found: Any = getattr(load_python(self.path, WHAT), self.function)(history, scenario, system)
        except ConfigError as error:
            return _not_judged(str(error).splitlines()[0])
        except Exception as error:  # noqa: BLE001 - whatever the system's own code raises
            where = traceback.extract_tb(error.__traceback__)[-1]
            told = traceback.format_exception_only(error)[-1].strip()
            return _not_judged(f"{told} ({Path(where.filename).name}:{where.lineno})")
        if not isinstance(found, Finding):
            return _not_judged(f"{self.function} returned {found!r:.60}, expected a Finding")
        return found


def _not_judged(why: str) -> Finding:
    return Finding(Verdict.INVALID, f"not judged: {why}", 0)
