"""Scenario and design in the words of a report; written into the run folder as facts.json."""

from __future__ import annotations

from collections.abc import Mapping

from execution.places import ROOT
from experiment.design import Design, differences, load_design
from experiment.errors import ConfigError
from experiment.plan import Plan
from experiment.scenario import Arrivals, FaultSpec, Scenario, fault_window
from experiment.units import format_duration
from reports.report import DesignFacts, RunFacts, ScenarioFacts


def run_facts(plan: Plan, machine: Mapping[str, str], compared_to: Design | None = None) -> RunFacts:
    """What a reader must know of the inputs; `compared_to` is the design whose differences are spelt out."""
    scenario = plan.scenario
    facts = ScenarioFacts(
        name=scenario.name,
        title=scenario.title,
        file=below_root(scenario.source),
        load=_load(scenario),
        phases=tuple((phase.name, phase.end_s - phase.start_s) for phase in plan.phases),
        faults=tuple(_fault(spec, scenario) for spec in scenario.faults),
        invariants=scenario.expect.invariants,
        causes=scenario.covers.causes,
        principles=scenario.covers.principles,
    )
    design = DesignFacts(
        name=plan.design.name,
        title=plan.design.title,
        file=below_root(plan.design.source),
        compared_to=compared_to.name if compared_to else "",
        differences=tuple(differences(compared_to, plan.design)) if compared_to else (),
    )
    return RunFacts(facts, design, machine)


def below_root(source: str) -> str:
    """A path of the project as it is typed there."""
    return source.removeprefix(f"{ROOT}/")


def yardstick(plan: Plan) -> Design | None:
    """The design beside which a reader sees what is missing: the strong one, when the design is another."""
    strong = plan.system.roles.strong
    if plan.design.name == strong:
        return None
    paths = (folder / f"{strong}.yaml" for folder in plan.system.folders("designs"))
    path = next((path for path in paths if path.is_file()), None) if strong else None
    if path is None:
        return None
    try:
        return load_design(path, plan.system)
    except ConfigError:
        return None


def _load(scenario: Scenario) -> str:
    """All that is needed to play the same load again."""
    load = scenario.load
    mixes = ", ".join(f"{name} {weight:g}" for name, weight in sorted(load.journeys.items()))
    workers = f", {load.workers} workers" if load.workers > 1 else ""
    return f"{load.arrivals.process} arrivals, {_rate(load.arrivals)}, mix {mixes}{workers}"


def _rate(arrivals: Arrivals) -> str:
    if arrivals.process == "replay":
        return f"replay of {arrivals.file}"
    rate = f"{arrivals.rate:g}/s"
    if arrivals.process == "ramp" and arrivals.to is not None:
        return f"{rate} at the start to {arrivals.to:g}/s at the end"
    if arrivals.process != "burst":
        return rate
    length, every, first = (
        format_duration(seconds or 0.0)
        for seconds in (arrivals.burst_for, arrivals.burst_every, arrivals.burst_at)
    )
    return f"{rate}, in bursts {arrivals.burst_rate:g}/s for {length} every {every}, the first after {first}"


def _fault(spec: FaultSpec, scenario: Scenario) -> str:
    start, end = fault_window(spec, scenario.phases)
    flaps = ""
    if spec.repeat is not None:
        flaps = f", {format_duration(spec.repeat.up)} on and {format_duration(spec.repeat.down)} off"
    drawn = f" (drawn of {len(spec.one_of)} places by the seed)" if spec.one_of else ""
    return f"{spec.fault.kind} on {spec.target}{drawn}, {start:g} s to {end:g} s{flaps}"
