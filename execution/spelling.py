"""Values as the files of users write them, and the rows in which two of them differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_args

from experiment.decoding import hints_of, item_mark
from experiment.design import Design
from experiment.errors import Location
from experiment.patterns import LINK_PATTERNS, LinkPatterns
from experiment.scenario import FaultSpec, Scenario
from experiment.switches import annotation
from experiment.topology import System
from experiment.units import DURATION, RATE, Bound, RelativeBound, Unit, quantity_text

Row = tuple[str, str, str]  # what differs, how the first has it, how the second
NONE = "–"


def spelt(value: Any, hint: Any = None) -> str:
    """As a file gives it: `20ms`, `on`, `{attempts: 3, backoff: 20ms}`."""
    if value is None or value is False:
        return "off"
    if value is True:
        return "on"
    if isinstance(value, Bound | RelativeBound):
        return value.text
    if isinstance(value, int | float):
        unit = _unit(hint)
        if unit is RATE:
            return f"{value:g}/s"  # 12/s reads better than 720/min
        return quantity_text(float(value), unit) if unit is not None else f"{value:g}"
    if is_dataclass(value) and not isinstance(value, type):
        hints = hints_of(type(value))
        shown = {one.name: spelt(getattr(value, one.name), hints[one.name]) for one in fields(value)}
        return _mapping(shown)
    if isinstance(value, Mapping):
        return _mapping({str(name): spelt(item) for name, item in value.items()})
    if isinstance(value, tuple | list):
        return f"[{', '.join(spelt(item) for item in value)}]"
    return str(value)


def _mapping(shown: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{name}: {text}" for name, text in shown.items()) + "}"


def _unit(hint: Any) -> Unit | None:
    """What a number is measured in, by its annotation, in a union too."""
    mark = item_mark(hint)
    if isinstance(mark, Unit):
        return mark
    return next((unit for part in get_args(hint) if (unit := _unit(part)) is not None), None)


def fault_text(spec: FaultSpec) -> str:
    """`latency on caller -> callee, delay 40ms`."""
    one_of = "one of " if spec.one_of else ""
    parts = [f"{spec.fault.kind} on {one_of}{' or '.join(spec.targets)}"]
    hints = hints_of(type(spec.fault))
    for one in fields(spec.fault):  # type: ignore[arg-type]  # every fault is a dataclass
        parts.append(f"{one.name} {spelt(getattr(spec.fault, one.name), hints[one.name])}")
    return ", ".join(parts)


def design_rows(left: Design, right: Design, system: System) -> Iterator[Row]:
    """Every pattern of a link and every switch of a service that is not the same."""
    hints = hints_of(LinkPatterns)
    for link in system.link_names:
        for name in LINK_PATTERNS:
            hint = hints[name]
            one, other = getattr(left.links[link], name), getattr(right.links[link], name)
            if one != other:
                yield f"{link}: {name}", spelt(one, hint), spelt(other, hint)
    for service in system.services:
        for name, switch in system.switches.items():
            one, other = left.services[service][name], right.services[service][name]
            if one != other and switch.concerns(service):
                hint = annotation(switch) if switch.type != "record" else None
                yield f"{service}: {name}", spelt(one, hint), spelt(other, hint)


def scenario_rows(left: Scenario, right: Scenario) -> Iterator[Row]:
    """Every value that is not the same; faults and objectives that only one of them has."""
    one, other = dict(_values(left)), dict(_values(right))
    for name in dict.fromkeys((*one, *other)):
        if one.get(name) != other.get(name):
            yield name, one.get(name, NONE), other.get(name, NONE)


def _values(scenario: Scenario) -> Iterator[tuple[str, str]]:
    yield from _leaves("", scenario)
    for spec in scenario.faults:
        when = [f"during {spec.during}"] if spec.during else []
        when += [f"at {spelt_time(spec.at)}"] if spec.at is not None else []
        when += [f"for {spelt_time(spec.lasting)}"] if spec.lasting is not None else []
        when += [f"repeat {spelt(spec.repeat)}"] if spec.repeat is not None else []
        yield f"fault {spec.fault.kind} on {' or '.join(spec.targets)}", "; ".join([fault_text(spec), *when])
    for section in ("baseline", "fault", "after"):
        for asked in getattr(scenario.expect, section):
            yield f"expect.{section}: {asked.journey}", objective_text(asked)


def _leaves(path: str, value: Any, hint: Any = None) -> Iterator[tuple[str, str]]:
    """Single values by their path; what is told in its own way is left out, and what is not given."""
    if value is None:
        return
    if is_dataclass(value) and not isinstance(value, type | Bound | RelativeBound | Location):
        hints = hints_of(type(value))
        for one in fields(value):
            inner = f"{path}.{one.name}".lstrip(".")
            if one.metadata.get("internal") or inner in TOLD_APART:
                continue
            yield from _leaves(inner, getattr(value, one.name), hints[one.name])
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield f"{path}.{name}", spelt(item)
    else:
        yield path, spelt(value, hint)


TOLD_APART = ("name", "faults", "expect.baseline", "expect.fault", "expect.after")


def objective_text(asked: Any) -> str:
    """`success >= 99%, p95 <= 2s, degraded answers count`."""
    parts = [
        f"{name} {getattr(asked, name).text}"
        for name in ("success", "p50", "p95", "p99")
        if getattr(asked, name) is not None
    ]
    if asked.degraded is True:
        parts.append("degraded answers count")
    elif asked.degraded:
        parts.append(f"answers labelled {', '.join(asked.degraded)} count")
    if asked.refused:
        parts.append(f"refusals with {', '.join(map(str, asked.refused))} count")
    if asked.good_within is not None:
        parts.append(f"good within {spelt_time(asked.good_within)}")
    return ", ".join(parts)


def spelt_time(seconds: float | None) -> str:
    """`250ms`, `6s`; nothing where there is none."""
    return "" if seconds is None else quantity_text(seconds, DURATION) if seconds else "0s"
