"""Variables in a compose file: `${NAME:-default}` and its relatives, `.env` beside it, files of variables."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from experiment.errors import ConfigError, Location, Problem
from experiment.regular_files import read_regular

MOST_BYTES = 250_000
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*(?:=\s*(.*))?")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def known_variables(folder: Path) -> dict[str, str]:
    """What a compose file in this folder is filled from: our environment, then `.env` beside the file."""
    beside = folder / ".env"
    return {**(read_variables(beside) if beside.is_file() else {}), **os.environ}


def filled_in(text: str, known: Mapping[str, str], where: Location) -> str:
    """The text with its variables replaced, as compose does it. Raises ConfigError for one that must be set,
    and for what is not a variable."""
    found, at = "", 0
    while (mark := text.find("$", at)) >= 0:
        found += text[at:mark]
        rest = text[mark + 1 :]
        if rest.startswith("$"):
            found, at = found + "$", mark + 2
        elif rest.startswith("{"):
            end = _closing(text, mark + 2)
            if end < 0:
                raise _refused(where, f'"{text}" with a "${{" that does not end', '"}"')
            found += _expanded(text[mark + 2 : end], known, where)
            at = end + 1
        elif name := _NAME.match(rest):
            found += known.get(name.group(), "")
            at = mark + 1 + name.end()
        else:
            raise _refused(where, f'"{text}" with a single $', "${NAME}, or $$ for the sign itself")
    return found + text[at:]


def _closing(text: str, start: int) -> int:
    """Where the brace ends that was opened before `start`; -1 when it does not."""
    depth = 1
    for at in range(start, len(text)):
        if text[at] == "{" and text[at - 1] == "$":
            depth += 1
        elif text[at] == "}":
            depth -= 1
            if not depth:
                return at
    return -1


def _expanded(inside: str, known: Mapping[str, str], where: Location) -> str:
    name = _NAME.match(inside)
    if name is None:
        raise _refused(where, f'the variable "${{{inside}}}"', "a name of letters, digits and _")
    value, rest = known.get(name.group()), inside[name.end() :]
    if rest.startswith(":"):
        value, rest = value or None, rest[1:]
    if not rest:
        return value or ""
    word = rest[1:]
    match rest[0]:
        case "-":
            return filled_in(word, known, where) if value is None else value
        case "+":
            return "" if value is None else filled_in(word, known, where)
        case "?":
            if value is None:
                hint = f"{name.group()}={word or '...'} in the environment, or in .env beside the file"
                raise _refused(where, f"the variable {name.group()}, which is not set", "its value", hint)
            return value
    raise _refused(where, f'the variable "${{{inside}}}"', "${NAME}, ${NAME:-default} or ${NAME:?message}")


def _refused(where: Location, found: str, expected: str, hint: str = "") -> ConfigError:
    return ConfigError([Problem(where, found, expected, hint)])


def read_variables(path: Path) -> dict[str, str]:
    """NAME=VALUE lines, as compose reads a file of variables: quotes, comments, `export`; a name alone takes
    our own value. Raises ConfigError."""
    try:
        lines = read_regular(path, MOST_BYTES).decode("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        found = f"no readable file of variables ({reason})"
        raise _refused(Location(str(path)), found, "NAME=VALUE lines") from None
    found_: dict[str, str] = {}
    for number, raw in enumerate(lines, 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        pair = _LINE.fullmatch(line)
        if pair is None:
            raise _refused(Location(str(path), number, 1), f'"{line}"', "NAME=VALUE")
        name, value = pair.groups()
        found_[name] = os.environ.get(name, "") if value is None else _unquoted(value)
    return found_


def _unquoted(value: str) -> str:
    if value[:1] == "'" and (end := value.find("'", 1)) > 0:
        return value[1:end]
    if value[:1] == '"':
        inner = re.match(r'"((?:[^"\\]|\\.)*)"', value)
        if inner:
            return re.sub(r"\\(.)", lambda one: _ESCAPES.get(one[1], one[1]), inner[1])
    return re.split(r"\s#", value, maxsplit=1)[0].strip()
