"""Reads one JSON value from the start of a body, with the error texts that the API's clients know.

As in Go, what follows the first value is ignored; objects keep their keys in order, as written; numbers keep
their literal. There is no recursion: a body of a million brackets is an error and not a crash.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

DEEPEST = 10_000
_SPACE = re.compile(r"[ \t\r\n]*")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_INVALID_BYTE = re.compile(r"[\udc80-\udcff]")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_HEX = "0123456789abcdefABCDEF"
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_LITERALS = {"true": True, "false": False, "null": None}


class JsonSyntaxError(ValueError):
    """The body is not JSON; the text is the reason, ``at`` the number of characters before the mistake."""

    at = 0


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was written."""

    literal: str


@dataclass(frozen=True, slots=True)
class Object:
    """An object: its members in the order of the text, repeated keys included."""

    members: list[tuple[str, JsonValue]]


JsonValue = Object | list["JsonValue"] | Number | str | bool | None


def read(body: bytes) -> JsonValue:
    """The first value of ``body``. Raises JsonSyntaxError."""
    reader = _Reader(body.decode("utf-8", "surrogateescape"))
    try:
        return reader.read()
    except JsonSyntaxError as error:
        error.at = reader.at
        raise


class _Open:
    """An object or array whose end was not read yet."""

    __slots__ = ("items", "key", "members")

    def __init__(self, *, is_object: bool) -> None:
        self.members: list[tuple[str, JsonValue]] | None = [] if is_object else None
        self.items: list[JsonValue] = []
        self.key = ""


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def read(self) -> JsonValue:
        self._skip_space()
        if self.at >= len(self.text):
            raise JsonSyntaxError("EOF")
        stack: list[_Open] = []
        while True:
            value: JsonValue
            char = self._peek()
            if char in "{[":
                self.at += 1
                if len(stack) >= DEEPEST:
                    raise JsonSyntaxError("exceeded max depth")
                opened = _Open(is_object=char == "{")
                if not self._closes(opened):
                    stack.append(opened)
                    continue
                value = Object([]) if char == "{" else []
            else:
                value = self._scalar(char)
            while True:
                if not stack:
                    return value
                top = stack[-1]
                self._add(top, value)
                if not self._ends(top):
                    break
                stack.pop()
                value = top.items if top.members is None else Object(top.members)

    def _add(self, top: _Open, value: JsonValue) -> None:
        if top.members is None:
            top.items.append(value)
        else:
            top.members.append((top.key, value))

    def _closes(self, opened: _Open) -> bool:
        """After an opening bracket: True when the value is empty, else the first key is read."""
        self._skip_space()
        char = self._peek()
        if char == ("]" if opened.members is None else "}"):
            self.at += 1
            return True
        if opened.members is not None:
            opened.key = self._key(char)
        return False

    def _ends(self, top: _Open) -> bool:
        """After a member: True at the closing bracket, else the next key is read."""
        self._skip_space()
        char = self._peek()
        if char == ("]" if top.members is None else "}"):
            self.at += 1
            return True
        if char != ",":
            where = "array element" if top.members is None else "object key:value pair"
            raise self._invalid(char, f"after {where}")
        self.at += 1
        self._skip_space()
        if top.members is not None:
            top.key = self._key(self._peek())
        return False

    def _key(self, char: str) -> str:
        if char != '"':
            raise self._invalid(char, "looking for beginning of object key string")
        key = self._string()
        self._skip_space()
        char = self._peek()
        if char != ":":
            raise self._invalid(char, "after object key")
        self.at += 1
        self._skip_space()
        return key

    def _scalar(self, char: str) -> JsonValue:
        if char == '"':
            return self._string()
        if char in "-0123456789":
            return self._number()
        for literal, value in _LITERALS.items():
            if char == literal[0]:
                for offset, expected in enumerate(literal):
                    self.at += offset > 0
                    found = self._peek()
                    if found != expected:
                        raise self._invalid(found, f"in literal {literal} (expecting {_quoted(expected)})")
                self.at += 1
                return value
        raise self._invalid(char, "looking for beginning of value")

    def _number(self) -> Number:
        match = _NUMBER.match(self.text, self.at)
        literal = match.group() if match else self.text[self.at]
        self.at += len(literal)
        following = self.text[self.at : self.at + 1]
        if not match:
            raise self._invalid(self._peek(), "in numeric literal")
        if following == "." and "." not in literal and "e" not in literal.lower():
            self.at += 1
            raise self._invalid(self._peek(), "after decimal point in numeric literal")
        if following and following in "eE" and "e" not in literal.lower():
            self.at += 1
            if self._peek() in "+-":
                self.at += 1
            raise self._invalid(self._peek(), "in exponent of numeric literal")
        return Number(literal)

    def _string(self) -> str:
        self.at += 1
        parts: list[str] = []
        while True:
            match = _PLAIN.match(self.text, self.at)
            assert match is not None
            parts.append(_INVALID_BYTE.sub("\ufffd", match.group()))
            self.at = match.end()
            char = self._peek()
            if char == '"':
                self.at += 1
                text = "".join(parts)
                if any("\ud800" <= c <= "\udfff" for c in text):
                    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
                return text
            if char != "\\":
                raise self._invalid(char, "in string literal")
            self.at += 1
            escape = self._peek()
            if escape in _ESCAPES:
                self.at += 1
                parts.append(_ESCAPES[escape])
            elif escape == "u":
                self.at += 1
                for offset in range(4):
                    digit = self._peek(offset)
                    if digit not in _HEX:
                        raise self._invalid(digit, "in \\u hexadecimal character escape")
                parts.append(chr(int(self.text[self.at : self.at + 4], 16)))
                self.at += 4
            else:
                raise self._invalid(escape, "in string escape code")

    def _skip_space(self) -> None:
        match = _SPACE.match(self.text, self.at)
        assert match is not None
        self.at = match.end()

    def _peek(self, offset: int = 0) -> str:
        if self.at + offset >= len(self.text):
            raise JsonSyntaxError("unexpected EOF")
        return self.text[self.at + offset]

    def _invalid(self, char: str, context: str) -> JsonSyntaxError:
        # The original names the byte, not the character.
        first_byte = chr(char.encode("utf-8", "surrogateescape")[0])
        return JsonSyntaxError(f"invalid character {_quoted(first_byte)} {context}")


def _quoted(char: str) -> str:
    if char == "'":
        return "'\\''"
    named = {
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\\": "\\\\",
        "\b": "\\b",
        "\f": "\\f",
        "\a": "\\a",
        "\v": "\\v",
    }
    if char in named:
        return f"'{named[char]}'"
    if char.isprintable():
        return f"'{char}'"
    code = ord(char)
    return f"'\\x{code:02x}'" if code < 0x80 else f"'\\u{code:04x}'"
