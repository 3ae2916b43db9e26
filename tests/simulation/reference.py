"""The project's own scenarios and designs, as plans for the twin."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from execution.catalogue import Catalogue
from experiment.design import Design
from experiment.plan import Plan, make_plan
from experiment.population import Population, generate
from experiment.scenario import Scenario
from experiment.topology import System
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
def population() -> Population:
    return generate(50, 1)


def scenario(name: str) -> Scenario:
    return CATALOGUE.scenario(name, system())


def design(name: str) -> Design:
    return CATALOGUE.design(name, system())


def plan(scenario_name: str, design_name: str, seed: int = 1) -> Plan:
    return make_plan(scenario(scenario_name), system(), design(design_name), seed, population())
