"""Everything that can be known to be wrong before anything is started."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from execution.catalogue import Catalogue, check_folders, read_system
from execution.options import Options
from execution.runs.scaling import scaled
from experiment.attaching import load_allowed
from experiment.design import Design, load_design
from experiment.errors import CodeBlueError, ConfigError, Location, Problem, UsageError, nearest
from experiment.plan import Plan, make_plan
from experiment.scenario import Scenario, objectives
from experiment.scenario_warnings import warnings_of
from experiment.suite import Suite
from experiment.topology import System
from experiment.variants import with_images
from experiment.visits import rehearse
from experiment.workload import Population, load_workload
from experiment.yaml_source import Mapping as YamlMapping
from experiment.yaml_source import place, read_yaml

DESIGN_KEYS = frozenset({"link_defaults", "service_defaults", "extends", "links", "services"})
ALLOW_KEYS = frozenset({"highest_load"})
SUITE_KEYS = frozenset({"entries", "part_of"})  # one of them tells a suite from other files


@dataclass(frozen=True, slots=True)
class Request:
    """One run that somebody asked for: names or paths as typed."""

    scenario: str
    design: str
    seed: int


def plans(requests: list[Request], catalogue: Catalogue, options: Options) -> list[Plan]:
    """A plan for every request, or every mistake of all files at once. Raises ConfigError."""
    system = catalogue.system()
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
                designs[request.design] = design_with_images(
                    catalogue.design(request.design, system), system, options
                )
        except ConfigError as error:
            problems[str(error)] = error
    if problems:
        raise ConfigError([problem for error in problems.values() for problem in error.problems])
    made = planner(system, options)
    return [made(scenarios[r.scenario], designs[r.design], r.seed) for r in requests]


def design_with_images(design: Design, system: System, options: Options) -> Design:
    """The design with the images that somebody asked for beside it. Raises UsageError."""
    if not options.images:
        return design
    return replace(design, variants=with_images(design.variants, options.images, system.services))


def planner(system: System, options: Options) -> Callable[[Scenario, Design, int], Plan]:
    """(scenario, design, seed) -> Plan of one system, whose workload is loaded once. Raises ConfigError."""
    workload, population = load_workload(system), population_of(system, options)

    def plan(scenario: Scenario, design: Design, seed: int) -> Plan:
        return make_plan(scenario, system, design, seed, population(seed), workload)

    return plan


def population_of(system: System, options: Options) -> Callable[[int], Population]:
    """seed -> Population; its folder is read once, and is the same for every seed. Raises ConfigError."""
    workload = load_workload(system)
    _check_feeds(system, options)

    def with_feeds(people: Population) -> Population:
        for name, folder in options.feeds:
            people = workload.fed(people, name, folder)
        return people

    if options.population is None:
        return lambda seed: with_feeds(workload.population(None, seed))
    read = with_feeds(workload.population(options.population, 0))
    return lambda _seed: read


def _check_feeds(system: System, options: Options) -> None:
    known = system.workload.feeds
    for name, _ in options.feeds:
        if name not in known:
            expected = f"a feed of the system: {', '.join(known) or 'it has none'}"
            raise ConfigError(
                [Problem(Location(system.source), f'the feed "{name}"', expected, nearest(name, known))]
            )


def validate_file(path: Path, catalogue: Catalogue) -> CodeBlueError | None:
    """Check one YAML file of any kind, told by its place or its keys."""
    try:
        keys = _keys(path)
        if keys & SUITE_KEYS:
            check_suite(catalogue.suite(path), catalogue)
        elif keys >= ALLOW_KEYS:
            load_allowed(path)
        elif "journeys" in keys and "mixes" in keys:
            check_folders(path)
            system = read_system(path)
            rehearse(system, load_workload(system))
            from simulation.model.models import (
                magnitudes_of,  # only here: what the twin needs is slow to load
            )

            magnitudes_of(system)
        elif keys & DESIGN_KEYS or _is_below(path, catalogue.system().folders("designs")):
            load_design(path, catalogue.system())
        else:
            catalogue.scenario(str(path), catalogue.system())
    except CodeBlueError as error:
        return error
    return None


def _is_below(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.resolve().is_relative_to(folder.resolve()) for folder in folders)


def warnings_in(path: Path, catalogue: Catalogue) -> tuple[Problem, ...]:
    """What a scenario file that has no mistakes leaves unjudged; nothing of other files."""
    node = read_yaml(path)
    if not isinstance(node, YamlMapping) or node.get("load") is None or node.get("phases") is None:
        return ()
    return warnings_of(node, catalogue.scenario(str(path), catalogue.system()))


def is_suite(path: Path) -> bool:
    """Whether a YAML file is a suite, told by its keys. Raises ConfigError when it cannot be read."""
    return bool(_keys(path) & SUITE_KEYS)


def _keys(path: Path) -> set[str]:
    node = read_yaml(path)
    return {key.text for key, _ in node.items} if isinstance(node, YamlMapping) else set()


def check_suite(suite: Suite, catalogue: Catalogue) -> None:
    """Every scenario and design that the suite names is there and sound, and its reasons are theirs.

    Raises ConfigError with every unknown name at its own place.
    """
    system, node = catalogue.system(), read_yaml(Path(suite.source))
    problems: list[Problem] = []
    sound: set[str] = set()  # designs

    def refuse(
        path: tuple[str | int, ...], what: str, name: str, expected: str, known: Iterable[str]
    ) -> None:
        where = place(node, "entries", *path)
        problems.append(Problem(where, f'the unknown {what} "{name}"', expected, nearest(name, known)))

    for index, entry in enumerate(suite.entries):
        for number, name in enumerate(entry.violates):
            if name not in system.properties:
                expected = "a property of the system"
                refuse((index, "violates", number), "property", name, expected, system.properties)
        try:
            if entry.design not in sound:
                catalogue.design(entry.design, system)
                sound.add(entry.design)
        except UsageError:
            designs = catalogue.design_files()
            refuse((index, "design"), "design", entry.design, "a design or its file", designs)
        try:
            known = objectives(catalogue.scenario(entry.scenario, system).expect)
        except UsageError:
            scenarios = catalogue.scenario_files()
            refuse((index, "scenario"), "scenario", entry.scenario, "a scenario or its file", scenarios)
            continue
        for number, name in enumerate(entry.misses):
            if name not in known:
                expected = f"an objective of {entry.scenario}"
                refuse((index, "misses", number), "objective", name, expected, known)
    if problems:
        raise ConfigError(problems)
