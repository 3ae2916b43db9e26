"""What a run folder keeps as values is exactly what was played."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from execution.catalogue import default_catalogue, unique
from execution.runs.run_folder import REGISTRIES
from experiment.design import Design
from experiment.scenario import Expect, Expectation, Scenario, Waiver
from experiment.topology import System
from experiment.units import parse_latency_bound
from experiment.values import VERSION, from_plain, packed, to_plain, unpacked

CATALOGUE = default_catalogue()
SYSTEM = CATALOGUE.system()
SCENARIOS = unique(CATALOGUE.scenario_files())


def again(value: Any) -> Any:
    """The value after a trip through a file."""
    return from_plain(unpacked("it", packed("it", to_plain(value))), type(value), REGISTRIES)


def same(one: object, other: object) -> bool:
    """Equal, and alike in every part: 1 and 1.0, a list and a tuple are not."""
    return one == other and repr(one) == repr(other)


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_every_scenario_comes_back_as_it_was(name: str) -> None:
    """With its faults, units, bounds and the places of its mistakes."""
    scenario = CATALOGUE.scenario(name, SYSTEM)
    assert isinstance(scenario, Scenario)
    assert same(again(scenario), scenario)


@pytest.mark.parametrize("name", sorted(CATALOGUE.design_files()))
def test_every_design_comes_back_as_it_was(name: str) -> None:
    """With every switch of every link and service."""
    design = CATALOGUE.design(name, SYSTEM)
    assert isinstance(design, Design)
    assert same(again(design), design)


def test_the_system_comes_back_as_it_was() -> None:
    """Services, links, journeys, mixes, switches and properties."""
    assert isinstance(SYSTEM, System)
    assert again(SYSTEM) == SYSTEM


def test_a_value_that_breaks_its_own_rules_is_refused() -> None:
    """Whoever edits the file meets the rules that the YAML has."""
    scenario = CATALOGUE.scenario("smoke/control", SYSTEM)
    plain = to_plain(
        replace(scenario, waivers=(Waiver("x", "a reason", "somebody", "2027-03-31"),), expect=Expect())
    )
    plain["waivers"][0]["until"] = "soon"
    with pytest.raises(ValueError, match='until "soon"; expected a date'):
        from_plain(plain, Scenario, REGISTRIES)


def test_an_unknown_kind_is_refused_by_name() -> None:
    """A fault that this version does not know."""
    plain = to_plain(CATALOGUE.scenario("smoke/registry_flapping", SYSTEM))
    plain["faults"][0]["fault"]["kind"] = "earthquake"
    with pytest.raises(ValueError, match="unknown kind 'earthquake', expected one of latency, bandwidth"):
        from_plain(plain, Scenario, REGISTRIES)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b'{"version": 99, "it": 1}', f"version 99 of it, expected {VERSION}; use the version of Code Blue"),
        (b'{"it": 1}', f"version None of it, expected {VERSION}"),
        (b"[1]", f"version None of it, expected {VERSION}"),
        (b'{"version": 1}', "no it, expected the file that the run wrote"),
        (b"{", "truncated"),
    ],
)
def test_a_file_of_another_version_is_refused_by_name(text: bytes, told: str) -> None:
    """Nothing is guessed of a file that says something else."""
    with pytest.raises(ValueError, match=told):
        unpacked("it", text)


@dataclass(frozen=True, slots=True)
class Odd:
    """Holds what no file can keep."""

    what: object


def test_what_is_no_value_is_refused() -> None:
    """A path or a function would come back as something else."""
    with pytest.raises(TypeError, match="is not a value that a file can keep"):
        to_plain(Odd(Path("x")))


def test_bounds_of_latencies_come_back_as_what_they_were() -> None:
    """One that is fixed and one beside the baseline, in the same objective."""
    asked = Expectation(
        "pay", p50=parse_latency_bound("<= 250ms"), p95=parse_latency_bound("<= baseline + 5% + 20ms")
    )
    assert again(asked) == asked
