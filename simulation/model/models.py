"""The models of a system's services: from the folder that the system names, or general ones."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from experiment.errors import ConfigError, Location, Problem, nearest
from experiment.python_source import load_python
from experiment.topology import System
from simulation.model.general import GeneralNode, calls_of_uses
from simulation.model.magnitudes import Magnitudes, load_magnitudes
from simulation.model.nodes import Node

WHAT = "a package of twin models"
MODELLED = ("service", "instrument")  # stores and buses are the twin's own
FROM_USES = "calls from the journeys' `uses`"
SIZES = "uncalibrated.json"


@dataclass(frozen=True, slots=True)
class Models:
    """What a package of models says.

    `nodes` are its MODELS, by service. `operations` are its OPERATIONS: by service, the name of a server span
    to the operation of the model. `switches` are those of a design that one of its models obeys.
    `sizes` is its own file of magnitudes, where it has one. `general`: the system has no models of its own.
    """

    nodes: Mapping[str, type[Node]]
    operations: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    switches: frozenset[str] = frozenset()
    sizes: Path | None = None
    folder: Path | None = None
    general: bool = False


def models_of(system: System) -> Models:
    """The models of a system. Raises ConfigError for a package that cannot be used, by name."""
    if not system.workload.twin:
        general = {name: GeneralNode for name, service in system.services.items() if service.role in MODELLED}
        return Models(general, general=True)
    folder = system.file(system.workload.twin)
    names = tuple(name for name, service in system.services.items() if service.role in MODELLED)
    others = tuple(name for name in system.services if name not in names)
    known = (*system.services, *system.left_out)
    return _read(folder, names, others, known, tuple(system.switches))


def magnitudes_of(system: System, path: Path | None = None) -> Magnitudes:
    """The sizes for a system's twin: of a calibration file, else uncalibrated ones. Raises ConfigError."""
    models = models_of(system)
    found = load_magnitudes(path, models.sizes)
    if models.general and not found.calls:
        return replace(found, calls=calls_of_uses(system), source=f"{found.source}; {FROM_USES}")
    return found


@cache
def _read(
    folder: Path,
    modelled: tuple[str, ...],
    others: tuple[str, ...],
    services: tuple[str, ...],
    switches: tuple[str, ...],
) -> Models:
    module = load_python(folder, WHAT)
    where = Location(str(folder / "__init__.py"))
    given = getattr(module, "MODELS", None)
    if not isinstance(given, Mapping):
        found = "no MODELS" if given is None else f"MODELS of the type {type(given).__name__}"
        expected = "MODELS: a dictionary from the name of a service to its model, a class made from Node"
        raise ConfigError([Problem(where, found, expected)])
    problems: list[Problem] = []
    for name, model in given.items():
        if name not in services:
            found = f'a model of the unknown service "{name}"'
            problems.append(Problem(where, found, "a service of the system", nearest(str(name), services)))
        elif name in others:
            found = f'a model of "{name}", which is a store or a bus'
            problems.append(Problem(where, found, "a service or an instrument; the twin brings the others"))
        elif not (isinstance(model, type) and issubclass(model, Node)):
            found = f'{getattr(model, "__name__", model)!r} as the model of "{name}"'
            problems.append(Problem(where, found, "a class made from simulation.modelling.Node"))
        elif model.serve is Node.serve:
            found = f'{model.__name__} as the model of "{name}", which says nothing of how it serves'
            problems.append(Problem(where, found, "a method serve(self, request, deadline)"))
    for name in modelled:
        if name not in given:
            found = f'no model of the service "{name}"'
            problems.append(Problem(where, found, "a model of every service", nearest(name, map(str, given))))
    operations = getattr(module, "OPERATIONS", {})
    problems += _wrong_operations(operations, services, where)
    for model in () if problems else dict.fromkeys(given.values()):
        problems += _wrong_switches(model, switches, where)
    if problems:
        raise ConfigError(problems)
    sizes = folder / SIZES
    return Models(
        nodes=dict(given),
        operations=operations,
        switches=frozenset(switch for model in given.values() for switch in model.obeyed()),
        folder=folder,
        sizes=sizes if sizes.is_file() else None,
    )


def _wrong_switches(model: type[Node], switches: Collection[str], where: Location) -> Iterator[Problem]:
    given: object = model.SWITCHES
    if not isinstance(given, tuple):
        found = f"SWITCHES of {model.__name__} of the type {type(given).__name__}"
        yield Problem(where, found, "SWITCHES: a tuple of names of switches")
        return
    for name in model.obeyed():
        if name not in switches:
            found = f'the unknown switch "{name}" in SWITCHES of {model.__name__}'
            yield Problem(where, found, "a switch of the system", nearest(str(name), switches))


def _wrong_operations(given: Any, services: Collection[str], where: Location) -> Iterator[Problem]:
    if not (isinstance(given, Mapping) and all(isinstance(one, Mapping) for one in given.values())):
        expected = "OPERATIONS: by service, a dictionary from a server span's name to an operation"
        yield Problem(where, "OPERATIONS of another shape", expected)
        return
    for name in given:
        if name not in services:
            found = f'the unknown service "{name}" in OPERATIONS'
            yield Problem(where, found, "a service of the system", nearest(str(name), services))
