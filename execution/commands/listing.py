"""What the project holds, for `list`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

from execution.catalogue import Catalogue, unique_scenarios
from experiment.errors import ConfigError
from experiment.suite import load_suite
from faults import KINDS
from measurement.checkers import CHECKERS

Rows = Mapping[str, str]  # name -> one line about it


def contents(catalogue: Catalogue) -> dict[str, Rows]:
    """Kinds of things, each with names and titles. A broken file is listed with its mistake."""
    system = catalogue.system()
    scenarios = {
        name: _title(partial(catalogue.scenario, name, system)) for name, _ in unique_scenarios(catalogue)
    }
    designs = {
        name: _title(partial(catalogue.design, name, system)) for name in sorted(catalogue.design_files())
    }
    suites = {name: _title(partial(load_suite, path)) for name, path in catalogue.suite_files().items()}
    kinds = {name: _first_sentence(kind) for name, kind in sorted(KINDS.items())}
    invariants = {name: checker.sentence for name, checker in sorted(CHECKERS.items())}
    return {
        "scenarios": scenarios,
        "designs": designs,
        "suites": suites,
        "faults": kinds,
        "invariants": invariants,
    }


def finished_runs(folder: Path) -> Rows:
    """Run and suite folders, the newest first."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*"), reverse=True):
        if (path / "history.jsonl").is_file():
            found[str(path)] = "judged" if (path / "analysis.json").is_file() else "not judged"
        elif (path / "suite.html").is_file():
            found[str(path)] = "suite"
    return found


class Titled(Protocol):
    @property
    def title(self) -> str: ...


def _title(read: Callable[[], Titled]) -> str:
    try:
        return read().title
    except ConfigError as error:
        return f"(has mistakes: {str(error).splitlines()[0]})"


def _first_sentence(cls: type) -> str:
    words = " ".join((cls.__doc__ or "").split())
    return words.partition(". ")[0].removesuffix(".") + "."
