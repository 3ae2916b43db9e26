"""What can be covered follows from the registry and the system; what is covered is part of it."""

from __future__ import annotations

from dataclasses import replace

from execution.campaigns.suite_numbers import coverable, covered
from experiment.topology import Link, Service, System
from faults import KINDS

SYSTEM = System(
    name="pair",
    services={"front": Service(module="front"), "db": Service("store"), "bus": Service("bus")},
    links=(Link("front", "back"), Link("front", "db", "postgres")),
    journeys={},
    mixes={},
)


def test_every_kind_counts_where_it_can_act() -> None:
    """Stores and the bus too; what acts inside a callee needs a link to one of ours."""
    anywhere = {"slow", "cut", "lossy"}
    nodes = {"crash", "pause", "slow", "cut"}
    places: dict[str, set[str]] = {}
    for place, name in coverable(SYSTEM):
        places.setdefault(place, set()).add(name)
    assert places == {
        "front -> back": {*anywhere, "lost reply", "error reply"},
        "front -> db": anywhere,
        "front": {*nodes, "wrong clock"},
        "db": {*nodes, "full disk"},
        "bus": {*nodes, "full disk"},
    }


def test_a_planned_change_counts_where_one_is_offered() -> None:
    """A service that offers none has nothing that could be covered."""
    offers = {**SYSTEM.services, "front": Service(module="front", changes=("new_tables",))}
    more = coverable(replace(SYSTEM, services=offers)) - coverable(SYSTEM)
    assert more == {("front", "change")}


def test_covered_is_part_of_coverable() -> None:
    """Unknown places and kinds, and kinds where they cannot act, count for nothing; all others for all."""
    places = [*SYSTEM.services, *SYSTEM.link_names, "disk"]
    everything = [(place, kind) for place in places for kind in [*KINDS, "scripted"]]
    assert covered(everything, SYSTEM) == coverable(SYSTEM)
    assert not covered([("db", "clock_skew"), ("front -> db", "lost_response"), ("x", "crash")], SYSTEM)


def test_kinds_of_one_class_count_once() -> None:
    """A black hole and a refusal on one link look alike from both ends."""
    pairs = [("front -> back", "blackhole"), ("front -> back", "refusal")]
    assert covered(pairs, SYSTEM) == {("front -> back", "cut")}
