"""JSON Schemas of the YAML files, for editors: generated from the same dataclasses that read them.

A schema is laxer than the decoder: it knows keys, units, choices and registered names, but not what a system
holds or which times fit together.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
import types
from collections.abc import Collection, Iterable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from experiment.controls import Fault
from experiment.decoding import NONE_WORDS, expected_of, hints_of
from experiment.design import DesignFile
from experiment.forms import Draw, draw_schema
from experiment.names import PATTERN, Reference
from experiment.patterns import LinkPatterns
from experiment.properties import Binding, Kinds, Noun, Property
from experiment.scenario import Arrivals, FaultSpec, OneOfLinks, OneOfServices, Scenario, Schedule
from experiment.suite import Suite
from experiment.switches import Setting, Switch, annotation, expected
from experiment.topology import System
from experiment.units import (
    RATE,
    RELATIVE_FORMS,
    Bound,
    LatencyLimit,
    Unit,
    latency_bound_pattern,
    quantity_text,
)

Schema = dict[str, Any]
DRAFT = "https://json-schema.org/draft/2020-12/schema"
PLAIN = {str: "string", int: "integer", float: "number"}
ON_OFF = [True, False, "on", "off", "yes", "no"]
TARGETS: dict[str, Schema] = {
    "link": {
        "type": "string",
        "pattern": "^[^ ]+ -> [^ ]+$",
        "description": "The link that it acts on, as `caller -> callee`.",
    },
    "service": {"type": "string", "description": "The service that it acts on."},
}


def system_schema(kinds: Kinds) -> Schema:
    """Of `system.yaml`; `kinds` is the registry of kinds of properties."""
    generator = _Generator({})
    generator.special[Draw] = draw_schema()
    word = {"type": "string", "minLength": 1}
    pair = {"type": "array", "items": word, "minItems": 1, "maxItems": 2}
    generator.special[Noun] = {
        "anyOf": [word, pair],
        "description": "A noun, or a noun with its plural: [person, people].",
    }
    generator.special[Property] = {"oneOf": [generator.property(kind) for kind in kinds.values()]}
    plain = {"type": ["string", "number", "boolean"]}
    for cls in (Setting, Switch):
        generator.fields |= {(cls, name): plain for name in ("default", "minimum", "maximum")}
    generator.fields[Switch, "environment"] = {"type": "object", "additionalProperties": plain}
    return generator.document(System, "A system: services, links, switches, journeys, properties")


def scenario_schema(kinds: Mapping[str, type[Fault]]) -> Schema:
    """Of a scenario; `kinds` is the registry of faults."""
    generator = _Generator({})
    generator.special[FaultSpec] = {"oneOf": [generator.fault(kind) for kind in kinds.values()]}
    rate = {**generator.quantity(RATE), "description": "Short for Poisson arrivals at this rate."}
    generator.special[Arrivals] = {"anyOf": [rate, generator.record(Arrivals)]}
    return generator.document(Scenario, "A scenario: load, phases, faults, expectations")


def design_schema(system: System) -> Schema:
    """Of a design of this system: its links, its services, and the switches that it declares for each."""
    generator = _Generator({})
    link = generator.of(LinkPatterns)
    switches = {name: generator.switch(name, switch) for name, switch in system.switches.items()}

    def of(names: Iterable[str]) -> Schema:
        return _object({name: switches[name] for name in names})

    services = {
        name: {
            **of(key for key, switch in system.switches.items() if switch.concerns(name)),
            "description": f"Switches of {service.title or name}.",
        }
        for name, service in system.services.items()
    }
    generator.fields = {
        (DesignFile, "link_defaults"): link,
        (DesignFile, "service_defaults"): of(switches),
        (DesignFile, "links"): _object(
            {
                one.name: {**link, "description": f"How {one.caller} calls {one.callee}."}
                for one in system.links
            }
        ),
        (DesignFile, "services"): _object(services),
    }
    return generator.document(DesignFile, f"A design of the system {system.name}")


def suite_schema() -> Schema:
    """Of a suite."""
    return _Generator({}).document(Suite, "A suite: scenarios on designs")


class _Generator:
    """Turns annotations into schemas; dataclasses go to `$defs` once each. `names` are registered names of
    their kind; `fields` replaces single fields, `special` whole types."""

    def __init__(self, names: Mapping[Reference, Collection[str]]) -> None:
        self._names = names
        self.fields: dict[tuple[type, str], Schema] = {}
        self.special: dict[type, Schema] = {}
        self._defs: dict[str, Schema] = {}

    def document(self, cls: type, title: str) -> Schema:
        root = self.record(cls)
        root["properties"]["name"] |= {"type": "string", "pattern": PATTERN}
        return {"$schema": DRAFT, "title": title, **root, "$defs": dict(sorted(self._defs.items()))}

    def of(self, annotation: Any) -> Schema:
        origin, members = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            return self._marked(*members[:2])
        if origin in (Union, types.UnionType):
            return self._union(members)
        if origin is Literal:
            return {"enum": list(members)}
        if origin is tuple:
            return {"type": "array", "items": self.of(members[0])}
        if origin is dict:
            return {"type": "object", "additionalProperties": self.of(members[1])}
        if annotation in self.special:
            return self.special[annotation]
        if is_dataclass(annotation) and isinstance(annotation, type):
            return self._reference(annotation)
        if annotation is bool:
            return self._shared("switch", {"enum": ON_OFF})
        return {"type": PLAIN[annotation]} if annotation in PLAIN else {}

    def record(self, cls: type) -> Schema:
        """A dataclass as an object that takes its keys and no others."""
        texts = field_texts(cls)
        properties: Schema = {}
        required = []
        for field in _own(cls):
            schema = self.fields.get((cls, field.name)) or self.of(hints_of(cls)[field.name])
            properties[field.name] = _told(
                schema, texts.get(field.name, ""), field, hints_of(cls)[field.name]
            )
            if field.default is MISSING and field.default_factory is MISSING:
                required.append(field.name)
        schema = _object(properties)
        if required:
            schema["required"] = required
        return schema

    def switch(self, name: str, switch: Switch) -> Schema:
        """A declared switch, once in `$defs`."""
        return self._shared(f"switch_{name}", self._setting(name, switch))

    def _setting(self, name: str, setting: Setting) -> Schema:
        if isinstance(setting, Switch) and setting.type == "record":
            fields = {key: self._setting(key, one) for key, one in setting.fields.items()}
            made = self._optional(_object(fields)) if setting.optional else _object(fields)
        else:
            made = dict(self.of(annotation(setting)))
        if setting.type in ("count", "number") and not setting.optional:
            bounds = {"minimum": setting.minimum, "maximum": setting.maximum}
            whole = int if setting.type == "count" else float
            made |= {key: whole(value) for key, value in bounds.items() if value is not None}
        default = _written(setting.default, annotation(setting)) if setting.type != "record" else None
        made |= {} if default is None else {"default": default}
        return {**made, "description": f"{setting.title or name}. It takes {expected(setting)}."}

    def fault(self, kind: type[Fault]) -> Schema:
        """One kind of fault: its own keys beside those that say where and when."""
        name = str(kind.kind)
        common, own = self.record(Schedule), self.record(kind)
        place = "service" if str(kind.target_kind) == "node" else "link"
        several = self.record(OneOfLinks if place == "link" else OneOfServices)
        several["properties"]["one_of"] |= {"items": TARGETS[place], "minItems": 2}
        drawn = {"anyOf": [TARGETS[place], several], "description": TARGETS[place]["description"]}
        keys = {"kind": {"const": name, "description": "The kind of fault."}, place: drawn}
        properties = {**keys, **common["properties"], **own["properties"]}
        return {
            "title": name,
            "description": text_of(kind),
            "type": "object",
            "properties": properties,
            "additionalProperties": False,
            "required": ["kind", place, *own.get("required", [])],
            "anyOf": [{"required": ["during"]}, {"required": ["at", "lasting"]}],
        }

    def property(self, kind: type[Binding]) -> Schema:
        """One kind of property: its own keys beside those of every property."""
        own = self.record(kind)
        common = {
            "kind": {"const": kind.kind, "description": "The kind of property."},
            "safety": {
                **self.of(bool),
                "description": "Whether a violation is a veto.",
                "default": kind.safety,
            },
            "says": {"type": "string", "description": "What it promises, in one sentence."},
        }
        return {
            **own,
            "title": kind.kind,
            "description": text_of(kind),
            "properties": {**common, **own["properties"]},
            "required": ["kind", *own.get("required", [])],
        }

    def _marked(self, base: Any, mark: Unit | Reference) -> Schema:
        if isinstance(mark, Reference):
            return {"enum": sorted(self._names[mark])} if mark in self._names else {"type": "string"}
        if base is LatencyLimit:
            examples = [f"<= {mark.example}", *RELATIVE_FORMS]
            found = {"type": "string", "pattern": latency_bound_pattern(), "examples": examples}
            return self._shared("latency_bound", found)
        return self.bound(mark) if base is Bound else self.quantity(mark)

    def quantity(self, unit: Unit) -> Schema:
        found = {"type": "string", "pattern": unit.pattern(), "examples": [unit.example]}
        return self._shared(unit.name, found)

    def bound(self, unit: Unit) -> Schema:
        pattern = rf"^\s*(>=|<=)\s*{unit.pattern().removeprefix('^')}"
        found = {"type": "string", "pattern": pattern, "examples": [f"<= {unit.example}"]}
        return self._shared(f"{unit.name}_bound", found)

    def _shared(self, name: str, schema: Schema) -> Schema:
        self._defs[name] = schema
        return {"$ref": f"#/$defs/{name}"}

    def _union(self, members: tuple[Any, ...]) -> Schema:
        inner = [self.of(member) for member in members if member is not type(None)]
        one = inner[0] if len(inner) == 1 else {"anyOf": inner}
        return one if len(inner) == len(members) else self._optional(*inner)

    def _optional(self, *inner: Schema) -> Schema:
        nothing = self._shared("nothing", {"enum": [None, False, *filter(None, NONE_WORDS)]})
        return {"anyOf": [*inner, nothing]}

    def _reference(self, cls: type) -> Schema:
        if cls.__name__ not in self._defs:
            self._defs[cls.__name__] = {}  # a type that holds itself ends here
            self._defs[cls.__name__] = _described(cls, self.record(cls))
        return {"$ref": f"#/$defs/{cls.__name__}"}


def _described(cls: type, schema: Schema) -> Schema:
    text = text_of(cls)
    return {"description": text, **schema} if text else schema


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _own(cls: type) -> list[Field[Any]]:
    return [field for field in fields(cls) if field.init and not field.metadata.get("internal")]


def _told(schema: Schema, text: str, field: Field[Any], annotation: Any) -> Schema:
    """The schema with what is said of the field, its unit, and the default as it would be written."""
    told = dict(schema)
    if text:
        told["description"] = f"{text} {_unit_of(annotation)}".strip()
    default = _written(field.default, annotation)
    if default is not None:
        told["default"] = default
    return told


def _unit_of(annotation: Any) -> str:
    """`It takes a duration such as 250ms, or off.`; nothing for a value without a unit."""
    members = (annotation, *get_args(annotation))
    marked = [one for one in members if get_origin(one) is Annotated and _is_unit(get_args(one))]
    if not marked:
        return ""
    base, unit = get_args(marked[0])[:2]
    taken = expected_of(marked[0])
    if base in (Bound, LatencyLimit):
        taken = f"a bound such as `<= {unit.example}`"
    if base is LatencyLimit:
        taken += f" or `{RELATIVE_FORMS[0]}`"
    return f"It takes {taken}{', or off' if type(None) in members else ''}."


def _written(value: Any, annotation: Any) -> str | int | float | bool | None:
    """A default in the words of a file: 0.8 of a Duration is `800ms`; None where no word is needed."""
    units = [
        args[1]
        for member in (annotation, *get_args(annotation))
        if (args := get_args(member)) and _is_unit(args)
    ]
    if value is MISSING or value is None or value == "":
        return None
    if units and isinstance(value, (int, float)):
        return quantity_text(float(value), units[0])
    return value if isinstance(value, (str, int, float, bool)) else None


def _is_unit(args: tuple[Any, ...]) -> bool:
    return len(args) > 1 and isinstance(args[1], Unit)


def field_texts(cls: type) -> dict[str, str]:
    """Field name to the sentence below the field, or to the comment at the end of its line as a sentence."""
    found: dict[str, str] = {}
    for base in reversed([one for one in cls.__mro__ if is_dataclass(one)]):
        lines = textwrap.dedent(inspect.getsource(base)).splitlines()
        (tree,) = ast.parse("\n".join(lines)).body
        assert isinstance(tree, ast.ClassDef)
        for node, after in zip(tree.body, [*tree.body[1:], ast.Pass()], strict=True):
            if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
                continue
            _, mark, comment = lines[(node.end_lineno or node.lineno) - 1].partition("  # ")
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                found[node.target.id] = " ".join(str(after.value.value).split())
            elif mark:
                found[node.target.id] = f"{comment[0].upper()}{comment[1:]}."
    return found


def text_of(cls: type) -> str:
    """The docstring of a class, if it is one that somebody wrote, without its line breaks."""
    text = inspect.getdoc(cls) or ""
    return "" if text.startswith(f"{cls.__name__}(") else re.sub(r"(?<!\n)\n(?!\n)", " ", text)
