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
        "one of http, postgres, nats, mllp, tcp",
        "known: http, mllp, nats, postgres, tcp",
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


WIRED = """\
name: votes
compose: deploy.yaml
services:
  vote: {compose: web, port: 80}
  redis: {compose: cache, port: 6379}
  module: {module: a.b}
links:
  - {caller: vote, callee: redis, protocol: tcp, wired: name, port: 6380}
journeys: {vote: {entry: vote, request: {path: /}}}
mixes: {one: [{journey: vote}]}
"""
DEPLOYED = "services: {web: {image: a, depends_on: [cache]}, cache: {image: b}, other: {image: c}}\n"


def test_a_link_that_is_wired_by_name_is_called_as_the_compose_file_says(tmp_path: Path) -> None:
    """The name is the compose file's, the port the link's, else the callee's."""
    (tmp_path / "deploy.yaml").write_text(DEPLOYED)
    votes = system(tmp_path, WIRED)
    (link,) = votes.links
    assert (link.wired, votes.called_by(link), votes.called_at(link)) == ("name", "cache", 6380)
    plain = system(tmp_path, WIRED.replace(", port: 6380", ""))
    assert plain.called_at(plain.links[0]) == 6379
    composed = votes.composed("vote")
    assert composed is not None
    assert composed.image == "a"
    assert votes.composed("module") is None


@pytest.mark.parametrize(
    ("good", "bad", "found", "expected"),
    [
        (
            "caller: vote",
            "caller: module",
            "wired: name on module -> redis, whose caller is a module",
            "placeholder",
        ),
        (" wired: name,", "", "a port of vote -> redis, which is wired by placeholders", "wired: name"),
        ("port: 6380", "port: 65536", "port 65536", "one from 1 to 65535"),
        ("compose: deploy.yaml", "compose: x.yaml", '"x.yaml", which is not there', "a compose file"),
        (
            "compose: cache",
            "compose: web",
            'the service "web" of the compose file a second time',
            "each once",
        ),
        (
            "compose: cache",
            "compose: other",
            'which depends on "cache", and no service of this',
            "compose: cache",
        ),
        ("compose: cache", "compose: cash", 'no service "cash"', "a service of this file"),
        ("protocol: tcp", "protocol: nats", "the protocol nats on vote -> redis", "http or mllp or tcp"),
    ],
)
def test_a_mistake_in_the_wiring_is_said(
    good: str, bad: str, found: str, expected: str, tmp_path: Path
) -> None:
    """Each with what was found and what was expected."""
    (tmp_path / "deploy.yaml").write_text(DEPLOYED)
    problems = problems_of(lambda: system(tmp_path, WIRED.replace(good, bad, 1)))
    assert any(found in one.found and expected in one.expected for one in problems), problems


def test_what_a_fault_can_reach_follows_the_links(tmp_path: Path) -> None:
    """A journey depends on its links, on its entry and on both ends of its links."""
    clinic = system(tmp_path)
    assert clinic.depends("pay", "billing -> payments")
    assert clinic.depends("pay", "payments")
    assert clinic.depends("check_in", "billing")
    assert not clinic.depends("check_in", "billing -> payments")
    assert not clinic.depends("check_in", "payments")
