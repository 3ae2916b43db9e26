from __future__ import annotations

from pathlib import Path

import pytest

from experiment.design import Design, differences, load_design
from experiment.patterns import Breaker, Retry
from tests.experiment.mistakes import NEEDS_UNIT, PLAIN_NAME, WRONG_UNIT, problems_of, seen, system, write

DESIGN = """\
name: careful
link_defaults: {timeout: 2s}
service_defaults: {idempotency_key: on}
links:
  billing -> payments:
    timeout: 500ms
    retry: {attempts: 3, backoff: 50ms, jitter: full, budget: 20%}
services:
  billing: {saga: on}
"""
BAD = [
    (
        "billing -> payments",
        "billing -> paymets",
        "billing -> paymets",
        'the unknown link "billing -> paymets"',
        "a link of the system",
        'did you mean "billing -> payments"?',
    ),
    (
        "  billing: {saga",
        "  bling: {saga",
        "bling",
        'the unknown service "bling"',
        "a service of the system",
        'did you mean "billing"?',
    ),
    (
        "timeout: 500ms",
        "timeuot: 500ms",
        "timeuot",
        'the unknown key "timeuot"',
        "a key that is defined here",
        'did you mean "timeout"?',
    ),
    ("timeout: 500ms", "timeout: 500", "500\n", '"500"', NEEDS_UNIT, ""),
    ("timeout: 2s", "timeout: 2 sec", "2 sec", '"2 sec"', WRONG_UNIT, ""),
    (
        "jitter: full",
        "jitter: ful",
        "ful,",
        '"ful"',
        "one of none, full, equal, decorrelated",
        'did you mean "full"?',
    ),
    ("budget: 20%", "budget: 0.2", "0.2", '"0.2"', "a share with its unit (%), such as 20%", ""),
    ("attempts: 3", "attempts: 0", "0, backoff", "attempts 0", "1 to 100, the first one included", ""),
    ("saga: on", "saga: maybe", "maybe", '"maybe"', "on or off", ""),
    (
        "services:\n  billing: {saga: on}",
        "services: [billing]",
        "[billing]",
        "a list",
        "a mapping from service to its switches",
        "",
    ),
    (
        "link_defaults: {timeout: 2s}",
        "link_defaults: 2s",
        "2s",
        '"2s"',
        "a mapping with the keys timeout, propagate_deadline, retry, breaker, bulkhead",
        "",
    ),
    (
        "link_defaults",
        "link_default",
        "link_default",
        'the unknown key "link_default"',
        "a key of a design",
        'did you mean "link_defaults"?',
    ),
    ("name: careful\n", "", "link_defaults", 'no key "name"', "name: text", ""),
    ("name: careful", "name: a/b", "a/b", 'the name "a/b"', PLAIN_NAME, ""),
    (
        "name: careful",
        "name: careful\nextends: bald",
        "bald",
        'the unknown design "bald"',
        "the name of a design",
        'did you mean "bold"?',
    ),
    (
        "name: careful",
        "name: careful\nextends: [bold]",
        "[bold]",
        "a list",
        "the name of a design",
        "known: bold, design, system",
    ),
    (
        "name: careful",
        "name: careful\nextends: design",
        "design\n",
        '"design", which this design is a part of',
        "a chain that ends",
        "",
    ),
]


def design(folder: Path, text: str = DESIGN) -> Design:
    write(folder, "bold.yaml", "name: bold\nlinks: {desk -> billing: {breaker: {failures: 2}}}\n")
    return load_design(write(folder, "design.yaml", text), system(folder))


def test_defaults_reach_every_link_and_single_keys_replace_them(tmp_path: Path) -> None:
    """What a link does not name comes from the defaults; what neither names is off."""
    read = design(tmp_path)
    assert read.links["desk -> billing"].timeout == 2.0
    assert read.links["billing -> payments"].timeout == 0.5
    assert read.links["billing -> payments"].retry == Retry(3, 0.05, 1.0, "full", 0.2)
    assert read.links["billing -> postgres"].retry is None
    assert (read.services["billing"]["saga"], read.services["desk"]["saga"]) == (True, False)
    assert read.services["desk"]["idempotency_key"]


def test_a_design_may_extend_another(tmp_path: Path) -> None:
    """Keys of the base stay unless they are named again."""
    read = design(tmp_path, "name: bolder\nextends: bold\nlinks: {desk -> billing: {timeout: 1s}}\n")
    assert read.links["desk -> billing"].breaker == Breaker(2)
    assert read.links["desk -> billing"].timeout == 1.0


def test_defaults_of_an_extending_design_change_single_links_of_its_base(tmp_path: Path) -> None:
    """A pattern turned off for all is off where the base had named the link; the link's other keys stay."""
    write(
        tmp_path, "base.yaml", "name: base\nlinks: {desk -> billing: {timeout: 1s, breaker: {failures: 2}}}\n"
    )
    read = design(tmp_path, "name: top\nextends: base\nlink_defaults: {breaker: off, timeout: 3s}\n")
    assert (read.links["desk -> billing"].breaker, read.links["desk -> billing"].timeout) == (None, 3.0)
    read = design(tmp_path, "name: top\nextends: base\nlink_defaults: {breaker: off}\n")
    assert (read.links["desk -> billing"].breaker, read.links["desk -> billing"].timeout) == (None, 1.0)


def test_a_design_elsewhere_may_extend_one_of_the_systems_own(tmp_path: Path) -> None:
    """A file of somebody's own, in any folder, builds on the designs beside the system file."""
    home, away = tmp_path / "home", tmp_path / "away"
    for folder in (home / "designs", away):
        folder.mkdir(parents=True)
    clinic = system(home)
    write(home / "designs", "bold.yaml", "name: bold\nlinks: {desk -> billing: {timeout: 1s}}\n")
    path = write(away, "mine.yaml", "name: mine\nextends: bold\n")
    assert load_design(path, clinic).links["desk -> billing"].timeout == 1.0


@pytest.mark.parametrize(
    ("good", "bad", "mark", "found", "expected", "hint"), BAD, ids=[row[1][:50] for row in BAD]
)
def test_a_mistake_in_a_design_is_found_at_its_own_place(
    good: str, bad: str, mark: str, found: str, expected: str, hint: str, tmp_path: Path
) -> None:
    """File, line, column, what was found, what was expected and the nearest right name."""
    assert DESIGN.count(good) == 1
    text = DESIGN.replace(good, bad)
    (problem,) = problems_of(lambda: design(tmp_path, text))
    assert problem.where.file == str(tmp_path / "design.yaml")
    assert seen(problem, mark, text) == (True, found, expected, hint)


def test_keys_names_and_units_are_told_together(tmp_path: Path) -> None:
    """A key that no design has, or a base that is not there, does not hide what is wrong further down."""
    text = DESIGN.replace("careful", "a/b\nextends: bald").replace("link_defaults", "link_default")
    text = text.replace("billing -> payments", "billing -> paymets").replace("saga: on", "saga: maybe")
    found = [problem.found for problem in problems_of(lambda: design(tmp_path, text))]
    assert found == [
        'the name "a/b"',
        'the unknown design "bald"',
        'the unknown key "link_default"',
        'the unknown link "billing -> paymets"',
        '"maybe"',
    ]


def test_a_mistake_in_the_base_is_found_in_the_base(tmp_path: Path) -> None:
    """The message names the file that has to be corrected."""
    clinic = system(tmp_path)
    write(tmp_path, "base.yaml", "name: base\nlinks: {desk -> biling: {timeout: 1s}}\n")
    path = write(tmp_path, "top.yaml", "name: top\nextends: base\n")
    (problem,) = problems_of(lambda: load_design(path, clinic))
    assert (problem.where.file, problem.where.line) == (str(tmp_path / "base.yaml"), 2)


@pytest.mark.parametrize("text", ["", "[]\n", "name: {\n", "text\n"])
def test_a_file_that_is_no_design_is_one_mistake(text: str, tmp_path: Path) -> None:
    """Nothing, a list, a broken mapping and bare text."""
    (problem,) = problems_of(lambda: design(tmp_path, text))
    assert problem.where.file == str(tmp_path / "design.yaml")


def test_differences_name_the_switches(tmp_path: Path) -> None:
    """One sentence a switch, for reports."""
    lines = differences(design(tmp_path), design(tmp_path, DESIGN.replace("saga: on", "saga: off")))
    assert lines == ["billing: saga True -> False"]
