"""What a scenario needs of its system: no more is started, and nothing less."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from execution.catalogue import read_system
from experiment.errors import Location
from experiment.needs import concerns, joined, needed, part_of
from experiment.plan import make_plan
from experiment.properties import Noun, Property, Records
from experiment.scenario import Arrivals, Expect, FaultSpec, Load, Phases, Scenario
from experiment.topology import System
from experiment.workload import load_workload
from measurement.properties.conservation import Conservation
from measurement.properties.python_property import PythonProperty
from reference_system.workload.population import generate
from tests.execution.builders import Board, ScriptedFault
from tests.experiment.test_plan import DESIGN

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = read_system(ROOT / "reference_system" / "system.yaml")
PHASES = Phases(baseline=5.0, fault=5.0)


def scenario(mix: str, **more: Any) -> Scenario:
    return replace(Scenario("any", "Any", Load(Arrivals("poisson", 5.0), {mix: 1.0}), PHASES), **more)


def started(of: Scenario, system: System = REFERENCE) -> set[str]:
    return set(needed(system, of).services)


def test_a_run_starts_what_its_users_meet_and_what_these_call() -> None:
    """Payments need neither the registry nor the pharmacy, and the links between them are gone too."""
    part = needed(replace(REFERENCE, properties={}), scenario("payment"))
    assert set(part.services) == {"billing", "payer", "payments", "postgres", "bus"}
    assert {end for link in part.links for end in (link.caller, link.callee)} == set(part.services)
    assert {"checkin", "eligibility", "registry", "prescriptions", "pharmacy"} <= set(part.left_out)
    assert part.left_out == tuple(name for name in REFERENCE.services if name not in part.services)
    assert set(part.left_out) == REFERENCE.services.keys() - part.services.keys()


def test_a_link_that_its_caller_can_do_without_starts_nobody() -> None:
    """A collector is started where a property asks for what it keeps, and then all its links are there."""
    system = replace(REFERENCE, properties={"traces": REFERENCE.properties["traces_complete"]})
    asked = needed(system, scenario("payment", expect=Expect(invariants=("traces",))))
    assert "telemetry" not in started(scenario("payment"))
    told = {link.caller for link in asked.links if link.callee == "telemetry"}
    assert told == {"billing", "payer", "payments"}


def test_a_system_that_does_not_say_so_starts_as_a_whole() -> None:
    """A worker that nobody calls may matter all the same; only the system's file knows."""
    assert started(scenario("payment"), replace(REFERENCE, starts="all")) == set(REFERENCE.services)


def test_the_order_of_the_file_is_kept() -> None:
    """Two runs of one scenario are alike to the last port."""
    part = needed(REFERENCE, scenario("payment"))
    assert list(part.services) == [name for name in REFERENCE.services if name in part.services]


def test_what_a_fault_hits_is_started_though_no_user_meets_it() -> None:
    """A fault beside the users' way shows that it does not reach them; its target must be there."""
    hit = FaultSpec(
        ScriptedFault(Board()), "pharmacy -> prescriptions", "fault", None, None, None, Location("x")
    )
    assert {"pharmacy", "prescriptions", "registry"} <= started(scenario("payment", faults=(hit,)))


def test_the_stores_of_what_is_judged_are_started() -> None:
    """A property that the scenario names, or whose journeys it plays, has its records."""
    assert "pharmacy" not in started(scenario("payment"))
    asked = scenario("payment", expect=Expect(invariants=("no_superseded_dispense",)))
    assert {"pharmacy", "prescriptions"} <= started(asked)
    only_writes = replace(REFERENCE, mixes={"write": (REFERENCE.mixes["medication"][0],)})
    assert "pharmacy" in started(scenario("write"), only_writes)  # no_superseded_dispense is of prescribe too


def test_a_property_without_journeys_is_judged_where_one_of_its_stores_runs() -> None:
    """It cannot say what exercises it: what it needs is started as soon as a part of it is there."""
    law = Conservation(Noun.of("thing"), (Records("payments", "charge"),), (Records("pharmacy", "dispense"),))
    system = replace(REFERENCE, properties={"kept": Property(law, True, "Kept.")})
    assert "pharmacy" in started(scenario("payment"), system)
    assert "payments" not in started(scenario("arrival"), system)


def test_a_property_in_python_that_says_not_what_it_reads_needs_everything() -> None:
    """Nobody can tell what its function looks at."""
    silent = Property(PythonProperty("workload/client.py"), True, "Holds.")
    everything = replace(REFERENCE, properties={"own": silent})
    assert started(scenario("arrival"), everything) == set(REFERENCE.services)
    told = Property(PythonProperty("workload/client.py", stores=("payer",)), True, "Holds.")
    assert started(scenario("arrival"), replace(REFERENCE, properties={"own": told})) < set(
        REFERENCE.services
    )


def test_parts_join_to_the_smallest_that_has_them_all() -> None:
    """A suite starts one system for all its runs."""
    parts = [needed(REFERENCE, scenario(mix)) for mix in ("payment", "arrival")]
    both = joined(parts)
    assert set(both.services) == set(parts[0].services) | set(parts[1].services)
    assert set(both.left_out) == set(REFERENCE.services) - set(both.services)
    assert set(both.links) == set(part_of(REFERENCE, both.services).links)


def test_a_plan_is_of_the_part_alone() -> None:
    """What is not started is neither reset, nor sampled, nor owed as evidence."""
    made = make_plan(scenario("payment"), REFERENCE, DESIGN, 1, generate(20, 1), load_workload(REFERENCE))
    # What the payer confirmed is held against what eligibility says.
    assert set(made.system.record_kinds()) == {"billing", "payer", "payments", "eligibility"}


@pytest.mark.parametrize(("mix", "judged"), [("payment", True), ("arrival", False)])
def test_a_property_concerns_a_scenario_that_plays_its_journeys(mix: str, judged: bool) -> None:
    """Only what no journey is about may be left unjudged for want of records."""
    assert concerns("no_duplicate_charge", REFERENCE, scenario(mix)) is judged


def test_parts_with_records_over_http_are_joined() -> None:
    """The mapping of their fields has no hash; each source is there once."""
    shop = read_system(ROOT / "examples" / "shop" / "system.yaml")
    assert joined([shop, shop]) == shop
    small = part_of(shop, ("payments", "postgres"))
    assert set(joined([small, shop]).services) == set(shop.services)
    assert len(joined([small, shop]).records) == len(shop.records)


def test_a_link_that_is_not_needed_starts_nothing_by_itself() -> None:
    """Who shows patient data is started without the authorisation that it would ask, but where a user's way
    leads there."""
    assert "authz" not in started(scenario("visit"))
    assert {"authz", "audit", "registry"} <= started(scenario("records"))
    assert "registry -> authz" not in needed(REFERENCE, scenario("visit")).link_names
