from __future__ import annotations

from pathlib import Path

import pytest

from tests.experiment.mistakes import NEEDS_UNIT, PLAIN_NAME, SYSTEM, problems_of, seen, system

SERVICES = "known: billing, desk, payments, postgres"
BAD = [
    (
        "callee: billing}",
        "callee: biling}",
        "biling}",
        'the unknown service "biling"',
        "a service of this file",
        'did you mean "billing"?',
    ),
    ("caller: desk,", "caller: xyz,", "xyz", 'the unknown service "xyz"', "a service of this file", SERVICES),
    (
        "{entry: desk",
        "{entry: front",
        "front",
        'the unknown service "front"',
        "a service of this file",
        SERVICES,
    ),
    (
        "billing -> postgres]",
        "billing -> postgrs]",
        "billing -> postgrs]",
        'the unknown link "billing -> postgrs"',
        "a link of this file",
        'did you mean "billing -> postgres"?',
    ),
    (
        "{journey: pay",
        "{journey: pya",
        "pya",
        'the unknown journey "pya"',
        "a journey of this file",
        'did you mean "pay"?',
    ),
    (
        "needs: check_in",
        "needs: pay",
        "pay}\n",
        'the unknown earlier step "pay"',
        "an earlier step of this file",
        "known: check_in",
    ),
    (
        "  - {caller: billing, callee: payments}",
        "  - {caller: desk, callee: billing}",
        "{caller: desk, callee: billing}\n  - {caller: billing, callee: postgres",
        'a second link "desk -> billing"',
        "each link once",
        "",
    ),
    (
        "{role: store}",
        "{role: stroe}",
        "stroe",
        '"stroe"',
        "one of service, instrument, store, bus",
        'did you mean "store"?',
    ),
    (
        "protocol: postgres",
        "protocol: mysql",
        "mysql",
        '"mysql"',
        "one of http, postgres, nats, mllp",
        "known: http, mllp, nats, postgres",
    ),
    ("at: 100ms", "at: 100", "100,", '"100"', NEEDS_UNIT, ""),
    ("name: clinic", "name: ../clinic", "../clinic", 'the name "../clinic"', PLAIN_NAME, ""),
    ("  desk: {module", "  front desk: {module", "front desk", 'the name "front desk"', PLAIN_NAME, ""),
]


def test_a_good_system_is_read_with_its_links_and_mixes(tmp_path: Path) -> None:
    """The file of these tests is right, so that each change below is the one mistake."""
    clinic = system(tmp_path)
    assert clinic.link_names == ("desk -> billing", "billing -> payments", "billing -> postgres")
    assert [step.at for step in clinic.mixes["visit"]] == [0.0, 0.1]
    assert clinic.source == str(tmp_path / "system.yaml")


@pytest.mark.parametrize(
    ("good", "bad", "mark", "found", "expected", "hint"), BAD, ids=[row[1] for row in BAD]
)
def test_a_mistake_in_a_system_is_found_at_its_own_place(
    good: str, bad: str, mark: str, found: str, expected: str, hint: str, tmp_path: Path
) -> None:
    """Cross-checks point at the name itself, not at the top of the file."""
    text = SYSTEM.replace(good, bad, 1)
    first = problems_of(lambda: system(tmp_path, text))[0]
    assert first.where.file == str(tmp_path / "system.yaml")
    assert seen(first, mark, text) == (True, found, expected, hint)


def test_what_a_fault_can_reach_follows_the_links(tmp_path: Path) -> None:
    """A journey depends on its links, on its entry and on both ends of its links."""
    clinic = system(tmp_path)
    assert clinic.depends("pay", "billing -> payments")
    assert clinic.depends("pay", "payments")
    assert clinic.depends("check_in", "billing")
    assert not clinic.depends("check_in", "billing -> payments")
    assert not clinic.depends("check_in", "payments")
