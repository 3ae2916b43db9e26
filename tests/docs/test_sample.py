"""The sample of reports is of today's formats, whole, and made by commands that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import click
import jsonschema
import pytest

import harness
from ci import sample
from execution.schemas import published
from experiment.suite import load_suite
from measurement.score import FORMULA

FOLDER = sample.ROOT / sample.SAMPLE
FORMS = {
    "run/report.json": "run_report",
    "suite/suite.json": "suite_report",
    "compare/comparison.json": "comparison",
    "gate/gate.json": "gate_report",
}


def found(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def test_the_sample_holds_what_its_maker_keeps() -> None:
    """No file of it is missing, and none is left over from another time."""
    kept = {f"{folder}/{name}" for folder, names in sample.KEPT.items() for name in names}
    there = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file()}
    assert there == kept | {"README.md", "suite.yaml"}


@pytest.mark.parametrize(("name", "form"), FORMS.items())
def test_the_sample_is_of_todays_formats(name: str, form: str) -> None:
    """Each JSON file is valid by the published schema, its version included: else `make sample` is due."""
    jsonschema.validate(found(name), published()[f"{form}.schema.json"])


def test_scores_of_the_sample_are_by_todays_formula() -> None:
    """A reader sees what he would get."""
    assert FORMULA in json.dumps(found("run/report.json"))


def test_the_sample_shows_what_its_page_says() -> None:
    """Real runs, one of which breaks safety; a suite as expected; a gate that stops a release."""
    assert "simulation" not in (FOLDER / "run" / "report.txt").read_text(encoding="utf-8")
    assert "FAIL (veto)" in (FOLDER / "run" / "report.txt").read_text(encoding="utf-8")
    assert "suite PASS: 4 of 4" in (FOLDER / "suite" / "suite.txt").read_text(encoding="utf-8")
    assert found("gate/gate.json")["decision"] == "regression"


@pytest.mark.parametrize("page", sorted(FOLDER.rglob("*.html")) + sorted(FOLDER.rglob("*.md")), ids=str)
def test_links_of_the_sample_stay_in_it(page: Any) -> None:
    """No page leads to a run that is not there, and none tells a path of the machine that made it."""
    text = page.read_text(encoding="utf-8")
    form = r"\]\(([^)#:\n]+)[^)]*\)" if page.suffix == ".md" else r'<a [^>]*href="([^"#:]+)[^"]*"'
    assert all((page.parent / link).is_file() for link in re.findall(form, text))
    assert not re.search(r"(?<![\w.])/(?:home|root|tmp|Users)/", text)


@pytest.mark.parametrize("words", sample.COMMANDS)
def test_the_commands_of_the_sample_parse(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Options and values are taken as they stand, from the checkout."""
    monkeypatch.chdir(sample.ROOT)
    name, *rest = words.split()
    command = harness.cli.get_command(click.Context(harness.cli), name)
    assert command is not None
    command.make_context(name, rest)


def test_the_suite_of_the_sample_is_valid() -> None:
    """It is read with its scenarios, and expects a veto of the run that is shown."""
    suite = load_suite(FOLDER / "suite.yaml")
    shown = [e for e in suite.entries if (e.scenario, e.design) == ("smoke/charge_response_lost", "fragile")]
    assert len(suite.entries) == 4 and len(shown) == 1


def test_make_sample_is_the_documented_way() -> None:
    """The target exists and runs the maker."""
    make = shutil.which("make")
    assert make is not None
    done = subprocess.run([make, "-n", "sample"], cwd=sample.ROOT, capture_output=True, text=True, timeout=60)
    assert "-m ci.sample" in done.stdout


def test_links_to_other_runs_become_words() -> None:
    """The run that is kept is led to, of others the words stay."""
    page = '<a class="x" href="../kept-1/report.html">one</a> <a href="../other-2/report.html">two</a>'
    assert sample._led(page, "kept-1") == '<a class="x" href="../run/report.html">one</a> two'
    text = "[one](../kept-1/report.html) [two](../other-2/report.html)"
    assert sample._led(text, "kept-1") == "[one](../run/report.html) two"
