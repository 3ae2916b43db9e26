"""Everything that can be known to be wrong before anything is started."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from execution.catalogue import Catalogue
from execution.options import GENERATED_PATIENTS, Options
from execution.runs.scaling import scaled
from experiment.design import Design, load_design
from experiment.errors import CodeBlueError, ConfigError
from experiment.plan import Plan, make_plan
from experiment.population import Population, generate, read_bundles
from experiment.scenario import Scenario
from experiment.suite import Suite, load_suite
from experiment.topology import load_system
from experiment.yaml_source import Mapping as YamlMapping
from experiment.yaml_source import read_yaml


@dataclass(frozen=True, slots=True)
class Request:
    """One run that somebody asked for: names or paths as typed."""

    scenario: str
    design: str
    seed: int


def plans(requests: list[Request], catalogue: Catalogue, options: Options) -> list[Plan]:
    """A plan for every request, or every mistake of all files at once. Raises ConfigError."""
    system = catalogue.system()
    population = population_of(options)
    scenarios: dict[str, Scenario] = {}
    designs: dict[str, Design] = {}
    problems: dict[str, ConfigError] = {}
    for request in requests:
        try:
            if request.scenario not in scenarios:
                scenarios[request.scenario] = scaled(
                    catalogue.scenario(request.scenario, system), options.time_scale
                )
            if request.design not in designs:
                designs[request.design] = catalogue.design(request.design, system)
        except ConfigError as error:
            problems[str(error)] = error
    if problems:
        raise ConfigError([problem for error in problems.values() for problem in error.problems])
    return [
        make_plan(scenarios[r.scenario], system, designs[r.design], r.seed, population(r.seed))
        for r in requests
    ]


def population_of(options: Options) -> Callable[[int], Population]:
    """seed -> Population; a folder is read once."""
    if options.population is None:
        return lambda seed: generate(GENERATED_PATIENTS, seed)
    read = read_bundles(options.population)
    return lambda _seed: read


def validate_file(path: Path, catalogue: Catalogue) -> CodeBlueError | None:
    """Check one YAML file of any kind, told by its place or its keys."""
    try:
        node = read_yaml(path)
        keys = {key.text for key, _ in node.items} if isinstance(node, YamlMapping) else set()
        if "entries" in keys:
            check_suite(load_suite(path), catalogue)
        elif "journeys" in keys and "mixes" in keys:
            load_system(path)
        elif keys & {"link_defaults", "service_defaults", "extends", "links", "services"}:
            load_design(path, catalogue.system())
        else:
            catalogue.scenario(str(path), catalogue.system())
    except CodeBlueError as error:
        return error
    return None


def check_suite(suite: Suite, catalogue: Catalogue) -> None:
    """Every scenario and design that the suite names is there and sound."""
    system = catalogue.system()
    for entry in suite.entries:
        catalogue.scenario(entry.scenario, system)
        catalogue.design(entry.design, system)
