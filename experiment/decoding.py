"""YAML nodes into frozen dataclasses, driven by the annotations; every mistake is collected with its place.

Field names are the keys. Units come from the annotated types in `units`, what a name must name from those in
`names`. A dataclass field may carry
`metadata={"help": ...}`, used by the published JSON Schema.
"""

from __future__ import annotations

import math
import re
import types
from collections.abc import Callable, Collection, Iterable
from collections.abc import Mapping as MappingABC
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from experiment.errors import MOST_PROBLEMS, ConfigError, Location, Problem, nearest, told_of
from experiment.names import ARGUMENT, Reference
from experiment.units import (
    RELATIVE_FORMS,
    Bound,
    LatencyLimit,
    Unit,
    parse_bound,
    parse_latency_bound,
    parse_quantity,
)
from experiment.yaml_source import Mapping, Node, Scalar, Sequence

T = TypeVar("T")
NONE_WORDS = ("none", "off", "null", "~", "")
TRUE_WORDS = ("on", "true", "yes")
FALSE_WORDS = ("off", "false", "no")


class _Failed:
    """Stands for a value that could not be decoded; its problem is already recorded."""


FAILED = _Failed()


@cache
def hints_of(cls: type) -> dict[str, Any]:
    """Field name to annotation, with units kept."""
    return get_type_hints(cls, include_extras=True)


class Decoder:
    """Decodes one file. `hooks` maps a type that picks its own shape to a function (decoder, node) ->
    value; `names` holds the names that are defined. A kind of name it does not hold is not looked up."""

    def __init__(
        self,
        hooks: MappingABC[type, Callable[[Decoder, Node], Any]] | None = None,
        names: MappingABC[Reference, Collection[str]] | None = None,
    ) -> None:
        self.problems: list[Problem] = []
        self._hooks = hooks or {}
        self._names = names or {}

    def fail(self, where: Location, found: str, expected: str, hint: str = "") -> Any:
        self.problems.append(Problem(where, found, expected, hint))
        return FAILED

    def nearest(self, name: str, names: Iterable[str]) -> str:
        """A hint that names the nearest right name; none once nobody would read it: it is costly to find."""
        return "" if len(self.problems) >= MOST_PROBLEMS else nearest(name, names)

    def refuse(self, where: Location, error: ValueError) -> Any:
        """A mistake that a value found in itself, see `told_of`."""
        return self.fail(where, *told_of(error))

    def root(self, node: Node, cls: type[T]) -> T:
        """The whole file as `cls`. Raises ConfigError with every problem, in the order of the file."""
        value = self.value(node, cls)
        self.finish()
        return cast(T, value)

    def finish(self) -> None:
        if self.problems:
            order = sorted(self.problems, key=lambda p: (p.where.file, p.where.line, p.where.column))
            raise ConfigError(order)

    def value(self, node: Node, annotation: Any) -> Any:
        origin = get_origin(annotation)
        if origin is Annotated:
            base, mark = get_args(annotation)[:2]
            if isinstance(mark, Reference):
                return self._named(node, mark)
            return self._quantity(node, base, mark)
        if origin in (Union, types.UnionType):
            return self._optional(node, get_args(annotation))
        if origin is Literal:
            return self._choice(node, get_args(annotation))
        if origin is tuple:
            return self._tuple(node, get_args(annotation)[0])
        if origin is dict:
            return self._dict(node, *get_args(annotation))
        if annotation is Any:
            return plain(node)
        if annotation in self._hooks:
            return self._hooks[annotation](self, node)
        if is_dataclass(annotation):
            return self.record(node, cast(type, annotation))
        return self._scalar(node, annotation)

    def record(self, node: Node, cls: type, ignore: frozenset[str] = frozenset()) -> Any:
        """A mapping as the dataclass `cls`; keys in `ignore` are somebody else's."""
        if not isinstance(node, Mapping):
            keys = ", ".join(field.name for field in fields(cls) if not field.metadata.get("internal"))
            return self.fail(node.where, describe(node), f"a mapping with the keys {keys}")
        names = {f.name: f for f in fields(cls) if f.init and not f.metadata.get("internal")}
        values: dict[str, Any] = {}
        for key, child in node.items:
            if key.text in ignore:
                continue
            if key.text not in names:
                hint = self.nearest(key.text, {*names, *ignore})
                self.fail(key.where, f'the unknown key "{key.text}"', "a key that is defined here", hint)
                continue
            values[key.text] = self._given(child, hints_of(cls)[key.text], names[key.text])
        for name, field in names.items():
            if name not in values and field.default is MISSING and field.default_factory is MISSING:
                found = "no key " + f'"{name}"'
                values[name] = self.fail(node.where, found, f"{name}: {expected_of(hints_of(cls)[name])}")
        if any(value is FAILED for value in values.values()):
            return FAILED
        try:
            return cls(**values)
        except ValueError as error:
            return self.refuse(blamed(node, str(error)), error)

    def _given(self, node: Node, annotation: Any, field: Any) -> Any:
        """The value of a key; text that has to be given has to say something."""
        needed = field.default is MISSING and field.default_factory is MISSING
        if annotation is str and needed and isinstance(node, Scalar) and not node.text.strip():
            return self.fail(node.where, describe(node), f"{field.name}: text")
        return self.value(node, annotation)

    def _named(self, node: Node, reference: Reference) -> Any:
        name = self._scalar(node, str)
        known = self._names.get(reference)
        if name is FAILED or known is None or name in known:
            return name
        found = f'the unknown {reference.what} "{name}"'
        return self.fail(node.where, found, reference.home, self.nearest(name, known))

    def _quantity(self, node: Node, base: Any, unit: Unit) -> Any:
        expected = f"a {unit.name} such as {unit.example}"
        if base is Bound:
            expected = f'a bound such as ">= {unit.example}" or "<= {unit.example}"'
        if base is LatencyLimit:
            expected = f'a bound such as "<= {unit.example}" or "{RELATIVE_FORMS[0]}"'
        if not isinstance(node, Scalar):
            return self.fail(node.where, describe(node), expected)
        try:
            if base is LatencyLimit:
                return parse_latency_bound(node.text)
            if base is Bound:
                return parse_bound(node.text, unit)
            return parse_quantity(node.text, unit)
        except ValueError as error:
            return self.fail(node.where, describe(node), str(error))

    def _optional(self, node: Node, members: tuple[Any, ...]) -> Any:
        inner = [member for member in members if member is not type(None)]
        if len(inner) < len(members) and isinstance(node, Scalar) and node.text.lower() in NONE_WORDS:
            return None
        if len(inner) == 1:
            return self.value(node, inner[0])
        attempts: list[Decoder] = []
        for member in inner:
            trial = Decoder(self._hooks, self._names)
            result = trial.value(node, member)
            if not trial.problems:
                return result
            attempts.append(trial)
        expected = " or ".join(expected_of(member) for member in inner)
        return self.fail(node.where, describe(node), expected)

    def _choice(self, node: Node, choices: tuple[str, ...]) -> Any:
        if isinstance(node, Scalar) and node.text in choices:
            return node.text
        hint = self.nearest(node.text, choices) if isinstance(node, Scalar) else ""
        return self.fail(node.where, describe(node), f"one of {', '.join(choices)}", hint)

    def _tuple(self, node: Node, item: Any) -> Any:
        if not isinstance(node, Sequence):
            return self.fail(node.where, describe(node), "a list")
        values = tuple(self.value(child, item) for child in node.items)
        if item in (int, str) or (isinstance(item_mark(item), Reference) and item_mark(item) is not ARGUMENT):
            self._each_once(node)
        return FAILED if any(value is FAILED for value in values) else values

    def _each_once(self, node: Sequence) -> None:
        seen: dict[str, Location] = {}
        for child in node.items:
            if not isinstance(child, Scalar):
                continue
            if child.text in seen:
                expected = f"each once (first at {seen[child.text].line}:{seen[child.text].column})"
                self.fail(child.where, f'"{child.text}" a second time', expected)
            seen.setdefault(child.text, child.where)

    def _dict(self, node: Node, key: Any, item: Any) -> Any:
        if not isinstance(node, Mapping):
            return self.fail(node.where, describe(node), "a mapping of names")
        values = {self.value(name, key): self.value(child, item) for name, child in node.items}
        return FAILED if FAILED in (*values, *values.values()) else values

    def _scalar(self, node: Node, cls: Any) -> Any:
        if isinstance(node, Scalar):
            if cls is str and node.kind != "null":
                return node.text
            if cls is bool and node.text.lower() in TRUE_WORDS + FALSE_WORDS:
                return node.text.lower() in TRUE_WORDS
            try:
                if cls is int and node.kind == "int":
                    return int(node.text.replace("_", ""), 0)
                if cls is float and node.kind in ("int", "float") and math.isfinite(float(node.text)):
                    return float(node.text)
            except ValueError:
                pass
        return self.fail(node.where, describe(node), expected_of(cls))


def item_mark(annotation: Any) -> Any:
    """What an annotated type is marked with; None when it is not."""
    return get_args(annotation)[1] if get_origin(annotation) is Annotated else None


def plain(node: Node) -> Any:
    """The JSON value that a node stands for: numbers, true, false and null as YAML reads them, else text."""
    if isinstance(node, Mapping):
        return {key.text: plain(child) for key, child in node.items}
    if isinstance(node, Sequence):
        return [plain(child) for child in node.items]
    if node.kind == "null":
        return None
    if node.kind == "bool" and node.text.lower() in ("true", "false"):
        return node.text.lower() == "true"
    try:
        if node.kind == "int":
            return int(node.text.replace("_", ""), 0)
        if node.kind == "float" and math.isfinite(float(node.text)):
            return float(node.text)
    except ValueError:
        pass  # 0o17, 1:30 and other spellings of numbers stay text
    return node.text


def blamed(node: Mapping, message: str) -> Location:
    """Where the value of the first key that the message names stands; the mapping when it names none."""
    values = (node.get(word) for word in re.findall(r"\w+", message))
    return next((value.where for value in values if value is not None), node.where)


def describe(node: Node) -> str:
    """What stands in the file, for the `found` half of a message."""
    if isinstance(node, Scalar):
        return f'"{node.text}"' if node.text else "nothing"
    return "a list" if isinstance(node, Sequence) else "a mapping"


def expected_of(annotation: Any) -> str:
    """What a field takes, for the `expected` half of a message."""
    origin = get_origin(annotation)
    if origin is Annotated:
        base, mark = get_args(annotation)[:2]
        if isinstance(mark, Reference):
            return mark.home
        if base in (Bound, LatencyLimit):
            return f'a bound such as "{">=" if base is Bound else "<="} {mark.example}"'
        return f"a {mark.name} such as {mark.example}"
    if origin in (Union, types.UnionType):
        return " or ".join("none" if m is type(None) else expected_of(m) for m in get_args(annotation))
    if origin is Literal:
        return f"one of {', '.join(get_args(annotation))}"
    if origin is tuple:
        return "a list"
    if origin is dict or is_dataclass(annotation):
        return "a mapping"
    names = {str: "text", bool: "on or off", int: "a whole number", float: "a number", Any: "a JSON value"}
    return names.get(annotation, "a value")
