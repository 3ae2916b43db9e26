"""What a scenario needs of its system: the services that its users, faults and properties meet, and all that
these call. Where the system's file says `starts: needed`, a run starts nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import lru_cache
from typing import Annotated, Any, get_args, get_origin

from experiment.decoding import hints_of
from experiment.names import JOURNEY, STORE, Reference
from experiment.properties import Binding, Property
from experiment.scenario import Scenario
from experiment.topology import System


def needed(system: System, scenario: Scenario) -> System:
    """The part of the system that a run of the scenario starts. The same arguments give the same part."""
    if system.starts == "all" or any(_reads_all(stated) for stated in system.properties.values()):
        return system
    found = {end for name in played(system, scenario) for end in _met(system, name)}
    for spec in scenario.faults:
        ends = (end for target in spec.targets for end in target.split(" -> "))
        found |= {end for end in ends if end in system.services}
    for name, stated in system.properties.items():
        stores = mentioned(stated, STORE) & system.services.keys()
        if concerns(name, system, scenario) or (stores & found and not mentioned(stated, JOURNEY)):
            found |= stores
    return part_of(system, _with_callees(system, found))


def concerns(name: str, system: System, scenario: Scenario) -> bool:
    """Whether a run of the scenario must be judged by a property: the scenario names it, or plays one of its
    journeys."""
    asked = name in scenario.expect.invariants
    return asked or bool(played(system, scenario) & mentioned(system.properties[name], JOURNEY))


def played(system: System, scenario: Scenario) -> set[str]:
    """The journeys of the scenario's load. A mix that the system does not have plays none."""
    return {step.journey for mix in scenario.load.journeys for step in system.mixes.get(mix, ())}


def part_of(system: System, names: Iterable[str]) -> System:
    """The system with these services alone and the links between them."""
    chosen = frozenset(names)
    kept = {name: service for name, service in system.services.items() if name in chosen}
    return replace(
        system,
        services=kept,
        left_out=tuple(name for name in (*system.services, *system.left_out) if name not in kept),
        links=tuple(link for link in system.links if {link.caller, link.callee} <= kept.keys()),
        records=tuple(source for source in system.records if source.store in kept),
    )


def joined(parts: Iterable[System]) -> System:
    """The smallest part that has all services of these parts of one system. Raises ValueError for none."""
    first, *others = parts
    for other in others:
        first = replace(
            first,
            services=first.services | other.services,
            left_out=tuple(name for name in first.left_out if name not in other.services),
            links=tuple(dict.fromkeys((*first.links, *other.links))),
            # Sources of records hold dictionaries, so that they have no hash.
            records=(*first.records, *(one for one in other.records if one not in first.records)),
        )
    return first


def _met(system: System, journey: str) -> set[str]:
    spec = system.journeys[journey]
    return {spec.entry, *(end for used in spec.uses for end in used.split(" -> "))}


def _with_callees(system: System, names: set[str]) -> set[str]:
    found, new = set(names), set(names)
    while new:
        new = {link.callee for link in system.links if link.caller in new and link.needed} - found
        found |= new
    return found


def mentioned(stated: Property, kind: Reference) -> set[str]:
    """The names of this kind that the binding of a property holds, at any depth."""
    try:
        return set(_mentioned(stated.binding, kind))  # type: ignore[arg-type]  # most have a hash
    except TypeError:  # a binding in Python may hold what has no hash
        return set(_names(stated.binding, type(stated.binding), kind))


@lru_cache(maxsize=4096)
def _mentioned(binding: Binding, kind: Reference) -> frozenset[str]:
    """Every judgement of every run asks for the same few."""
    return frozenset(_names(binding, type(binding), kind))


def _reads_all(stated: Property) -> bool:
    """Whether it does not say which records it reads, as a property in Python may."""
    return bool(getattr(stated.binding, "reads_all", False))


def _names(value: Any, hint: Any, kind: Reference) -> Iterator[str]:
    if get_origin(hint) is Annotated:
        if isinstance(value, str) and kind in get_args(hint)[1:]:
            yield value
    elif is_dataclass(value) and not isinstance(value, type):
        hints = hints_of(type(value))
        for field in fields(value):
            yield from _names(getattr(value, field.name), hints[field.name], kind)
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _names(one, _inner(hint), kind)
    elif isinstance(value, (tuple, list, frozenset)):
        for one in value:
            yield from _names(one, _inner(hint), kind)


def _inner(hint: Any) -> Any:
    """The type of the elements of a tuple, list or dictionary; the type itself where it does not say."""
    marked = [one for one in get_args(hint) if get_origin(one) is Annotated]
    return marked[0] if marked else None
