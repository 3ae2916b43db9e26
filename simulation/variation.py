"""Varying single values of a design or of the load: `KEY=V1,V2,...` as the command line gives it.

front -> back.timeout=500ms,1s            one link's pattern
front.limit.most=64,128                   one service's switch
*.retry.attempts=1,3                      every link that has the pattern on
*.durable=on,off                          every service that the switch concerns
load.rate=8/s,16/s                        the arrivals

A key that names its link or service has the last word, wherever it stands: `*` leaves that one alone.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, is_dataclass, replace
from itertools import product
from typing import Any, Union, cast, get_args, get_origin

from experiment.decoding import Decoder, hints_of
from experiment.design import Design
from experiment.errors import ConfigError, Location, UsageError, nearest, told_of
from experiment.patterns import LINK_PATTERNS
from experiment.scenario import MAX_VISITS, Arrivals, Scenario, phase_starts
from experiment.switches import Setting, Switch, Value, read_value
from experiment.topology import System
from experiment.yaml_source import Node, Scalar, parse_yaml
from simulation.model.models import models_of

LOAD = "load.rate"
EVERY = "*."


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


def refuse_unmodelled(variations: Sequence[Variation], system: System) -> None:
    """Raises UsageError for a switch that no model of the system obeys: its values would not differ."""
    modelled = models_of(system).switches
    for variation in variations:
        name = variation.key.partition(".")[2].split(".")[0]
        if name in system.switches and name not in modelled:
            known = ", ".join(sorted(modelled)) or "none is modelled"
            raise UsageError(
                f'--vary {variation.key}: found the switch "{name}", which the twin does not model, '
                f"expected a link pattern, {LOAD} or a switch that it models ({known})"
            )


def apply(
    design: Design, scenario: Scenario, chosen: dict[str, str], system: System
) -> tuple[Design, Scenario]:
    """The design and scenario with the chosen values, which have the types and bounds of a file. Raises
    UsageError naming the key and the value."""
    for key, text in sorted(chosen.items(), key=lambda item: not item[0].startswith(EVERY)):
        if key == LOAD:
            scenario = _vary_load(scenario, text)
        else:
            design = _vary_design(design, key, text, system)
    return design, scenario


def _vary_load(scenario: Scenario, text: str) -> Scenario:
    """The bounds are those of a scenario file."""
    arrivals = scenario.load.arrivals
    if arrivals.process == "replay":
        raise UsageError(
            f"--vary {LOAD}: found a load that is replayed from a file, expected one with a rate"
        )
    rate = float(_parsed(LOAD, text, hints_of(Arrivals)["rate"]))
    most = MAX_VISITS / phase_starts(scenario.phases)["settle"]
    if not 0 < rate <= most:
        expected = f"a rate above 0/s and at most {most:.0f}/s, which is {MAX_VISITS:,} visits in a run"
        raise UsageError(f'--vary {LOAD}: found "{text}", expected {expected}')
    return replace(scenario, load=replace(scenario.load, arrivals=replace(arrivals, rate=rate)))


def _vary_design(design: Design, key: str, text: str, system: System) -> Design:
    target, _, path = key.partition(".")
    if not path:
        raise UsageError(f'--vary: found the key "{key}", expected TARGET.PATTERN, TARGET.SWITCH or {LOAD}')
    links = [name for name in design.links if target in ("*", name)]
    targets = [name for name in design.services if target in ("*", name)]
    if not links and not targets:
        hint = nearest(target, [*design.links, *design.services])
        raise UsageError(f'--vary: found "{target}", expected a link or a service; {hint}')
    steps = path.split(".")
    switch = system.switches.get(steps[0])
    if links and steps[0] in LINK_PATTERNS:
        on = _every(design, steps, None)[0] if target == "*" else links
        changed = {name: _with_pattern(design.links[name], steps, key, text) for name in on}
        varied = replace(design, links=design.links | changed)
    elif targets and switch is not None:
        on = [name for name in targets if switch.concerns(name)]
        if not on:
            wanted = f"a service that it concerns: {', '.join(switch.services)}"
            raise UsageError(f'--vary {key}: found the switch "{steps[0]}" for {target}, expected {wanted}')
        if target == "*":
            on = _every(design, steps, switch)[0]
        varied = _with_switches(design, on, switch, steps, key, text)
    else:
        known = {*(LINK_PATTERNS if links else ()), *(system.switches if targets else ())}
        hint = nearest(steps[0], known)
        raise UsageError(f'--vary: found "{path}" in {key}, expected a pattern or switch; {hint}')
    if not on:
        raise UsageError(f"--vary {key}: found {steps[0]} off everywhere, expected it on somewhere")
    return varied


def _every(design: Design, steps: Sequence[str], switch: Switch | None) -> tuple[list[str], list[str]]:
    """What `*` changes, and what it leaves alone since the pattern or switch is off there."""
    if switch is None:
        concerned = list(design.links)
        on = [name for name in concerned if _reaches(design.links[name], steps)]
    else:
        concerned = [name for name in design.services if switch.concerns(name)]
        on = [name for name in concerned if len(steps) == 1 or design.services[name][steps[0]] is not None]
    return on, [name for name in concerned if name not in on]


@dataclass(frozen=True, slots=True)
class Untouched:
    """What a key with `*` leaves as it is in one design."""

    key: str
    design: str
    links: bool  # whether it varies a pattern of links; else a switch of services
    off: tuple[str, ...]  # links or services that have the pattern or switch off
    named: tuple[str, ...]  # those that a key of their own varies


def untouched(design: Design, variations: Sequence[Variation], system: System) -> list[Untouched]:
    """Each key with `*` that does not touch every link or service with that pattern or switch. Raises
    UsageError as `apply` does."""
    found: list[Untouched] = []
    before = design
    keys = {variation.key for variation in variations}
    for variation in variations:
        if not variation.key.startswith(EVERY):
            continue
        path = variation.key.removeprefix(EVERY)
        steps = path.split(".")
        switch = None if steps[0] in LINK_PATTERNS else system.switches.get(steps[0])
        before_this, before = before, _vary_design(before, variation.key, variation.values[0], system)
        on, off = _every(before_this, steps, switch)
        named = tuple(name for name in on if f"{name}.{path}" in keys)
        if off or named:
            found.append(Untouched(variation.key, design.name, switch is None, tuple(off), named))
    return found


def _with_switches(
    design: Design, on: Sequence[str], switch: Switch, steps: list[str], key: str, text: str
) -> Design:
    name, *rest = steps
    changed = {
        service: values | {name: _with_switch(values[name], switch, rest, key, text)}
        for service, values in design.services.items()
        if service in on
    }
    return replace(design, services=design.services | changed)


def _reaches(patterns: Any, steps: Sequence[str]) -> bool:
    """Whether the pattern that is to be varied is on."""
    *path, last = steps
    for step in path:
        patterns = getattr(patterns, step, None)
        if patterns is None:
            return False
    return last in hints_of(cast(type, type(patterns)))


def _with_pattern(patterns: Any, steps: list[str], key: str, text: str) -> Any:
    name, rest = steps[0], steps[1:]
    hints = hints_of(cast(type, type(patterns)))
    if name not in hints:
        raise UsageError(f'--vary: found "{name}" in {key}; {nearest(name, hints)}')
    part: Any = next((one for one in _alternatives(hints[name]) if is_dataclass(one)), None)
    if not rest:
        value = part() if part is not None and text == "on" else _parsed(key, text, hints[name])
        return replace(patterns, **{name: value})
    if part is None:
        raise UsageError(f"--vary: found {key}, expected a pattern that has parts")
    inner = getattr(patterns, name) or part()
    try:
        return replace(patterns, **{name: _with_pattern(inner, rest, key, text)})
    except ValueError as error:  # a value of the right type that the pattern refuses
        found, wanted = told_of(error)
        raise UsageError(f"--vary {key}: found {found}, expected {wanted}") from None


def _with_switch(value: Value, switch: Switch, rest: list[str], key: str, text: str) -> Value:
    """The value of a switch, or of one field of a record, as a design file would give it."""
    full: Value = {name: one.default for name, one in switch.fields.items()}
    if not rest:
        return full if switch.type == "record" and text == "on" else _chosen(switch, key, text)
    if switch.type != "record" or len(rest) > 1:
        raise UsageError(f"--vary: found {key}, expected a switch that has fields")
    if rest[0] not in switch.fields:
        raise UsageError(f'--vary: found "{rest[0]}" in {key}; {nearest(rest[0], switch.fields)}')
    before = value if isinstance(value, dict) else full
    assert isinstance(before, dict)
    return before | {rest[0]: _chosen(switch.fields[rest[0]], key, text)}


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _chosen(setting: Setting, key: str, text: str) -> Any:
    return _read(key, text, lambda decoder, node: read_value(decoder, node, setting), setting.optional)


def _parsed(key: str, text: str, hint: Any) -> Any:
    optional = type(None) in _alternatives(hint)
    return _read(key, text, lambda decoder, node: decoder.value(node, hint), optional)


def _read(key: str, text: str, read: Callable[[Decoder, Node], Any], optional: bool) -> Any:
    """The value as a file would be read. Raises UsageError."""
    decoder = Decoder()
    value = read(decoder, _scalar(text))
    if decoder.problems:
        (problem,) = decoder.problems
        off = " or off" if optional and not problem.expected.endswith("off") else ""
        raise UsageError(f"--vary {key}: found {problem.found}, expected {problem.expected}{off}")
    return value


def _scalar(text: str) -> Scalar:
    """The word as it would stand in a file."""
    try:
        node = parse_yaml(text, "--vary")
    except ConfigError:
        node = None
    return node if isinstance(node, Scalar) else Scalar(Location("--vary"), text, "str")
