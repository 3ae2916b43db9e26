"""Varying single values of a design or of the load: `KEY=V1,V2,...` as the command line gives it.

billing -> payments.timeout=500ms,1s          one link's pattern
checkin.shedding.concurrent=64,128            one service's pattern
*.retry.attempts=1,3                          every link or service that has the pattern
load.rate=8/s,16/s                            the arrivals
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from itertools import product
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from experiment.design import Design
from experiment.errors import UsageError, nearest, told_of
from experiment.scenario import MAX_VISITS, Scenario, phase_starts
from experiment.units import Unit, parse_quantity

Patterns = TypeVar("Patterns")
LOAD = "load.rate"


@dataclass(frozen=True, slots=True)
class Variation:
    """One key with the values it takes in turn, as written."""

    key: str
    values: tuple[str, ...]


def parse_variation(text: str) -> Variation:
    """Raises UsageError."""
    key, sign, values = text.partition("=")
    parts = tuple(dict.fromkeys(value.strip() for value in values.split(",") if value.strip()))
    if not sign or not key.strip() or not parts:
        raise UsageError(f'--vary: found "{text}", expected KEY=V1,V2 such as *.timeout=500ms,1s')
    return Variation(key.strip(), parts)


def combinations(variations: Sequence[Variation]) -> list[dict[str, str]]:
    """Every combination of the values; one empty one when nothing varies. Raises UsageError for a key that
    is given twice: its combinations would contradict each other."""
    keys = [variation.key for variation in variations]
    for key in keys:
        if keys.count(key) > 1:
            raise UsageError(f"--vary: found {key} twice, expected all its values at once: {key}=V1,V2")
    return [
        dict(zip(keys, chosen, strict=True))
        for chosen in product(*(variation.values for variation in variations))
    ]


def apply(design: Design, scenario: Scenario, chosen: dict[str, str]) -> tuple[Design, Scenario]:
    """The design and scenario with the chosen values. Raises UsageError naming the key and the value."""
    for key, text in chosen.items():
        if key == LOAD:
            scenario = _vary_load(scenario, text)
        else:
            design = _vary_design(design, key, text)
    return design, scenario


def _vary_load(scenario: Scenario, text: str) -> Scenario:
    """The bounds are those of a scenario file."""
    arrivals = scenario.load.arrivals
    if arrivals.process == "replay":
        raise UsageError(
            f"--vary {LOAD}: found a load that is replayed from a file, expected one with a rate"
        )
    rate = float(_parse(LOAD, text, get_type_hints(type(arrivals), include_extras=True)["rate"]))
    most = MAX_VISITS / phase_starts(scenario.phases)["settle"]
    if not 0 < rate <= most:
        expected = f"a rate above 0/s and at most {most:.0f}/s, which is {MAX_VISITS:,} visits in a run"
        raise UsageError(f'--vary {LOAD}: found "{text}", expected {expected}')
    return replace(scenario, load=replace(scenario.load, arrivals=replace(arrivals, rate=rate)))


def _vary_design(design: Design, key: str, text: str) -> Design:
    target, _, path = key.partition(".")
    if not path:
        raise UsageError(f'--vary: found the key "{key}", expected TARGET.PATTERN or {LOAD}')
    steps = path.split(".")
    links = {name: p for name, p in design.links.items() if target in ("*", name)}
    services = {name: p for name, p in design.services.items() if target in ("*", name)}
    if not links and not services:
        raise UsageError(
            f'--vary: found "{target}", expected a link or a service; '
            f"{nearest(target, [*design.links, *design.services])}"
        )
    changed = False
    new_links, new_services = dict(design.links), dict(design.services)
    for name, link in links.items():
        if steps[0] in _names(link) and (target != "*" or _reaches(link, steps)):
            new_links[name], changed = _set(link, steps, key, text), True
    for name, service in services.items():
        if steps[0] in _names(service) and (target != "*" or _reaches(service, steps)):
            new_services[name], changed = _set(service, steps, key, text), True
    if not changed:
        known = {n for patterns in [*links.values(), *services.values()] for n in _names(patterns)}
        raise UsageError(f'--vary: found the pattern "{path}" in {key}; {nearest(steps[0], known)}')
    return replace(design, links=new_links, services=new_services)


def _names(patterns: Any) -> set[str]:
    return {field.name for field in fields(patterns)}


def _reaches(patterns: Any, steps: Iterable[str]) -> bool:
    """Whether the pattern that is to be varied is on."""
    *path, last = steps
    for step in path:
        patterns = getattr(patterns, step, None)
        if patterns is None:
            return False
    return last in _names(patterns)


def _set(patterns: Patterns, steps: list[str], key: str, text: str) -> Patterns:
    name, rest = steps[0], steps[1:]
    if name not in _names(patterns):
        raise UsageError(f'--vary: found "{name}" in {key}; {nearest(name, _names(patterns))}')
    hint = get_type_hints(type(patterns), include_extras=True)[name]
    if not rest:
        return replace(patterns, **{name: _parse(key, text, hint)})  # type: ignore[type-var]
    inner = getattr(patterns, name)
    if inner is None:
        inner = _switched_on(hint, key)
    try:
        return replace(patterns, **{name: _set(inner, rest, key, text)})  # type: ignore[type-var]
    except ValueError as error:  # a value of the right type that the pattern refuses
        found, expected = told_of(error)
        raise UsageError(f"--vary {key}: found {found}, expected {expected}") from None


def _switched_on(hint: Any, key: str) -> Any:
    for part in _alternatives(hint):
        if is_dataclass(part) and all(f.default is not MISSING for f in fields(part)):
            return part()  # type: ignore[operator]  # a class, not an instance
    raise UsageError(f"--vary: found {key}, expected a pattern that has parts")


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _parse(key: str, text: str, hint: Any) -> Any:
    """A value of the field's type: off, a number, a word, or a quantity with its unit."""
    expected: list[str] = []
    for part in _alternatives(hint):
        if part is type(None):
            expected.append("off")
            if text == "off":
                return None
        elif get_origin(part) is Annotated:
            unit = next(extra for extra in get_args(part) if isinstance(extra, Unit))
            try:
                return parse_quantity(text, unit)
            except ValueError as error:
                expected.append(str(error))
        elif get_origin(part) is Literal:
            expected.extend(get_args(part))
            if text in get_args(part):
                return text
        elif part is bool:
            expected.append("on or off")
            if text in ("on", "off"):
                return text == "on"
        elif part is int:
            expected.append("a whole number")
            if text.isdigit():
                return int(text)
        elif is_dataclass(part):
            expected.append("on")
            if text == "on":
                return _switched_on(part, key)
    raise UsageError(f'--vary {key}: found "{text}", expected {" or ".join(expected)}')
