"""The project's own scenarios and designs, as plans for the twin."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from execution.catalogue import Catalogue
from experiment.design import Design
from experiment.plan import Plan, make_plan
from experiment.scenario import Scenario
from experiment.topology import System
from experiment.workload import Population, Workload, load_workload
from reference_system.workload.population import generate
from simulation.model.magnitudes import Magnitudes
from simulation.model.models import magnitudes_of

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = Catalogue(ROOT / "reference_system" / "system.yaml")


@cache
def system() -> System:
    return CATALOGUE.system()


@cache
def usual_sizes() -> Magnitudes:
    """The uncalibrated ones."""
    return magnitudes_of(system())


@cache
def workload() -> Workload:
    return load_workload(system())


@cache
def population() -> Population:
    return generate(50, 1)


def scenario(name: str) -> Scenario:
    return CATALOGUE.scenario(name, system())


def design(name: str) -> Design:
    return CATALOGUE.design(name, system())


def plan(scenario_name: str, design_name: str, seed: int = 1) -> Plan:
    return plan_of(scenario(scenario_name), design(design_name), seed)


def plan_of(wanted: Scenario, chosen: Design, seed: int = 1) -> Plan:
    """A plan for fifty patients."""
    return make_plan(wanted, system(), chosen, seed, population(), workload())
