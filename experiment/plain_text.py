"""The one door for text that others wrote: answers and logs of services, values in files, words of errors.

Whatever is shown to a person, a terminal, a browser or a pipeline has passed it. Behind the door a text holds
no character that a terminal obeys, that turns the direction of writing or that XML forbids, no command that a
pipeline reads from a log, and no more characters than a person reads. Formats escape their own marks.

What a run keeps as evidence (history, records, logs) is kept as it came.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, TypeVar, cast

T = TypeVar("T")

MOST = 2_000  # characters of one text
MOST_LINES = 200  # of a text of several lines, such as an error with the log of a service
SHOWN = "\ufffd"  # stands for a character that is not shown
# Control characters but tab and line feed, marks of direction, line separators, what XML forbids, and
# characters that nobody sees (soft hyphens, tags).
_HIDDEN = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    r"\ud800-\udfff\ufeff\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e0fff"
)
_CONTROL = re.compile(f"[{_HIDDEN}]")
# `##[error]`, `##vso[...]`, `##teamcity[...]` act anywhere in a line, `::stop-commands::x` at its begin.
_MARK = re.compile(r"##(?=[A-Za-z]*\[)")
_COMMAND = re.compile(r"^(\s*):(?=:[^\n]*::)", re.MULTILINE)


class Ours(str):
    """Text with escapes or commands of our own, put together from parts that have passed the door."""

    __slots__ = ()


def clean(text: str) -> str:
    """The text without anything that acts. Line feeds and tabs stay, hidden characters become U+FFFD."""
    harmless = _CONTROL.sub(SHOWN, text.replace("\r\n", "\n"))
    if "##" in harmless:
        harmless = _MARK.sub("# #", harmless)
    return _COMMAND.sub(r"\1: ", harmless) if "::" in harmless else harmless


def _harmless(text: str) -> bool:
    """Most texts are: nothing in them needs a closer look."""
    return text.isascii() and text.isprintable() and "##" not in text and "::" not in text


def hidden(text: str) -> str:
    """The first character that a file may not hold, as U+001B; empty: there is none."""
    if _harmless(text):
        return ""
    found = _CONTROL.search(text)
    return f"U+{ord(found[0]):04X}" if found else ""


# Spaces that are none to a parser, joiners and fillers: a reader takes the word for another one.
_UNSEEN = re.compile(
    r"[\u00a0\u034f\u115f\u1160\u1680\u17b4\u17b5\u2000-\u200a\u200c\u200d\u202f\u205f\u2800\u3000\u3164"
    r"\ufe00-\ufe0f\uffa0]"
)


def seen(text: str) -> str:
    """With the code points of characters that look like nothing, or like a blank: `pay<U+00A0>ment`."""
    return text if text.isascii() else _UNSEEN.sub(lambda one: f"<U+{ord(one[0]):04X}>", text)


def cut(text: str, most: int = MOST) -> str:
    """At most so many characters, and how many there were."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"


def line(value: object, most: int = MOST) -> str:
    """One line: clean, cut, without line feeds and tabs."""
    if isinstance(value, str) and len(value) <= most and _harmless(value):
        return str(value)
    return clean(cut(str(value), most).replace("\r\n", " ").replace("\n", " ").replace("\t", " "))


def block(text: str, lines: int = MOST_LINES, most: int = MOST) -> str:
    """Lines as they stand, each clean and cut; of too many, the first and the last ones."""
    found = text.split("\n")
    if len(found) > lines:
        half = lines // 2
        left_out = f"... {len(found) - 2 * half:,} lines are left out ..."
        found = [*found[:half], left_out, *found[-half:]]
    return clean("\n".join(cut(each, most) for each in found))


def json_text(text: str) -> str:
    """JSON that says the same, in which no character acts: what the door replaces is written as an escape."""
    harmless = _CONTROL.sub(lambda found: _escape(ord(found[0])), text)
    return _MARK.sub(r"#\\u0023", harmless)


def _escape(code: int) -> str:
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def csv_text(text: str) -> str:
    """One cell: no spreadsheet takes it for a formula."""
    flat = line(text)
    return f"'{flat}" if flat.startswith(("=", "+", "-", "@")) else flat


def plain(value: T) -> T:
    """The value with every text in it, at any depth, behind the door: dataclasses, mappings with their keys,
    sequences. What holds nothing that acts is returned itself."""
    return cast(T, _plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value if isinstance(value, Enum | Ours) else clean(cut(value))
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, tuple | list):
        found = [_plain(item) for item in value]
        same = all(new is old for new, old in zip(found, value, strict=True))
        return value if same else _like(value, found)
    if isinstance(value, Mapping):
        return _mapping(value)
    if is_dataclass(value) and not isinstance(value, type):
        return _record(value)
    return value


def _like(value: Any, found: list[Any]) -> Any:
    if isinstance(value, list):
        return found
    return type(value)(*found) if hasattr(value, "_fields") else tuple(found)


def _mapping(value: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Keys that are alike once they are cut get a number, so that no entry is lost."""
    found: dict[Any, Any] = {}
    for key, item in value.items():
        shown = name = _plain(key)
        while shown in found:
            shown = f"{name} ({len(found)})"
        found[shown] = _plain(item)
    return found


def _record(value: Any) -> Any:
    changed = {}
    for field in fields(value):
        old = getattr(value, field.name)
        new = _plain(old)
        if new is not old:
            changed[field.name] = new
    if not changed:
        return value
    made = copy.copy(
        value
    )  # not by its constructor: a name that was cut need not be one that a file may give
    for name, item in changed.items():
        object.__setattr__(made, name, item)
    return made


class Plain:
    """A document whose every text has passed the door: a report, whatever formats it will be rendered in."""

    __slots__ = ()

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            object.__setattr__(self, field.name, plain(getattr(self, field.name)))
