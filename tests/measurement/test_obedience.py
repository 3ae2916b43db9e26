"""A run whose services obeyed another design than it claims says nothing, by name of service and switch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from experiment.asked import Asked
from experiment.history import FORMAT, End, Header, build
from experiment.obeyed import digest_of
from experiment.rows import Obeyed, Row
from experiment.services import Service
from experiment.switches import Switch
from experiment.topology import System
from measurement.analysis import ValidityCheck
from measurement.obedience import design_is_obeyed

SYSTEM = System(
    name="pair",
    services={"front": Service(module="front"), "back": Service(command=("back",))},
    links=(),
    journeys={},
    mixes={},
    switches={"keyed": Switch("switch", default=False, environment={"KEYED": "{value}"})},
)
WANTED: dict[str, dict[str, Any]] = {"front": {"keyed": True, "limit": 2.0}, "back": {"KEYED": "true"}}
ASKED = Asked(0, "", (), (), WANTED)


def row(service: str, t: float = 0.0, **changes: Any) -> Obeyed:
    obeys = {**WANTED[service], **changes}
    return Obeyed(t, service, digest_of(obeys), obeys)


WHOLE = [row("front"), row("back"), row("front", 9.0), row("back", 9.0)]


def judged(rows: list[Obeyed], asked: Asked = ASKED) -> ValidityCheck:
    header = Header(FORMAT, "r", "processes", "s", "d", "pair", 1, "2026-03-01T10:00:00+00:00", 0.0)
    every: list[Row] = [header, *rows, End(9.0, "completed", True)]
    return design_is_obeyed(build(every), SYSTEM, asked)


def test_services_that_show_what_they_were_told_are_believed() -> None:
    """Twice each, the same both times."""
    check = judged(WHOLE)
    assert check.ok
    assert check.statement.startswith("2 services obeyed the design d (digest ")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row("front", keyed=False), *WHOLE[1:]], "front obeys false: keyed, expected true"),
        ([*WHOLE[:3], row("back", 9.0, KEYED="false")], 'back obeys "false": keyed (KEYED), expected "true"'),
        ([*WHOLE[:3], row("back", 9.0, KEYED=None)], 'back obeys null: keyed (KEYED), expected "true"'),
        ([WHOLE[0], WHOLE[2], WHOLE[3]], "back showed what it obeys 1 time, expected 2"),
        ([WHOLE[0], WHOLE[2]], "back showed what it obeys 0 times, expected 2"),
        ([*WHOLE, row("back")], "back showed what it obeys 3 times, expected 2"),
        ([replace(WHOLE[0], trouble="refused"), *WHOLE[1:]], "front does not show what it obeys: refused"),
        ([replace(WHOLE[0], digest="0" * 64), *WHOLE[1:]], "front: the digest is not that of what it obeys"),
        ([replace(WHOLE[1], image="sha256:1"), *WHOLE[2:], WHOLE[0]], "back ran from two images"),
        ([*WHOLE, Obeyed(1.0, "side", "1" * 64)], "side shows a design, and none is known for it"),
    ],
)  # fmt: skip
def test_another_design_or_none_is_told_by_name(rows: list[Obeyed], said: str) -> None:
    """Of service and switch, with both values."""
    check = judged(rows)
    assert not check.ok
    assert said in check.statement


def test_a_switch_that_a_service_leaves_out_is_told() -> None:
    """Not shown is not off."""
    short = {"keyed": True}
    rows = [Obeyed(0.0, "front", digest_of(short), short), *WHOLE[1:]]
    assert judged(rows).statement == "front does not say: limit, expected 2"


def test_many_differences_are_counted() -> None:
    """Five are shown."""
    wanted = {"front": {f"s{number}": number for number in range(9)}}
    rows = [Obeyed(t, "front", digest_of({}), {}) for t in (0.0, 9.0)]
    assert judged(rows, replace(ASKED, design=wanted)).statement.endswith("front: 4 further differences")


def test_a_system_that_shows_nothing_is_left_to_its_faith_and_says_so() -> None:
    """There is nothing to compare."""
    check = judged([], replace(ASKED, design={}))
    assert (check.ok, check.statement) == (True, "no service of the system shows what it obeys")
