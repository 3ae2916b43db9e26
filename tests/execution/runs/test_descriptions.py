from __future__ import annotations

from dataclasses import replace

import pytest

from execution.runs.descriptions import run_facts
from experiment.scenario import Arrivals
from tests.simulation.reference import design, plan_of, scenario

PROCESSES = {
    "constant arrivals, 8/s": Arrivals("constant", 8.0),
    "ramp arrivals, 2/s at the start to 20/s at the end": Arrivals("ramp", 2.0, to=20.0),
    "burst arrivals, 5/s, in bursts 50/s for 2 s every 10 s, the first after 3 s": Arrivals(
        "burst", 5.0, burst_rate=50.0, burst_every=10.0, burst_for=2.0, burst_at=3.0
    ),
    "replay arrivals, replay of seen.txt": Arrivals("replay", file="seen.txt"),
}


@pytest.mark.parametrize("told", PROCESSES)
def test_the_load_is_told_with_all_that_makes_it(told: str) -> None:
    """Who reads the page can play the same load again: bursts and ramps with all their figures."""
    plan = plan_of(scenario("charge_response_lost"), design("fragile"))
    load = replace(plan.scenario.load, arrivals=PROCESSES[told], workers=2)
    facts = run_facts(replace(plan, scenario=replace(plan.scenario, load=load)), {})
    assert facts.scenario.load == f"{told}, mix payment 1, 2 workers"
