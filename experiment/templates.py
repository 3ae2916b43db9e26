"""Texts and JSON with placeholders, made once and filled for each operation: `/orders/{key}`, `{amount}`.

`{{` and `}}` stand for the braces themselves. A text that is one placeholder and nothing else keeps the JSON
type of its value; inside other text a value is written as JSON writes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

# Of every operation: its business key and the key's two parts, its number, the run's day, the version that
# the visit last saw of the key.
FIXED = ("key", "token", "visit", "operation", "day", "version")
_MARK = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_UNRESERVED = re.compile(r"[A-Za-z0-9_.~-]*")
_encode = msgspec.json.encode

Values = Mapping[str, Any]
Fill = Callable[[Values], str]
FillBytes = Callable[[Values], bytes]


class Unfilled(LookupError):
    """A placeholder for which an operation has no value; the argument is its name."""


def placeholders(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every placeholder inside a text or JSON value, with where it stands. Raises ValueError, as `pieces`."""
    if isinstance(value, str):
        yield from ((path, name) for literal, name in pieces(value) if not literal)
    elif isinstance(value, dict):
        for key, child in value.items():
            yield from placeholders(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from placeholders(child, (*path, index))


def pieces(text: str) -> list[tuple[bool, str]]:
    """(True, literal text) and (False, placeholder) in turn. Raises ValueError for a brace that stands
    alone."""
    found: list[tuple[bool, str]] = []
    literal, end = "", 0
    for match in _MARK.finditer(text):
        literal += text[end : match.start()]
        end = match.end()
        mark = match.group()
        if mark in ("{{", "}}"):
            literal += mark[0]
        elif match.group(1) is None:
            raise ValueError(
                f'the text "{text}" with a single {mark}; expected {{name}}, or {mark * 2} for {mark}'
            )
        else:
            if literal:
                found.append((True, literal))
            literal = ""
            found.append((False, match.group(1).strip()))
    if literal + text[end:]:
        found.append((True, literal + text[end:]))
    return found


def text_of(value: Any) -> str:
    """A value inside a text: text as it is, nothing for none, else its JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else _encode(value).decode()


def escaped(value: Any) -> str:
    """A value inside a path or a form."""
    text = text_of(value)
    return text if _UNRESERVED.fullmatch(text) else quote(text, safe="")


def filler(text: str, written: Callable[[Any], str] = text_of) -> Fill:
    """A function that fills the text; it raises Unfilled."""
    parts = pieces(text)
    if all(literal for literal, _ in parts):
        whole = "".join(piece for _, piece in parts)
        return lambda _values: whole

    def fill(values: Values) -> str:
        try:
            return "".join([piece if literal else written(values[piece]) for literal, piece in parts])
        except KeyError as error:
            raise Unfilled(error.args[0]) from None

    return fill


def json_filler(template: Any) -> FillBytes:
    """A function that gives the JSON of the template, filled. All that does not change is encoded once."""
    parts: list[bytes | FillBytes] = []
    for part in _json_parts(template):
        if isinstance(part, bytes) and parts and isinstance(parts[-1], bytes):
            parts[-1] += part
        else:
            parts.append(part)
    return lambda values: b"".join([part if isinstance(part, bytes) else part(values) for part in parts])


def _json_parts(template: Any) -> Iterator[bytes | FillBytes]:
    if isinstance(template, Mapping):
        for number, (key, child) in enumerate(template.items()):
            yield (b"," if number else b"{") + _encode(key) + b":"
            yield from _json_parts(child)
        yield b"}" if template else b"{}"
    elif isinstance(template, list):
        yield b"["
        for number, child in enumerate(template):
            if number:
                yield b","
            yield from _json_parts(child)
        yield b"]"
    elif (
        isinstance(template, str) and (parts := pieces(template)) and not all(literal for literal, _ in parts)
    ):
        yield _lone(parts[0][1]) if len(parts) == 1 else _inside(filler(template))
    elif isinstance(template, str):
        yield _encode(filler(template)({}))
    else:
        yield _encode(template)


def _lone(name: str) -> FillBytes:
    def fill(values: Values) -> bytes:
        try:
            return _encode(values[name])
        except KeyError:
            raise Unfilled(name) from None

    return fill


def _inside(fill: Fill) -> FillBytes:
    return lambda values: _encode(fill(values))
