"""Broken files, made from valid ones: one mistake of a kind at every place where it can be made."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from experiment.yaml_source import Mapping, Node, Scalar, Sequence, parse_yaml

QUANTITY = re.compile(r"^(?:[<>]= ?)?[0-9.]+\s*(us|ms|s|min|h|/s|/min|%|B/s|KB/s|MB/s)$")
NUMBER = re.compile(r"^-?[0-9]+(\.[0-9]+)?$")


@dataclass(frozen=True)
class Broken:
    """A text with one mistake on the line `line` (0: where the name is used, not where it is missing).

    `found` is what a message has to quote, where the kind of mistake fixes it."""

    kind: str
    at: str  # keys and positions, as in expect.fault.0.p95
    text: str
    line: int
    found: str = ""


@dataclass(frozen=True)
class _Value:
    at: str
    node: Node
    key: Scalar | None


def values(node: Node, at: str = "", key: Scalar | None = None) -> Iterator[_Value]:
    """Every value of a document with its path."""
    if at:
        yield _Value(at, node, key)
    if isinstance(node, Mapping):
        for name, child in node.items:
            yield from values(child, f"{at}.{name.text}".lstrip("."), name)
    elif isinstance(node, Sequence):
        for number, child in enumerate(node.items):
            yield from values(child, f"{at}.{number}")


class _Text:
    """A file whose parts can be replaced by their places."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0]
        for line in text.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def offset(self, node: Node) -> int:
        return self._starts[node.where.line - 1] + node.where.column - 1

    def replaced(self, node: Scalar, by: str) -> str:
        """With another text in the place of a scalar, quotes included."""
        start = self.offset(node)
        length = len(node.text)
        if self.text[start] in "'\"":
            end = self.text.index(self.text[start], start + 1) + 1
        else:
            end = start + length
        return self.text[:start] + by + self.text[end:]


def broken_files(text: str) -> Iterator[Broken]:
    """Every mistake of every kind in one valid file."""
    root, file = parse_yaml(text, "valid.yaml"), _Text(text)
    for value in values(root):
        if value.key is not None:
            yield from _keys(file, value)
        if isinstance(value.node, Scalar) and "\n" not in value.node.text and _is_plain(file, value.node):
            yield from _scalars(file, value)
    yield from _whole(text)


def _is_plain(file: _Text, node: Scalar) -> bool:
    """Block scalars and texts over several lines stay as they are."""
    start = file.offset(node)
    return file.text.startswith(node.text, start) or file.text[start] in "'\""


def _keys(file: _Text, value: _Value) -> Iterator[Broken]:
    key = value.key
    assert key is not None
    line = key.where.line
    names = re.fullmatch(r"(services|journeys|mixes|designs)\.[^.]+", value.at)
    line = 0 if names else line
    odd = "" if names else f'"{key.text}x"'
    yield Broken("misspelt key", value.at, file.replaced(key, f"{key.text}x"), line, odd)
    yield Broken("key with an escape", value.at, file.replaced(key, '"\\e[2J"'), line, "U+001B")
    if isinstance(value.node, Scalar) and _is_plain(file, value.node):
        yield Broken("null", value.at, file.replaced(value.node, "null"), value.node.where.line)


def _scalars(file: _Text, value: _Value) -> Iterator[Broken]:
    node = value.node
    assert isinstance(node, Scalar)

    def made(kind: str, by: str, found: str = "") -> Broken:
        return Broken(kind, value.at, file.replaced(node, by), node.where.line, found)

    yield made("list for a value", "[[7]]", "list")
    yield made("mapping for a value", "{zz: {y: 7}}")
    yield made("alias", "*other", "*other")
    yield made("tag", "!!python/name:os.system x", "python/name:os.system")
    yield made("direction of writing", '"a\\u202eb"', "U+202E")
    if QUANTITY.match(node.text):
        sign = re.match(r"[<>]= ?", node.text)
        front, bare = (sign[0], node.text[sign.end() :]) if sign else ("", node.text)
        unit = bare.lstrip("0123456789. ")
        number = bare[: len(bare) - len(unit)].strip()
        yield made("no unit", f'"{front}{number}"', f"{front}{number}")
        yield made("unknown unit", f'"{front}{number}parsec"', f"{front}{number}parsec")
        yield made("negative", f'"{front}-{number}{unit}"', f"-{number}{unit}")
        yield made("not a number", f'"{front}nan{unit}"', f"nan{unit}")
        yield made("endless", f'"{front}1{"0" * 400}{unit}"', "1000")
        yield made("other words", f'"{front}soon"', "soon")
    elif NUMBER.match(node.text):
        yield made("words for a number", "some")
        yield made("not a number", ".nan", ".nan")
        yield made("infinite", ".inf", ".inf")
        yield made("below zero", "-1")
    elif node.kind == "str":
        yield made("unknown name", "no_such_thing")
        yield made("blank", '" "')


def _whole(text: str) -> Iterator[Broken]:
    """What is wrong with a file as a whole."""
    lines = text.splitlines(keepends=True)
    last = len(lines)
    yield Broken("a second document", "", text + "---\na: 1\n", last + 1, "another document")
    yield Broken("a tab", "", text + "\tx: 1\n", last + 1, "takes no tabs")
    yield Broken("a bell", "", text + "# \x07\n", last + 1, "U+0007")
    yield Broken("an open bracket", "", text + "zz: [1, 2\n", last + 2)
    yield Broken("an open quote", "", text + "zz: 'x\n", last + 2)
    yield Broken("deep", "", text + "zz: " + "[" * 100 + "]" * 100 + "\n", last + 1, "30 levels")
    yield Broken("much", "", text + "zz: [" + "1," * 60_000 + "]\n", last + 1, "50,000 keys and values")
    yield Broken("a large file", "", text + "#" * 300_000, 1, "250,000 bytes")
    for line in lines:
        if re.match(r"[A-Za-z_]+:", line):
            again = line.split(":")[0]
            found = f'the key "{again}" a second time'
            yield Broken("a key twice", again, text + f"{again}: x\n", last + 1, found)
            gone = re.sub(rf"(?ms)^{again}:.*?(?=^\S|\Z)", "", text)
            yield Broken("no key", again, gone, 0)
