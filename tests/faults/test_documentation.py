"""docs/faults.md names every fault kind with all of its keys, and its examples are valid."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import pytest

from execution.catalogue import default_catalogue, read_scenario
from faults import KINDS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
EXPECT = "expect: {invariants: [no_lost_checkin]}\n"
SCENARIO = """
name: example
title: An example of the documentation
load: {arrivals: 8/s, journeys: {visit: 1}}
phases: {baseline: 5s, fault: 6s, recovery: 5s}
"""


def rows() -> dict[str, list[str]]:
    """Kind to the cells of its line in the table."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0].strip("`"): row for row in cells}


def test_every_kind_has_its_line() -> None:
    """No kind is missing, and none is described that is not there."""
    assert set(rows()) == set(KINDS)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_line_names_target_and_keys(name: str) -> None:
    """The keys are those that a scenario may give, and what they act on is right."""
    row = rows()[name]
    own = {field.name for field in fields(cast(Any, KINDS[name])) if not field.metadata.get("internal")}
    assert set(re.findall("`(.+?)`", row[2])) == own
    assert row[1] == ("service" if cast(Any, KINDS[name]).target_kind == "node" else "link")


def test_the_examples_are_valid(tmp_path: Path) -> None:
    """The faults shown on the page pass the checks that every scenario passes."""
    example = re.search(r"```yaml\n(faults:.+?)```", PAGE.read_text(), re.DOTALL)
    assert example is not None
    path = tmp_path / "example.yaml"
    path.write_text(SCENARIO + example.group(1) + EXPECT)
    assert len(read_scenario(path, default_catalogue().system()).faults) == 3
