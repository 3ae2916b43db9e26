"""Where an answer says what it says: `body.order.lines[0].price`, `header.etag`, `status`.

`?` at the end marks what may be missing; anything else that is not there makes the answer unreadable.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec

from experiment.errors import nearest

ROOTS = ("body", "header", "status")
_STEP = re.compile(r"\.([A-Za-z0-9_$@:-]+)|\[(-?[0-9]+)\]")
SHOWN_BYTES = 120


class Unreadable(Exception):
    """A success that does not say what it must: a fault of the system, not of who reads it."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What an answer said: version read or written, value or state, its own label, its labelled age in
    seconds. `kept` is what later steps of the visit may use, by name; no row has it."""

    version: int | None = None
    value: str | None = None
    label: str | None = None
    age: float | None = None
    kept: Mapping[str, Any] = field(default_factory=dict)


NOTHING = Answered()
_UNREAD = object()


class Reply:
    """A success as it came: its status, lower-case header names and the bytes of its body."""

    __slots__ = ("_body", "content", "headers", "status")

    def __init__(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.status = status
        self.headers = headers
        self.content = content
        self._body: Any = _UNREAD

    @property
    def body(self) -> Any:
        """The body as JSON values; None when it is empty. Raises Unreadable when it is not JSON."""
        if self._body is _UNREAD:
            try:
                self._body = msgspec.json.decode(self.content) if self.content else None
            except (msgspec.DecodeError, RecursionError) as error:
                raise self.unreadable(str(error)) from None
        return self._body

    def at(self, path: str) -> Any:
        """What stands at a path such as `body.lines[0].price`. Raises Unreadable when it is not there, and
        ValueError for what is not a path."""
        return place_of(path).read(self)

    def version(self, *paths: str) -> int:
        """The version at the first of the paths that says one. Raises Unreadable."""
        found = next((value for path in paths if (value := self.at(path)) is not None), None)
        try:
            return version_of(found)
        except (ValueError, TypeError) as error:
            raise self.unreadable(str(error)) from None

    def unreadable(self, why: str) -> Unreadable:
        """The error for what this answer does not say."""
        return Unreadable(f"{self.status} with {self.content[:SHOWN_BYTES]!r}: {why}")


@dataclass(frozen=True, slots=True)
class AnswerPlace:
    """A parsed path: keys and positions below one of ROOTS."""

    text: str
    root: str
    steps: tuple[str | int, ...]
    optional: bool

    def read(self, reply: Reply) -> Any:
        """The value. Raises Unreadable when it is missing and not optional."""
        if self.root == "status":
            return reply.status
        found: Any = reply.headers if self.root == "header" else reply.body
        for step in self.steps:
            try:
                found = found[step]
            except (LookupError, TypeError):
                if self.optional:
                    return None
                raise reply.unreadable(f"found no {self.text}") from None
        return found


@lru_cache(maxsize=1024)
def place_of(text: str) -> AnswerPlace:
    """Parse a path. Raises ValueError whose message says what was expected."""
    path = text.removesuffix("?")
    root = re.match(r"[A-Za-z_]*", path)
    name = root.group() if root is not None else ""
    expected = "expected a path such as body.order.lines[0].price, header.etag or status"
    if name not in ROOTS:
        raise ValueError(f'"{text}"; {expected}; {nearest(name, ROOTS)}')
    steps: list[str | int] = []
    rest = path[len(name) :]
    while rest:
        step = _STEP.match(rest)
        if step is None:
            raise ValueError(f'"{text}"; {expected}')
        steps.append(step.group(1) if step.group(2) is None else int(step.group(2)))
        rest = rest[step.end() :]
    if name == "header":
        if len(steps) != 1 or not isinstance(steps[0], str):
            raise ValueError(f'"{text}"; expected the name of one header, such as header.etag')
        steps = [steps[0].lower()]
    if name == "status" and steps:
        raise ValueError(f'"{text}"; expected status alone')
    return AnswerPlace(text, name, tuple(steps), text.endswith("?"))


def version_of(found: Any) -> int:
    """A version as a number, also from an entity tag such as W/"3". Raises ValueError and TypeError."""
    number = int(found.strip().removeprefix("W/").strip('"')) if isinstance(found, str) else found
    if isinstance(number, bool) or not isinstance(number, int) or abs(number) >= 2**63:
        raise TypeError(f"{found!r} is not a version")
    return number


def value_of(found: Any) -> str:
    """A value or state as text: text as it is, anything else as JSON."""
    return found if isinstance(found, str) else msgspec.json.encode(found).decode()


def reader(
    version: str | None,
    value: str | None,
    label: str | Mapping[int, str] | None,
    age: str | None,
    age_unit_s: float,
) -> Callable[[Reply], Answered]:
    """A function that reads an answer at these places; it raises Unreadable."""
    of_version = place_of(version) if version is not None else None
    of_value = place_of(value) if value is not None else None
    of_age = place_of(age) if age is not None else None
    of_label = place_of(label) if isinstance(label, str) else None
    labels = label if isinstance(label, Mapping) else {}

    def read(reply: Reply) -> Answered:
        raw_version = of_version.read(reply) if of_version is not None else None
        raw_value = of_value.read(reply) if of_value is not None else None
        raw_age = of_age.read(reply) if of_age is not None else None
        raw_label = of_label.read(reply) if of_label is not None else labels.get(reply.status)
        try:
            return Answered(
                None if raw_version is None else version_of(raw_version),
                None if raw_value is None else value_of(raw_value),
                None if raw_label is None else value_of(raw_label),
                None if raw_age is None else float(raw_age) * age_unit_s,
            )
        except (ValueError, TypeError) as error:
            raise reply.unreadable(str(error)) from None

    return read
