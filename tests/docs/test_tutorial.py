"""The tutorial is played: its files are valid, its commands end as it says."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import tutorial

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
FILE = re.compile(r"Put this into `([\w.]+)`:\n\n```yaml\n(.*?)```", re.DOTALL)
COMMAND = re.compile(r"^codeblue (.+)$", re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that the reader was told to write."""
    for name, text in FILE.findall(PAGE.read_text(encoding="utf-8")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def type_in(folder: Path, words: str) -> tuple[int, str]:
    """(exit code, all output) of a command of the page, with results in the reader's folder."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "harness.py"), *shlex.split(words)],
        cwd=folder, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def shown(*words: str) -> str:
    """The one command of the page that has all of these words."""
    found = [
        line for line in COMMAND.findall(PAGE.read_text(encoding="utf-8")) if set(words) <= set(line.split())
    ]
    assert len(found) == 1, (words, found)
    return str(found[0])


def test_the_files_of_the_tutorial_are_there(folder: Path) -> None:
    """It has the reader write a scenario and a design, and both are valid."""
    assert {path.name for path in folder.iterdir()} == {"slow_registry.yaml", "hurried.yaml"}
    for name in ("slow_registry.yaml", "hurried.yaml"):
        assert type_in(folder, f"validate {name}")[0] == 0


def test_the_mistake_is_told_as_the_tutorial_shows(folder: Path) -> None:
    """The misspelt link is found at the place, and with the name, that the page prints."""
    path = folder / "slow_registry.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("-> registry", "-> regisry"), encoding="utf-8")
    code, said = type_in(folder, "validate slow_registry.yaml")
    line, hint = re.findall(
        r"^(slow_registry.yaml:.*)\n( +did you mean.*)$", PAGE.read_text(encoding="utf-8"), re.M
    )[0]
    assert code == 64 and line in said and hint.strip() in said


def test_the_own_scenario_ends_as_the_tutorial_says(folder: Path) -> None:
    """On the twin the fragile design fails it and the resilient one passes."""
    code, said = type_in(
        folder, shown("run", "slow_registry.yaml", "simulation") + f" --out {folder / 'out'}"
    )
    assert code == 1
    assert "FAIL  slow_registry on fragile" in said and "PASS  slow_registry on resilient" in said


def test_the_remedy_that_is_gone_is_missed(folder: Path) -> None:
    """The design without its key is vetoed by the run, and stopped by the gate."""
    run = shown("run", "hurried.yaml") + f" --out {folder / 'out'}"
    code, said = type_in(folder, run)
    assert code == 4 and "19 duplicate charges on 16 invoices of 203" in said
    code, said = type_in(folder, shown("gate") + f" --out {folder / 'gate'}")
    assert code == 4 and "gate REGRESSION: charge_response_lost" in said


def test_the_stopwatch_walks_all_of_the_page() -> None:
    """Its sections are those of the page and take the twenty minutes that the title promises; what it types
    to reach each point is of the page, on real services."""
    page = PAGE.read_text(encoding="utf-8")
    found = tutorial.sections(page)
    headings = re.findall(r"^## \d", page, re.MULTILINE)
    assert len(found) == len(headings) == max(tutorial.REACHED) and sum(s[1] for s in found) <= 20
    for number in tutorial.REACHED:
        last = tutorial.commands(number, found[number - 1][2])[-1]
        assert last.startswith("codeblue ") and "simulation" not in last
