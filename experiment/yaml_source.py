"""YAML text into nodes that know their place, and plain values into text; the only file that imports `yaml`.

Refused here: text that is not YAML, more than one document, duplicate keys, aliases (they make YAML bombs and
hide copies), tags (they ask for types), endless nesting and files of unreasonable size. Files that others
wrote may have aliases and merge keys, as long as what they stand for is of a reasonable size, too. libyaml
parses where PyYAML has it, as all of its wheels do: 240 kB take a fifth of a second.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from experiment.errors import ConfigError, Location, Problem
from experiment.plain_text import hidden
from experiment.regular_files import TooLarge, read_regular

MAX_BYTES = 250_000
MAX_DEPTH = 30
MAX_VALUES = 50_000  # keys and values together
MERGE = "<<"


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
_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVER = yaml.resolver.Resolver()


class _Refused(Exception):
    """A well-formed construct that these files may not use."""

    def __init__(self, mark: Any, found: str, expected: str, hint: str = "") -> None:
        self.mark, self.found, self.expected, self.hint = mark, found, expected, hint
        super().__init__(found)


def read_yaml(path: Path, aliases: bool = False) -> Node:
    """The root node of the file; `aliases` and merge keys are replaced by what they stand for where they are
    allowed. Raises ConfigError with the place of the first mistake."""
    where = Location(str(path))
    try:
        raw = read_regular(path, MAX_BYTES)
    except TooLarge:
        found = f"more than {MAX_BYTES:,} bytes"
        raise ConfigError([Problem(where, found, f"at most {MAX_BYTES:,} bytes of YAML")]) from None
    except (OSError, ValueError) as error:
        hint = "check the path; `codeblue list` shows what there is"
        reason = getattr(error, "strerror", None) or error
        raise ConfigError([Problem(where, f"no readable file ({reason})", "a YAML file", hint)]) from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        found = f"the byte 0x{raw[error.start]:02x}, which is not UTF-8"
        raise ConfigError([Problem(Location(str(path), line, column), found, "UTF-8 text")]) from None
    return parse_yaml(text, str(path), aliases)


@lru_cache(maxsize=256)  # designs and suites are read again for every file that names them
def parse_yaml(text: str, file: str, aliases: bool = False) -> Node:
    """The root node of one YAML document; `file` is used in messages only."""
    _refuse_control_characters(text, file)
    text = _with_whole_characters(text)
    building = _Building(file, aliases)
    try:
        for event in _events(_without_stray_tabs(text)):
            building.take(event)
    except _Refused as refused:
        where = _location(refused.mark, file)
        raise ConfigError([Problem(where, refused.found, refused.expected, refused.hint)]) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        found = f"text that is not YAML ({error.problem})"
        hint = ""
        if mark and text[mark.index : mark.index + 1] == "\t":
            hint = "indent with spaces: YAML takes no tabs"
        if half := _half_a_character(text, mark):
            found, hint = (
                f"{half}, which is half a character",
                "write the character itself, or as \\U0001F600",
            )
        raise ConfigError([Problem(_location(mark, file), found, "a YAML document", hint)]) from None
    except yaml.YAMLError as error:  # without a place
        problem = Problem(Location(file), f"text that is not YAML ({error})", "a YAML document")
        raise ConfigError([problem]) from None
    if building.root is None:
        raise ConfigError([Problem(Location(file), "an empty file", "a YAML mapping")])
    if building.problems:
        raise ConfigError(building.problems)
    return building.root


def _refuse_control_characters(text: str, file: str) -> None:
    """What a terminal obeys or a reader does not see is no part of a file, also where YAML allows it."""
    found = hidden(text)
    if found:
        at = text.index(chr(int(found[2:], 16)))
        where = Location(file, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
        raise ConfigError([Problem(where, f"the character {found}", "text without control characters")])


# Of JSON: a character beyond the first 65,536, as two halves. After an even number of backslashes it is one.
_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)
_HALF = re.compile(r"\\?u?(d[89a-f][0-9a-f]{2})", re.IGNORECASE)


def _with_whole_characters(text: str) -> str:
    """JSON is YAML, but writes a character such as an emoji as two escapes, which YAML has as one. Where the
    text is JSON they are put together: every escape of it stands within quotes."""
    if "\\ud" not in text.lower():
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return _PAIR.sub(_whole, text)


def _whole(found: re.Match[str]) -> str:
    high, low = int(found[2], 16) - 0xD800, int(found[3], 16) - 0xDC00
    return f"{found[1]}\\U{0x10000 + high * 0x400 + low:08x}"


def _half_a_character(text: str, mark: Any) -> str:
    """The escape at the place of a mistake, where it is half of a pair."""
    found = _HALF.match(text, max(0, mark.index - 1)) or _HALF.match(text, mark.index) if mark else None
    return f"the escape \\u{found[1]}" if found else ""


def _without_stray_tabs(text: str) -> str:
    """Tabs that YAML allows and its parsers do not: in lines that hold nothing else but a comment, and at the
    end of a line. They become blanks, so that places stay, but only outside of texts, whose tabs count:
    where the parser stops at one."""
    if "\t" not in text:
        return text
    for _ in range(MOST_STRAY_TABS):
        try:
            for _event in _events(text):
                pass
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            found = _STRAY.match(text, mark.index) if mark else None
            if mark is None or found is None:
                return text
            text = text[: mark.index] + found[0].replace("\t", " ") + text[found.end() :]
        except yaml.YAMLError:
            return text
        else:
            return text
    return text


MOST_STRAY_TABS = 50  # each needs another look at the whole text
_STRAY = re.compile(r"\t[ \t]*(?:\r?\n[ \t]*)*(?=\r?\n|#|\Z)")  # with the empty lines after it


def _events(text: str) -> Iterator[Any]:
    loader = _PARSER(text)
    try:
        while loader.check_event():
            yield loader.get_event()
    finally:
        loader.dispose()


@lru_cache(maxsize=8_192)
def _kind_of(text: str, implicit: tuple[bool, bool]) -> str:
    """The core type of a scalar; the same words come again and again."""
    tag = _RESOLVER.resolve(yaml.ScalarNode, text, implicit)  # type: ignore[no-untyped-call]  # of PyYAML
    return _KINDS.get(tag, "str")


def _location(mark: Any, file: str) -> Location:
    return Location(file, mark.line + 1, mark.column + 1) if mark else Location(file)


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not been read."""

    where: Location
    is_mapping: bool
    children: list[Node]
    anchor: str | None
    values_before: int


class _Building:
    """Nodes out of the parser's events. `root` is None as long as there is none."""

    def __init__(self, file: str, aliases: bool) -> None:
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self._file = file
        self._aliases = aliases
        self._anchored: dict[str, tuple[Node, int]] = {}  # with the number of values in it
        self._open: list[_Open] = []
        self._documents = 0
        self._values = 0

    def take(self, event: Any) -> None:
        """One event. Raises _Refused."""
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                found = "text that is not YAML (but found another document)"
                raise _Refused(event.start_mark, found, "a YAML document")
        elif isinstance(event, yaml.CollectionEndEvent):
            ended = self._open.pop()
            self._add(self._closed(ended), ended.anchor, ended.values_before)
        elif isinstance(event, yaml.NodeEvent):
            self._node(event)

    def _node(self, event: Any) -> None:
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            self._alias(event)
            return
        if event.tag is not None:
            raise _Refused(mark, f"a tag ({event.tag})", "plain values without tags")
        before = self._values
        self._count(1, mark)
        if len(self._open) >= MAX_DEPTH:
            raise _Refused(mark, f"more than {MAX_DEPTH} levels of nesting", "a flat document")
        where = _location(mark, self._file)
        if isinstance(event, yaml.ScalarEvent):
            self._add(self._scalar(where, event), event.anchor, before)
        else:
            mapping = isinstance(event, yaml.MappingStartEvent)
            self._open.append(_Open(where, mapping, [], event.anchor, before))

    def _alias(self, event: Any) -> None:
        found = f"an alias (*{event.anchor})"
        if not self._aliases:
            hint = "write the value out: aliases can blow a file up without end"
            raise _Refused(event.start_mark, found, "plain values", hint)
        if event.anchor not in self._anchored:
            raise _Refused(event.start_mark, found, "one of a value that ends before it")
        node, size = self._anchored[event.anchor]
        self._count(size, event.start_mark)
        self._add(node, None, self._values)

    def _count(self, more: int, mark: Any) -> None:
        self._values += more
        if self._values > MAX_VALUES:
            raise _Refused(mark, f"more than {MAX_VALUES:,} keys and values", "a shorter document")

    def _scalar(self, where: Location, event: Any) -> Scalar:
        odd = hidden(event.value)  # written as an escape
        if odd:
            self.problems.append(Problem(where, f"the character {odd}", "text without control characters"))
        return Scalar(where, event.value, _kind_of(event.value, event.implicit))

    def _add(self, node: Node, anchor: str | None, values_before: int) -> None:
        if anchor is not None:
            self._anchored[anchor] = (node, self._values - values_before)
        if self._open:
            self._open[-1].children.append(node)
        else:
            self.root = node

    def _closed(self, ended: _Open) -> Node:
        if not ended.is_mapping:
            return Sequence(ended.where, tuple(ended.children))
        items: list[tuple[Scalar, Node]] = []
        merged: list[tuple[Scalar, Node]] = []
        seen: dict[str, Location] = {}
        for key, value in zip(ended.children[::2], ended.children[1::2], strict=True):
            if not isinstance(key, Scalar):
                self.problems.append(Problem(key.where, "a key that is a list or mapping", "a plain name"))
            elif key.text in seen:
                expected = f"each key once (first at line {seen[key.text].line})"
                self.problems.append(Problem(key.where, f'the key "{key.text}" a second time', expected))
            else:
                seen[key.text] = key.where
                if self._aliases and key.text == MERGE:
                    merged += self._merged(value)
                else:
                    items.append((key, value))
        for key, value in merged:  # the first that gives a key goes before, and the mapping's own before all
            if key.text not in seen:
                seen[key.text] = key.where
                items.append((key, value))
        return Mapping(ended.where, tuple(items))

    def _merged(self, value: Node) -> list[tuple[Scalar, Node]]:
        """What a merge key adds: the keys of a mapping, or of several."""
        parts = value.items if isinstance(value, Sequence) else (value,)
        items: list[tuple[Scalar, Node]] = []
        for part in parts:
            if isinstance(part, Mapping):
                items += part.items
            else:
                found = "a merge key with another value"
                self.problems.append(Problem(part.where, found, "a mapping, or a list of mappings"))
        return items


class _Written(yaml.SafeDumper):
    """Repeats what stands twice instead of writing an alias, which this project's own reader refuses."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _as_it_reads(writer: _Written, text: str) -> yaml.ScalarNode:
    """Text of several lines stands as such."""
    style = "|" if "\n" in text else None
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Written.add_representer(str, _as_it_reads)


def yaml_text(documents: Iterable[Any]) -> str:
    """Plain values as YAML, one document each, in the order of their keys."""
    return yaml.dump_all(documents, Dumper=_Written, sort_keys=False, explicit_start=True, width=110)
