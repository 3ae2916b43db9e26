"""`--time-scale`: the same scenario with longer or shorter phases. Latencies and rates stay as they are."""

from __future__ import annotations

from dataclasses import replace

from experiment.scenario import FaultSpec, Phases, Repeat, Scenario


def scaled(scenario: Scenario, factor: float) -> Scenario:
    """Phases, fault times and the recovery budget times `factor`; a factor of 2 runs twice as long."""
    if factor == 1.0:
        return scenario
    old = scenario.phases
    phases = Phases(
        baseline=old.baseline * factor,
        warm_up=old.warm_up * factor,
        fault=old.fault * factor,
        recovery=old.recovery * factor,
        settle=old.settle * factor,
    )
    recovery = scenario.expect.recovery
    if recovery is not None:
        recovery = replace(recovery, within=recovery.within * factor, hold=recovery.hold * factor)
    faults = tuple(_scaled_fault(spec, factor) for spec in scenario.faults)
    return replace(scenario, phases=phases, faults=faults, expect=replace(scenario.expect, recovery=recovery))


def _scaled_fault(spec: FaultSpec, factor: float) -> FaultSpec:
    repeat = spec.repeat and Repeat(spec.repeat.up * factor, spec.repeat.down * factor, spec.repeat.times)
    at = None if spec.at is None else spec.at * factor
    lasting = None if spec.lasting is None else spec.lasting * factor
    return replace(spec, at=at, lasting=lasting, repeat=repeat)
