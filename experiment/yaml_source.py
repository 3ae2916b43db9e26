"""YAML text into nodes that know their line and column; the only file that imports `yaml`.

Refused here: text that is not YAML, more than one document, duplicate keys, aliases (they make YAML bombs and
hide copies), tags (they ask for types), endless nesting and files of unreasonable size.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from experiment.errors import ConfigError, Location, Problem

MAX_BYTES = 250_000
MAX_DEPTH = 30


@dataclass(frozen=True, slots=True)
class Scalar:
    """Text as it stands in the file; `kind` is the YAML core type: str, int, float, bool or null."""

    where: Location
    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Sequence:
    where: Location
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    where: Location
    items: tuple[tuple[Scalar, Node], ...]

    def get(self, key: str) -> Node | None:
        return next((value for name, value in self.items if name.text == key), None)

    def key(self, text: str) -> Scalar | None:
        """The key itself, for its place."""
        return next((name for name, _ in self.items if name.text == text), None)


Node = Scalar | Sequence | Mapping


def place(node: Node, *path: str | int) -> Location:
    """Where the value at the path (keys and list positions) stands; where the path breaks off, the last part
    that is there."""
    current = node
    for step in path:
        child: Node | None = None
        if isinstance(current, Mapping) and isinstance(step, str):
            child = current.get(step)
        elif isinstance(current, Sequence) and isinstance(step, int) and step < len(current.items):
            child = current.items[step]
        if child is None:
            break
        current = child
    return current.where


def key_place(node: Node, *path: str | int) -> Location:
    """Where the key at the end of the path stands; the value's place when it is not a key."""
    *parents, last = path
    current: Node | None = node
    for step in parents:
        if isinstance(current, Mapping) and isinstance(step, str):
            current = current.get(step)
        elif isinstance(current, Sequence) and isinstance(step, int) and step < len(current.items):
            current = current.items[step]
        else:
            break
    key = current.key(last) if isinstance(current, Mapping) and isinstance(last, str) else None
    return key.where if key is not None else place(node, *path)


_KINDS = {
    "tag:yaml.org,2002:int": "int",
    "tag:yaml.org,2002:float": "float",
    "tag:yaml.org,2002:bool": "bool",
    "tag:yaml.org,2002:null": "null",
}


class _Refused(Exception):
    """A well-formed construct that these files may not use."""

    def __init__(self, mark: Any, found: str, expected: str, hint: str = "") -> None:
        self.mark, self.found, self.expected, self.hint = mark, found, expected, hint
        super().__init__(found)


class _PlainLoader(yaml.SafeLoader):
    """Composes plain values only, and stops at the first construct that is refused."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            hint = "write the value out: aliases can blow a file up without end"
            raise _Refused(event.start_mark, f"an alias (*{event.anchor})", "plain values", hint)
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise _Refused(event.start_mark, f"a tag ({tag})", "plain values without tags")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _Refused(event.start_mark, f"more than {MAX_DEPTH} levels of nesting", "a flat document")
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


def read_yaml(path: Path) -> Node:
    """The root node of the file. Raises ConfigError with the place of the first mistake."""
    where = Location(str(path))
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        hint = "check the path; `codeblue list` shows what there is"
        raise ConfigError(
            [Problem(where, f"no readable file ({error.strerror})", "a YAML file", hint)]
        ) from None
    if len(raw) > MAX_BYTES:
        found = f"more than {MAX_BYTES:,} bytes"
        raise ConfigError([Problem(where, found, f"at most {MAX_BYTES:,} bytes of YAML")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        found = f"the byte 0x{raw[error.start]:02x}, which is not UTF-8"
        raise ConfigError([Problem(Location(str(path), line, column), found, "UTF-8 text")]) from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, file: str) -> Node:
    """The root node of one YAML document; `file` is used in messages only."""
    try:
        root = yaml.compose(text, Loader=_PlainLoader)
    except _Refused as refused:
        where = _location(refused.mark, file)
        raise ConfigError([Problem(where, refused.found, refused.expected, refused.hint)]) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = Problem(
            _location(mark, file), f"text that is not YAML ({error.problem})", "a YAML document"
        )
        raise ConfigError([problem]) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        where = Location(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
        found = f"the character U+{ord(text[error.position]):04X}"
        raise ConfigError([Problem(where, found, "text without control characters")]) from None
    if root is None:
        raise ConfigError([Problem(Location(file), "an empty file", "a YAML mapping")])
    problems: list[Problem] = []
    node = _convert(root, file, problems)
    if problems:
        raise ConfigError(problems)
    return node


def _location(mark: Any, file: str) -> Location:
    return Location(file, mark.line + 1, mark.column + 1) if mark else Location(file)


def _convert(node: yaml.Node, file: str, problems: list[Problem]) -> Node:
    where = Location(file, node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, yaml.ScalarNode):
        control = next((c for c in node.value if ord(c) < 32 and c not in "\n\t"), None)
        if control is not None:
            found = f"the character U+{ord(control):04X}"
            problems.append(Problem(where, found, "text without control characters"))
        return Scalar(where, node.value, _KINDS.get(node.tag, "str"))
    if isinstance(node, yaml.SequenceNode):
        return Sequence(where, tuple(_convert(item, file, problems) for item in node.value))
    assert isinstance(node, yaml.MappingNode)
    items: list[tuple[Scalar, Node]] = []
    seen: dict[str, Location] = {}
    for key_node, value_node in node.value:
        key = _convert(key_node, file, problems)
        if not isinstance(key, Scalar):
            problems.append(Problem(key.where, "a key that is a list or mapping", "a plain name"))
            continue
        if key.text in seen:
            expected = f"each key once (first at line {seen[key.text].line})"
            problems.append(Problem(key.where, f'the key "{key.text}" a second time', expected))
            continue
        seen[key.text] = key.where
        items.append((key, _convert(value_node, file, problems)))
    return Mapping(where, tuple(items))
