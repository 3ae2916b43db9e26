"""What the project holds, for `list`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from execution.catalogue import Catalogue, unique_scenarios
from experiment.suite import load_suite
from faults import KINDS
from measurement.checkers import CHECKERS

Rows = Mapping[str, str]  # name -> one line about it


def contents(catalogue: Catalogue) -> dict[str, Rows]:
    """Kinds of things, each with names and titles. A broken file is listed with its mistake."""
    system = catalogue.system()
    scenarios = {name: catalogue.scenario(name, system).title for name, _ in unique_scenarios(catalogue)}
    designs = {name: catalogue.design(name, system).title for name in sorted(catalogue.design_files())}
    suites = {name: load_suite(path).title for name, path in catalogue.suite_files().items()}
    kinds = {name: _first_line(kind) for name, kind in sorted(KINDS.items())}
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


def _first_line(cls: type) -> str:
    return (cls.__doc__ or "").strip().splitlines()[0]
