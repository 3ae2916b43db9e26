from __future__ import annotations

from pathlib import Path

import pytest

from experiment.errors import UsageError
from experiment.scenario import Covers
from experiment.suite import Suite, load_suite, part_of_suite
from tests.experiment.mistakes import PLAIN_NAME, problems_of, seen, write

SUITE = """\
name: smoke
title: A small one
entries:
  - {scenario: smoke/control, design: fragile, expect: pass}
  - {scenario: smoke/lost_reply, design: fragile, expect: fail, violates: [no_duplicate_charge], impact: 4}
"""
BAD = [
    (
        "expect: pass",
        "expect: passs",
        "passs",
        '"passs"',
        "one of pass, fail, inconclusive",
        'did you mean "pass"?',
    ),
    (
        "title: A small one",
        "seed: -1",
        "-1",
        "seed -1",
        "a whole number from 0 to 4294967295",
        "",
    ),
    ("impact: 4", "impact: 0", "0}", "a weight of 0", "impact and likelihood above 0", ""),
    (
        "impact: 4",
        "imapct: 4",
        "imapct",
        'the unknown key "imapct"',
        "a key that is defined here",
        'did you mean "impact"?',
    ),
    ("design: fragile, expect: pass", "expect: pass", "{scenario", 'no key "design"', "design: text", ""),
    (
        "expect: pass}",
        "expect: pass, violates: [x]}",
        "[x]",
        "violates with expect pass",
        "`expect: fail` beside it",
        "",
    ),
    (
        "expect: pass}",
        "expect: pass, misses: [pay p95 in fault]}",
        "[pay",
        "misses with expect pass",
        "`expect: fail` beside it",
        "",
    ),
    ("name: smoke", "name: a b", "a b", 'the name "a b"', PLAIN_NAME, ""),
    (
        "title: A small one",
        "covers: {causes: [1]}",
        "{causes",
        "covers in a suite that is not part_of another",
        "part_of beside it",
        "",
    ),
    (
        "title: A small one",
        "part_of: full\ncovers: {causes: [1]}",
        "- {scenario: smoke/control",
        "entries beside part_of",
        "one of the two",
        "",
    ),
    (
        "title: A small one",
        "part_of: full",
        "full",
        "part_of without what its scenarios cover",
        "covers: {causes: [1]} or {principles: [1]} beside it",
        "",
    ),
    (
        "title: A small one",
        "part_of: full\ncovers: {causes: [8]}",
        "[8]",
        "causes 8",
        "numbers from 1 to 7",
        "",
    ),
    (
        "title: A small one",
        "source: elsewhere",
        "source",
        'the unknown key "source"',
        "a key that is defined here",
        None,
    ),
]


def suite(folder: Path, text: str = SUITE) -> Suite:
    return load_suite(write(folder, "suite.yaml", text))


def test_a_good_suite_is_read_with_its_weights(tmp_path: Path) -> None:
    """Impact times likelihood; both are 1 unless they are given."""
    read = suite(tmp_path)
    assert [entry.weight for entry in read.entries] == [1.0, 4.0]
    assert read.entries[1].violates == ("no_duplicate_charge",)


@pytest.mark.parametrize(
    ("good", "bad", "mark", "found", "expected", "hint"), BAD, ids=[row[1] for row in BAD]
)
def test_a_mistake_in_a_suite_is_found_at_its_own_place(
    good: str, bad: str, mark: str, found: str, expected: str, hint: str | None, tmp_path: Path
) -> None:
    """File, line, column, what was found, what was expected and the nearest right name."""
    text = SUITE.replace(good, bad, 1)
    (problem,) = problems_of(lambda: suite(tmp_path, text))
    assert problem.where.file == str(tmp_path / "suite.yaml")
    assert seen(problem, mark, text)[:3] == (True, found, expected)
    assert hint is None or problem.hint == hint


def test_a_suite_without_entries_is_refused(tmp_path: Path) -> None:
    """A suite of nothing would pass."""
    (problem,) = problems_of(lambda: suite(tmp_path, "name: none\nentries: []\n"))
    assert problem.found == "a suite without entries"
    assert (problem.where.line, problem.where.column) == (2, 10)


COVERED = {
    "smoke/control": Covers(),
    "smoke/lost_reply": Covers(causes=(4,), principles=(1, 4)),
}


@pytest.mark.parametrize(
    ("covers", "scenarios"),
    [
        ("{causes: [4]}", ["smoke/lost_reply"]),
        ("{principles: [4, 7]}", ["smoke/lost_reply"]),
        ("{causes: [1, 4], principles: [1]}", ["smoke/lost_reply"]),
        ("{causes: [4], principles: [7]}", []),
        ("{causes: [5]}", []),
    ],
)
def test_a_part_has_the_entries_whose_scenarios_cover_what_it_names(
    covers: str, scenarios: list[str], tmp_path: Path
) -> None:
    """One of its causes and one of its principles; a part of nothing is refused at its place."""
    whole = suite(tmp_path)
    text = f"name: four\ntitle: Of cause 4\nseed: 9\npart_of: smoke\ncovers: {covers}\n"
    part = load_suite(write(tmp_path, "four.yaml", text))
    if not scenarios:
        (problem,) = problems_of(lambda: part_of_suite(part, whole, COVERED.__getitem__))
        assert problem.where.file == str(tmp_path / "four.yaml")
        assert seen(problem, covers, text)[:2] == (True, "no entry of smoke whose scenario covers that")
        return
    found = part_of_suite(part, whole, COVERED.__getitem__)
    assert [entry.scenario for entry in found.entries] == scenarios
    assert (found.name, found.title, found.seed) == ("four", "Of cause 4", 9)
    assert (found.part_of, found.source) == (None, whole.source)
    assert found.entries[0] == whole.entries[1]


def test_a_part_of_a_part_is_refused(tmp_path: Path) -> None:
    """Entries stand in one file, so that a mistake in one has one place."""
    text = "name: four\npart_of: three\ncovers: {causes: [4]}\n"
    part = load_suite(write(tmp_path, "four.yaml", text))
    three = load_suite(write(tmp_path, "three.yaml", text.replace("three", "full").replace("four", "three")))
    (problem,) = problems_of(lambda: part_of_suite(part, three, COVERED.__getitem__))
    assert seen(problem, "three", text)[0]
    assert problem.found == '"three", which is a part of "full"'
    assert problem.expected == "a suite with entries of its own"


def test_a_part_whose_whole_names_an_unknown_scenario_tells_where(tmp_path: Path) -> None:
    """The mistake is one of the other file."""
    whole = suite(tmp_path)
    part = load_suite(write(tmp_path, "four.yaml", "name: four\npart_of: smoke\ncovers: {causes: [4]}\n"))

    def unknown(name: str) -> Covers:
        raise UsageError(name)

    (problem,) = problems_of(lambda: part_of_suite(part, whole, unknown))
    assert problem.where.file == str(tmp_path / "suite.yaml")
    assert problem.found == 'the unknown scenario "smoke/control"'


def test_an_entry_that_a_runtime_cannot_play_is_left_out_there(tmp_path: Path) -> None:
    """Where it is said of it, and nowhere else; a suite of which nothing is left is refused."""
    text = (
        "name: bytes\nentries:\n  - {scenario: smoke/split, design: resilient, not_on: [simulation]}\n"
        "  - {scenario: smoke/control, design: resilient}\n"
    )
    whole = load_suite(write(tmp_path, "bytes.yaml", text))
    assert whole.on("processes") == whole
    assert whole.on() == whole
    twin = whole.on("processes", "simulation")
    assert [entry.scenario for entry in twin.entries] == ["smoke/control"]
    assert [entry.scenario for entry in twin.left_out] == ["smoke/split"]
    nothing = text.rpartition("  - ")[0]
    with pytest.raises(UsageError, match="found no entry that simulation can play"):
        load_suite(write(tmp_path, "nothing.yaml", nothing)).on("simulation")
    (problem,) = problems_of(
        lambda: load_suite(write(tmp_path, "wrong.yaml", text.replace("simulation", "simulator")))
    )
    assert problem.hint == 'did you mean "simulation"?'
