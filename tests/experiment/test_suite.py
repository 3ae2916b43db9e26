from __future__ import annotations

from pathlib import Path

import pytest

from experiment.suite import Suite, load_suite
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
