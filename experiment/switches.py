"""The switches of a system: what its designs may set for each service, besides the link patterns.

A system declares them in its `system.yaml`; a design gives them values; the code of the system obeys them.
The harness itself knows the types below and three effects, and no switch by its name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar, cast

from experiment.decoding import FAILED, NONE_WORDS, Decoder, describe, expected_of
from experiment.errors import Location
from experiment.patterns import LINK_PATTERNS
from experiment.services import filled, unknown_placeholders
from experiment.units import DURATION, RATE, SHARE, Duration, Rate, Share, Unit, quantity_text
from experiment.yaml_source import Mapping, Node, Scalar, key_place, place

Plain = bool | int | float | str | None
Value = Plain | dict[str, Plain]  # durations in seconds, rates per second, shares from 0 to 1
Type = Literal["switch", "choice", "duration", "rate", "share", "count", "number", "text", "record"]
Effect = Literal["database", "rate_limit", "certificates"]

OWNED = "owned"  # the choice of a switch with the effect `database` that shares nothing
UNITS: dict[str, Unit] = {"duration": DURATION, "rate": RATE, "share": SHARE}
_SCALARS: dict[str, Any] = {
    "switch": bool,
    "duration": Duration,
    "rate": Rate,
    "share": Share,
    "count": int,
    "number": float,
    "text": str,
}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BY_VALUE = frozenset({"default", "minimum", "maximum"})  # read once the type is known

T = TypeVar("T", bound="Setting")


@dataclass(frozen=True, slots=True)
class Setting:
    """One value that a design may give."""

    type: Type
    """What it takes: `switch` is on or off, `count` a whole number, and `record` has `fields` of its own."""
    title: str = ""
    """What it does, in a few words, for lists and for editors."""
    choices: tuple[str, ...] = ()
    """The words that a `choice` takes."""
    default: Plain = None
    """Its value in a design that does not name it, best the fragile one: a design then shows what it adds."""
    optional: bool = False
    """On when it may be `off`; without a default it then is off in a design that does not name it."""
    minimum: float | None = None
    """The smallest value that it takes, written as the value itself."""
    maximum: float | None = None
    """The largest value that it takes, written as the value itself."""


@dataclass(frozen=True, slots=True)
class Lack:
    """What is known of a design that lacks one pattern or switch."""

    shown_by: tuple[str, ...] = ()
    """Scenarios in which a design without it does worse; `selfcheck gate` plays the first of them."""
    not_shown: str = ""
    """Why no scenario shows the lack, in one sentence."""


@dataclass(frozen=True, slots=True)
class Switch(Setting):
    """One switch of the system, as `system.yaml` declares it."""

    fields: dict[str, Setting] = field(default_factory=dict)
    """The values that a `record` holds; a design names those that differ from their defaults."""
    services: tuple[str, ...] = ()
    """The services that it concerns; without it, all of them."""
    shown_by: tuple[str, ...] = ()
    """Scenarios in which a design without it does worse; `selfcheck gate` plays the first of them."""
    not_shown: str = ""
    """Why no scenario shows its lack, in one sentence."""
    environment: dict[str, str] = field(default_factory=dict)
    """Environment variables by which a service gets it at its start. `{value}` stands for the value: seconds
    of a duration, `true` or `false` of a switch; `{value_ms}` for milliseconds; `{value.name}` for a field of
    a record. What is off leaves its variables unset."""
    effect: Effect | None = None
    """What the harness has to know of it. `database`: a choice of `owned`, each service its own database, or
    the name of one that services share. `rate_limit`: the service refuses requests above this rate."""

    @property
    def lack(self) -> Lack:
        return Lack(self.shown_by, self.not_shown)

    @property
    def can_be_lacking(self) -> bool:
        """Whether a design can do without it; a size that is always set is not a switch to turn back."""
        return self.optional or self.type in ("switch", "choice")

    @property
    def resolved(self) -> Value:
        """Its value in a design that does not name it."""
        if self.type == "record" and not self.optional:
            return {name: one.default for name, one in self.fields.items()}
        return self.default

    def concerns(self, service: str) -> bool:
        return not self.services or service in self.services

    def variables(self, value: Value) -> dict[str, str]:
        """The environment of a service with this value."""
        if value is None:
            return {}
        words = {"value": _worded(value)}
        if self.type == "duration":
            words["value_ms"] = _worded(cast(float, value) * 1000)
        if isinstance(value, dict):
            words |= {f"value.{name}": _worded(one) for name, one in value.items()}
        return {name: filled(text, words) for name, text in self.environment.items()}


def _worded(value: Value) -> str:
    """As most programs read it: on and off are true and false, quantities plain numbers, records JSON."""
    if value is None:
        return ""
    if isinstance(value, bool | dict):
        return json.dumps(value)
    return value if isinstance(value, str) else f"{value:.12g}"


# the type of a value


def annotation(setting: Setting) -> Any:
    """The type that a decoder, or the generator of schemas, knows it by."""
    plain = cast(Any, Literal)[setting.choices] if setting.type == "choice" else _SCALARS[setting.type]
    return plain | None if setting.optional else plain


def read_value(decoder: Decoder, node: Node, setting: Setting) -> Value:
    """The value that stands in a design, or FAILED with its mistake told."""
    if not isinstance(setting, Switch) or setting.type != "record":
        return cast(Value, _within(decoder, node, setting, decoder.value(node, annotation(setting))))
    if setting.optional and isinstance(node, Scalar) and node.text.lower() in NONE_WORDS:
        return None
    if not isinstance(node, Mapping):
        return cast(Value, decoder.fail(node.where, describe(node), expected(setting)))
    given: dict[str, Any] = {}
    for key, child in node.items:
        if key.text in setting.fields:
            given[key.text] = read_value(decoder, child, setting.fields[key.text])
        else:
            found, wanted = f'the unknown key "{key.text}"', "a key that is defined here"
            decoder.fail(key.where, found, wanted, decoder.nearest(key.text, setting.fields))
    if FAILED in given.values():
        return cast(Value, FAILED)
    return {name: given.get(name, one.default) for name, one in setting.fields.items()}


def expected(setting: Setting) -> str:
    """What it takes, for the `expected` half of a message."""
    off = " or off" if setting.optional else ""
    if isinstance(setting, Switch) and setting.type == "record":
        return f"a mapping with the keys {', '.join(setting.fields)}{off}"
    plain = expected_of(annotation(replace(setting, optional=False)))
    return f"{plain}{_bounds(setting)}{off}"


def described(switch: Switch) -> str:
    """One line about a switch, for lists: what it does, what it takes, and its default."""
    value = switch.resolved
    unit = UNITS.get(switch.type)
    if isinstance(value, bool) or value is None:
        default = "on" if value else "off"
    elif isinstance(value, dict):
        default = "its fields' defaults"
    else:
        default = quantity_text(float(value), unit) if unit is not None else str(value)
    of = f"; {', '.join(switch.services)}" if switch.services else ""
    return f"{switch.title} ({expected(switch)}; default {default}{of})".strip()


def _bounds(setting: Setting) -> str:
    """The bounds in words: `, 1 or more`, `, at most 5s`, `, from 1 to 5`."""
    unit = UNITS.get(setting.type)
    low, high = (
        None if one is None else quantity_text(one, unit) if unit else f"{one:g}"
        for one in (setting.minimum, setting.maximum)
    )
    if low is not None and high is not None:
        return f", from {low} to {high}"
    if low is not None:
        return f", {low} or more"
    return "" if high is None else f", at most {high}"


def _within(decoder: Decoder, node: Node, setting: Setting, value: Any) -> Any:
    low, high = setting.minimum, setting.maximum
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if (low is not None and value < low) or (high is not None and value > high):
        return decoder.fail(node.where, describe(node), expected(setting))
    return value


# the declaration


def read_setting(decoder: Decoder, node: Node) -> Any:
    """A field of a record, as declared."""
    return _declared(decoder, node, Setting)


def read_switch(decoder: Decoder, node: Node) -> Any:
    """A switch, as declared."""
    return _declared(decoder, node, Switch)


def _declared(decoder: Decoder, node: Node, cls: type[T]) -> T | Any:
    before = len(decoder.problems)
    setting = decoder.record(node, cls, _BY_VALUE)
    if setting is FAILED:
        return FAILED
    assert isinstance(node, Mapping)
    for problem in (_choices, _fields, _limits, _effect, _environment):
        problem(decoder, node, setting)
    if len(decoder.problems) > before:
        return FAILED
    if setting.type == "count":
        setting = replace(setting, minimum=0.0)
    for name in ("minimum", "maximum"):
        child = node.get(name)
        if child is not None:
            bare = replace(setting, optional=False, **({"minimum": None} if name == "minimum" else {}))
            value: Any = read_value(decoder, child, bare)
            if value is FAILED:
                return FAILED
            setting = replace(setting, **{name: float(value)})
    return _with_default(decoder, node, setting)


def _with_default(decoder: Decoder, node: Mapping, setting: T) -> T | Any:
    child = node.get("default")
    if child is not None:
        value: Any = read_value(decoder, child, setting)
        return FAILED if value is FAILED else replace(setting, default=value)
    if setting.optional or setting.type == "record":
        return setting
    wanted = f"default: {expected(setting)}; or optional: on"
    return decoder.fail(node.where, 'no key "default"', wanted)


def _choices(decoder: Decoder, node: Mapping, setting: Setting) -> None:
    where = place(node, "choices")
    if setting.type == "choice" and not setting.choices:
        decoder.fail(where, "a choice without choices", "choices: [one, another]")
    elif setting.type != "choice" and setting.choices:
        decoder.fail(where, f"choices of a {setting.type}", "choices of a choice only")
    elif len(set(setting.choices)) < len(setting.choices):
        decoder.fail(where, "a choice that stands twice", "each choice once")
    words = [word for word in setting.choices if setting.optional and word.lower() in NONE_WORDS]
    if words:
        decoder.fail(where, f'the choice "{words[0]}", which means off', "another word for the choice")


def _fields(decoder: Decoder, node: Mapping, setting: Setting) -> None:
    if not isinstance(setting, Switch):
        if setting.type == "record":
            decoder.fail(place(node, "type"), "a record in a record", "a field of another type")
        return
    where = place(node, "fields")
    if setting.type == "record" and not setting.fields:
        decoder.fail(where, "a record without fields", "fields: {name: {type: count, default: 1}}")
    elif setting.type != "record" and setting.fields:
        decoder.fail(where, f"fields of a {setting.type}", "fields of a record only")
    for name in setting.fields:
        check_name(decoder, key_place(node, "fields", name), name)


def _limits(decoder: Decoder, node: Mapping, setting: Setting) -> None:
    for name in ("minimum", "maximum"):
        if node.get(name) is not None and setting.type not in (*UNITS, "count", "number"):
            wanted = f"a {name} of a quantity, a count or a number only"
            decoder.fail(place(node, name), f"a {name} of a {setting.type}", wanted)


def _effect(decoder: Decoder, node: Mapping, setting: Setting) -> None:
    effect = setting.effect if isinstance(setting, Switch) else None
    where = place(node, "effect")
    if effect == "database" and (setting.type != "choice" or OWNED not in setting.choices):
        wanted = 'a choice with "owned", a database for each service, and names of databases that are shared'
        decoder.fail(where, f"the effect database of a {setting.type}", wanted)
    elif effect == "database" and setting.optional:
        wanted = "a choice without optional: a service always has a database"
        decoder.fail(where, "a database that may be off", wanted)
    elif effect == "rate_limit" and (setting.type != "rate" or not setting.optional):
        kind = "rate that is always set" if setting.type == "rate" else setting.type
        found = f"the effect rate_limit of a {kind}"
        decoder.fail(where, found, "a rate with optional: on, above which the service refuses requests")
    elif effect == "certificates" and setting.type != "choice":
        wanted = "a choice whose default needs no certificates"
        decoder.fail(where, f"the effect certificates of a {setting.type}", wanted)


def _environment(decoder: Decoder, node: Mapping, setting: Setting) -> None:
    if not isinstance(setting, Switch):
        return
    known = ["value"]
    known += ["value_ms"] if setting.type == "duration" else []
    known += [f"value.{name}" for name in setting.fields]
    for name, text in setting.environment.items():
        if not _VARIABLE.fullmatch(name):
            where = key_place(node, "environment", name)
            decoder.fail(where, f'the name "{name}"', "the name of an environment variable")
        for placeholder in unknown_placeholders(text, known):
            found, hint = f'the unknown placeholder "{{{placeholder}}}"', decoder.nearest(placeholder, known)
            decoder.fail(place(node, "environment", name), found, "a placeholder of the value", hint)


def check_name(decoder: Decoder, where: Location, name: str) -> None:
    """What a switch or a field may be called: `--vary` and services take it as one plain word."""
    if not _NAME.fullmatch(name):
        wanted = 'at most 60 letters, digits and "_", with a letter first'
        decoder.fail(where, f'the name "{name}"', wanted)
    elif name in LINK_PATTERNS:
        decoder.fail(where, f'the name "{name}"', "a name that no link pattern has")


def check_switches(
    decoder: Decoder, node: Node, switches: dict[str, Switch], services: Collection[str]
) -> None:
    """What the switches of one system say of each other and of its services."""
    effects: dict[str, str] = {}
    for name, switch in switches.items():
        check_name(decoder, key_place(node, "switches", name), name)
        for index, service in enumerate(switch.services):
            if service not in services:
                where = place(node, "switches", name, "services", index)
                hint = decoder.nearest(service, services)
                decoder.fail(where, f'the unknown service "{service}"', "a service of this file", hint)
        if switch.effect == "database":
            _check_databases(decoder, node, name, switch, services)
        if switch.effect and switch.effect in effects:
            found = f"a second switch with the effect {switch.effect}"
            wanted = f"one at most ({effects[switch.effect]} has it)"
            decoder.fail(place(node, "switches", name, "effect"), found, wanted)
        if switch.effect:
            effects[switch.effect] = name


def _check_databases(
    decoder: Decoder, node: Node, name: str, switch: Switch, services: Collection[str]
) -> None:
    for index, choice in enumerate(switch.choices):
        if choice in services or not _NAME.fullmatch(choice):
            wanted = f'"{OWNED}", or a name for a database: letters, digits and "_", and no service\'s name'
            decoder.fail(place(node, "switches", name, "choices", index), f'"{choice}"', wanted)


def with_effect(switches: dict[str, Switch], effect: Effect) -> str | None:
    """The name of the switch that has this effect; None when the system declares none."""
    return next((name for name, switch in switches.items() if switch.effect == effect), None)
