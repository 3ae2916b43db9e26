"""The scenarios of a first look and of a scan, as files that can be read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from discovery.looks import EACH_S, LEAST_EACH_S, MOST_S, ON_LINKS, first_look, met_links, places
from execution.catalogue import read_scenario, read_system
from execution.places import ROOT
from experiment.scenario import Scenario, phase_starts
from experiment.topology import Link, System

BY_NAME = read_system(ROOT / "examples" / "shop" / "by_name" / "system.yaml")
SHOP = read_system(ROOT / "examples" / "shop" / "system.yaml")


def loaded(folder: Path, text: str, system: System) -> Scenario:
    path = folder / "look.yaml"
    path.write_text(text, encoding="utf-8")
    return read_scenario(path, system)


def wide(links: int) -> System:
    """The shop with so many more services that its storefront calls."""
    more = tuple(Link("storefront", f"s{number}") for number in range(links))
    services = {link.callee: SHOP.services["stock"] for link in more}
    browse = SHOP.journeys["browse"]
    uses = (*browse.uses, *(link.name for link in more))
    return replace(
        SHOP,
        services=SHOP.services | services,
        links=SHOP.links + more,
        journeys=SHOP.journeys | {"browse": replace(browse, uses=uses)},
    )


def test_each_link_that_users_meet_has_its_turn_within_a_minute(tmp_path: Path) -> None:
    """One after the other, three seconds each; a link that no journey uses has none."""
    text, left = first_look(SHOP, "4/s", ("no_duplicate_charge",))
    scenario = loaded(tmp_path, text, SHOP)
    assert left == ()
    assert tuple(spec.target for spec in scenario.faults) == met_links(SHOP, ("customer",))
    assert "stock -> bus" not in met_links(SHOP, ("customer",))
    assert {spec.lasting for spec in scenario.faults} == {EACH_S}
    assert scenario.expect.invariants == ("no_duplicate_charge",) and scenario.expect.fault == ()
    assert phase_starts(scenario.phases)["settle"] + scenario.phases.settle <= MOST_S


def test_more_links_have_shorter_turns_and_the_last_ones_none(tmp_path: Path) -> None:
    """The minute stays a minute; what had no turn is named."""
    for more in (4, 40):
        system = wide(more)
        text, left = first_look(system, "4/s", ("no_duplicate_charge",))
        scenario = loaded(tmp_path, text, system)
        played = [spec.target for spec in scenario.faults]
        assert LEAST_EACH_S <= (scenario.faults[0].lasting or 0) < EACH_S
        assert (*played, *left) == met_links(system, ("customer",))
        assert bool(left) == (more == 40)
        assert phase_starts(scenario.phases)["settle"] + scenario.phases.settle <= MOST_S


ENDS = "orders -> payments"


def test_in_the_time_that_is_left_answers_are_lost_where_call_chains_end(tmp_path: Path) -> None:
    """A slow link shows whether callers wait; only a lost answer shows what they do twice."""
    text, left = first_look(SHOP, "4/s", ("no_duplicate_charge",), ["storefront -> orders", ENDS])
    scenario = loaded(tmp_path, text, SHOP)
    *slow, lost = scenario.faults
    assert left == () and {spec.fault.kind for spec in slow} == {"latency"}
    assert (lost.target, lost.fault.kind, lost.lasting) == (ENDS, "lost_response", LEAST_EACH_S)
    assert phase_starts(scenario.phases)["settle"] + scenario.phases.settle <= MOST_S


def test_where_nothing_must_never_happen_answers_are_judged(tmp_path: Path) -> None:
    """A look without an objective would judge nothing; one without a link has a baseline alone."""
    scenario = loaded(tmp_path, first_look(SHOP, "4/s", ())[0], SHOP)
    assert {one.journey for one in scenario.expect.fault} == {"browse", "checkout"}
    alone = replace(SHOP, links=(), journeys={n: replace(j, uses=()) for n, j in SHOP.journeys.items()})
    scenario = loaded(tmp_path, first_look(alone, "4/s", ())[0], alone)
    assert scenario.faults == () and scenario.expect.fault == ()


def test_what_speaks_first_is_late_on_the_way_back(tmp_path: Path) -> None:
    """Of a protocol that is not known, a greeting is all that can be measured."""
    scenario = loaded(tmp_path, first_look(BY_NAME, "4/s", ())[0], BY_NAME)
    ways = {spec.target: getattr(spec.fault, "direction", "") for spec in scenario.faults}
    assert ways["orders -> bus"] == "to_caller" and ways["orders -> stock"] == "both"
    scanned = {place.name: place.text for place in places(BY_NAME, "4/s", ())}
    assert "direction: to_caller" in scanned["latency_orders_to_bus"]
    assert "direction" not in scanned["blackhole_orders_to_bus"]


def test_a_scan_has_every_place_and_every_file_of_it_is_right(tmp_path: Path) -> None:
    """Lost responses are of links whose answers have a known form; crashes are of services, not of stores."""
    found = places(SHOP, "4/s", ("no_duplicate_charge",))
    plain = [link for link in SHOP.links if link.protocol != "http"]
    assert len(found) == len(SHOP.links) * len(ON_LINKS) - len(plain) + 2 * 4
    assert len({place.name for place in found}) == len(found)
    assert {place.target for place in found if place.kind == "pause"} == {
        *("storefront", "orders", "stock", "payments"),
    }
    for place in found:
        (spec,) = loaded(tmp_path, place.text, SHOP).faults
        assert (spec.target, spec.fault.kind) == (place.target, place.kind)
