"""What is known to be wrong with a suite before anything is started."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from execution.catalogue import REFERENCE, Catalogue, default_catalogue
from execution.runs.preflight import check_suite, validate_file
from experiment.errors import ConfigError, Location
from experiment.suite import load_suite

GOOD = """\
name: one
entries:
  - {scenario: smoke/registry_flapping, design: fragile, expect: fail, misses: [check_in p95 in fault]}
  - {scenario: smoke/payer_blackhole, design: fragile, expect: fail, violates: [bounded_waiting]}
"""


@pytest.mark.parametrize(
    ("good", "bad", "place", "found", "hint"),
    [
        (
            "registry_flapping",
            "registry_flaping",
            "3:16",
            'the unknown scenario "smoke/reg',
            "registry_flapping",
        ),
        ("design: fragile", "design: fragil", "3:49", 'the unknown design "fragil"', "fragile"),
        (
            "p95 in",
            "p96 in",
            "3:81",
            'the unknown objective "check_in p96 in fault"',
            "check_in p95 in fault",
        ),
        (
            "bounded_waiting",
            "bounded_wating",
            "4:81",
            'the unknown property "bounded_wating"',
            "bounded_waiting",
        ),
    ],
)
def test_an_unknown_name_in_a_suite_is_told_at_its_place(
    good: str, bad: str, place: str, found: str, hint: str, tmp_path: Path
) -> None:
    """File, line, column, what was found and the nearest right name; the rest of the suite is right."""
    path = tmp_path / "one.yaml"
    path.write_text(GOOD)
    check_suite(load_suite(path), default_catalogue())
    path.write_text(GOOD.replace(good, bad, 1))
    with pytest.raises(ConfigError) as error:
        check_suite(load_suite(path), default_catalogue())
    (problem,) = error.value.problems
    assert str(problem.where) == f"{path}:{place}"
    assert problem.found.startswith(found)
    assert hint in problem.hint


def test_mistakes_in_twin_models_are_found_by_validate(tmp_path: Path) -> None:
    """A system whose package of models cannot be imported is no valid file, and the line is told."""
    home, folder = REFERENCE.parent, tmp_path / "reference_system"
    shutil.copytree(home, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "scenarios").symlink_to(home.parent / "scenarios")
    (folder / "workload" / "twin" / "base.py").write_text("import nothing_of_that_name\n")
    error = validate_file(folder / "system.yaml", Catalogue(folder / "system.yaml"))
    assert isinstance(error, ConfigError)
    assert error.problems[0].where == Location(str(folder / "workload" / "twin" / "base.py"))
    assert "ModuleNotFoundError while it was imported" in error.problems[0].found
