"""The suites of the reference system: what must hold, and what must break."""

from __future__ import annotations

import re

import pytest

from execution.catalogue import Catalogue, default_catalogue, unique
from execution.options import CONTAINERS, PROCESSES
from execution.places import ROOT
from execution.runs.preflight import check_suite
from execution.runs.runtime_choice import refuse_unsupported
from experiment.errors import UnsupportedError
from experiment.scenario import CAUSES, PRINCIPLES
from experiment.suite import Suite
from tests.simulation.reference import plan

CATALOGUE = default_catalogue()
PARTS = [f"cause{number}" for number in CAUSES] + [f"principle{number}" for number in PRINCIPLES]
# The fragile design trusts its own copy and never asks: what turns its question away has nothing to act on.
ONLY_RESILIENT = {
    "catalogue/prescriptions_busy",
    "catalogue/database_disk_full",
    "catalogue/escalation_reply_lost",
}


def suite(name: str, catalogue: Catalogue = CATALOGUE) -> Suite:
    read = catalogue.suite(catalogue.suite_path(name))
    check_suite(read, catalogue)
    return read


def on_processes(scenario: str) -> bool:
    try:
        refuse_unsupported(plan(scenario, "resilient"), PROCESSES)
    except UnsupportedError:
        return False
    return True


def test_every_scenario_is_in_the_suite_of_what_can_play_it() -> None:
    """`full` has all that local processes can play, `containers` at least what they cannot; and
    no scenario is in neither."""
    scenarios = [name for name in unique(CATALOGUE.scenario_files()) if not name.startswith("planted_bugs")]
    full = {entry.scenario for entry in suite("full").entries}
    assert full == {name for name in scenarios if on_processes(name)}
    assert set(scenarios) - full <= {entry.scenario for entry in suite(CONTAINERS).entries}


@pytest.mark.parametrize("name", ["full", CONTAINERS])
def test_the_weak_design_must_fail_where_the_strong_one_must_pass(name: str) -> None:
    """For a reason that is named; a scenario that the weak design passes tests nothing, unless it is the
    control."""
    entries = suite(name).entries
    expected = {(entry.scenario, entry.design): entry for entry in entries}
    assert len(expected) == len(entries)
    for scenario in {entry.scenario for entry in entries}:
        strong = expected[scenario, "resilient"]
        assert strong.expect == "pass"
        if scenario in ONLY_RESILIENT:
            assert (scenario, "fragile") not in expected
            continue
        weak = expected[scenario, "fragile"]
        assert weak.weight == strong.weight
        assert weak.expect == ("pass" if scenario == "smoke/control" else "fail")
        assert weak.violates or weak.misses or weak.expect == "pass"


@pytest.mark.parametrize("name", PARTS)
def test_there_is_a_suite_of_every_cause_and_principle_that_is_covered(name: str) -> None:
    """It is a part of `full`: what covers the number, and nothing else, on both designs."""
    kind, number = re.fullmatch(r"([a-z]+)(\d+)", name).groups()  # type: ignore[union-attr]
    system, full = CATALOGUE.system(), suite("full")
    covered = {
        entry
        for entry in full.entries
        if int(number) in getattr(CATALOGUE.scenario(entry.scenario, system).covers, f"{kind}s")
    }
    if not covered:
        assert name not in CATALOGUE.suite_files()
        return
    part = suite(name)
    assert part.name == name
    assert part.title.startswith(f"{kind.capitalize()} {number}: ")
    assert list(part.entries) == [entry for entry in full.entries if entry in covered]


@pytest.mark.parametrize("page", ["README.md", "reference_system/README.md"])
def test_each_row_of_the_table_of_causes_is_a_scenario_of_that_cause(page: str) -> None:
    """The file that it links to is there, covers the cause, and is asked of both designs."""
    text = (ROOT / page).read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| ([1-7]) [^|]+ \| \[(\w+)\]\((?:\.\./)?scenarios/(\w+/\w+)\.yaml\) \|", text, re.MULTILINE
    )
    system, asked = CATALOGUE.system(), {(one.scenario, one.design) for one in suite("full").entries}
    assert {int(cause) for cause, _, _ in rows} == set(CAUSES)
    for cause, name, scenario in rows:
        assert scenario.endswith(f"/{name}")
        assert int(cause) in CATALOGUE.scenario(scenario, system).covers.causes, scenario
        assert {(scenario, "fragile"), (scenario, "resilient")} <= asked, scenario
