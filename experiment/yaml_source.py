"""YAML text into nodes that know their line and column; the only file that imports `yaml`.

Refused here: text that is no YAML, more than one document, duplicate keys, aliases (they make YAML bombs and
hide copies) and files of unreasonable size.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import yaml

from experiment.errors import ConfigError, Location, Problem

MAX_BYTES = 1_000_000
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


Node = Scalar | Sequence | Mapping

_KINDS = {
    "tag:yaml.org,2002:int": "int",
    "tag:yaml.org,2002:float": "float",
    "tag:yaml.org,2002:bool": "bool",
    "tag:yaml.org,2002:null": "null",
}


def read_yaml(path: Path) -> Node:
    """The root node of the file. Raises ConfigError with the place of the first mistake."""
    where = Location(str(path))
    try:
        raw = path.read_bytes()
    except OSError as error:
        mend = "check the path; `harness.py list` shows what there is"
        raise ConfigError(
            [Problem(where, f"no readable file ({error.strerror})", "a YAML file", mend)]
        ) from None
    if len(raw) > MAX_BYTES:
        raise ConfigError([Problem(where, f"{len(raw)} bytes", f"at most {MAX_BYTES} bytes of YAML")])
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            [Problem(where, f"a byte that is no UTF-8 at offset {error.start}", "UTF-8 text")]
        ) from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, file: str) -> Node:
    """The root node of one YAML document; `file` is used in messages only."""
    try:
        _refuse_aliases(text, file)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Location(file, mark.line + 1, mark.column + 1) if mark else Location(file)
        raise ConfigError(
            [Problem(where, f"text that is no YAML ({error.problem})", "a YAML document")]
        ) from None
    except yaml.YAMLError as error:
        raise ConfigError(
            [Problem(Location(file), f"text that is no YAML ({error})", "a YAML document")]
        ) from None
    except RecursionError:
        raise ConfigError(
            [Problem(Location(file), "nesting without end", f"at most {MAX_DEPTH} levels")]
        ) from None
    if root is None:
        raise ConfigError([Problem(Location(file), "an empty file", "a YAML mapping")])
    problems: list[Problem] = []
    node = _convert(root, file, problems, 0)
    if problems:
        raise ConfigError(problems)
    return node


def _refuse_aliases(text: str, file: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        mark = cast(yaml.Mark, event.start_mark)
        if depth > MAX_DEPTH:
            where = Location(file, mark.line + 1, mark.column + 1)
            raise ConfigError([Problem(where, f"more than {MAX_DEPTH} levels of nesting", "a flat document")])
        if isinstance(event, yaml.AliasEvent):
            where = Location(file, mark.line + 1, mark.column + 1)
            mend = "write the value out: aliases can blow a file up without end"
            raise ConfigError([Problem(where, f"an alias (*{event.anchor})", "plain values", mend)])


def _convert(node: yaml.Node, file: str, problems: list[Problem], depth: int) -> Node:
    where = Location(file, node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, yaml.ScalarNode):
        return Scalar(where, node.value, _KINDS.get(node.tag, "str"))
    if isinstance(node, yaml.SequenceNode):
        return Sequence(where, tuple(_convert(item, file, problems, depth + 1) for item in node.value))
    assert isinstance(node, yaml.MappingNode)
    items: list[tuple[Scalar, Node]] = []
    seen: dict[str, Location] = {}
    for key_node, value_node in node.value:
        key = _convert(key_node, file, problems, depth + 1)
        if not isinstance(key, Scalar):
            problems.append(Problem(key.where, "a key that is a list or mapping", "a plain name"))
            continue
        if key.text in seen:
            expected = f"each key once (first at line {seen[key.text].line})"
            problems.append(Problem(key.where, f'the key "{key.text}" a second time', expected))
            continue
        seen[key.text] = key.where
        items.append((key, _convert(value_node, file, problems, depth + 1)))
    return Mapping(where, tuple(items))
