"""The command line: the original's options, in its syntax, and a few of our own."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

PROGRAM = "python -m runtimes.toxiproxy"
_DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_UNIT_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_OCTAL = re.compile(r"\A([+-]?)0(?=[0-7_])")
TOKEN_VARIABLE = "TOXIPROXY_TOKEN"
LARGEST_SEED = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for."""

    host: str = "localhost"
    port: str = "8474"
    config: str = ""
    seed: int | None = None
    proxy_metrics: bool = False
    runtime_metrics: bool = False
    dial_timeout_s: float = 30.0
    half_close: bool = False
    pass_reset: bool = False
    print_version: bool = False
    token: str = field(default="", repr=False)
    """What every client must show; empty for none. It comes from the environment: others can read a command
    line."""


class UsageError(Exception):
    """The command line cannot be understood; the text says why."""


class HelpWanted(Exception):
    """-h or -help was given."""


def _integer(text: str) -> int:
    try:
        number = int(_OCTAL.sub(r"\g<1>0o", text), 0)
    except ValueError:
        raise ValueError("parse error") from None
    if not -LARGEST_SEED - 1 <= number <= LARGEST_SEED:
        raise ValueError("value out of range")
    return number


def _duration_s(text: str) -> float:
    parts = _DURATION_PART.findall(text)
    if text != "0" and (not parts or "".join(map("".join, parts)) != text):
        raise ValueError("want numbers with units, such as 10s or 1m30s")
    return sum(float(number) * _UNIT_S[unit] for number, unit in parts)


def _text(text: str) -> str:
    return text


@dataclass(frozen=True, slots=True)
class _Flag:
    field: str
    convert: Callable[[str], object] | None
    """None for a switch."""
    meaning: str


FLAGS = {
    "config": _Flag("config", _text, "JSON file containing proxies to create on startup"),
    "dial-timeout": _Flag(
        "dial_timeout_s",
        _duration_s,
        "give up dialling an upstream after this time; 0 waits for ever (default 30s)",
    ),
    "half-close": _Flag(
        "half_close", None, "pass a half-close through instead of closing the whole connection"
    ),
    "host": _Flag("host", _text, 'host for the API to listen on (default "localhost")'),
    "pass-reset": _Flag("pass_reset", None, "pass a connection reset through as a reset"),
    "port": _Flag("port", _text, 'port for the API to listen on (default "8474")'),
    "proxy-metrics": _Flag("proxy_metrics", None, "enable proxy metrics on /metrics"),
    "runtime-metrics": _Flag("runtime_metrics", None, "enable process metrics on /metrics"),
    "seed": _Flag(
        "seed", _integer, "seed of all random draws: the same one repeats them for each connection"
    ),
    "version": _Flag("print_version", None, "print the version"),
}
_TRUE = {"1", "t", "T", "true", "TRUE", "True"}
_FALSE = {"0", "f", "F", "false", "FALSE", "False"}


def usage() -> str:
    """The help text."""
    lines = [f"Usage of {PROGRAM}:"]
    for name, flag in FLAGS.items():
        kind = "" if flag.convert is None else " value"
        lines += [f"  -{name}{kind}", f"    \t{flag.meaning}"]
    lines += [
        f"The variable {TOKEN_VARIABLE} has a token that clients must show in the header x-access-token."
    ]
    return "\n".join(lines)


def parse(arguments: Sequence[str]) -> Options:
    """Options from ``-name value``, ``-name=value``, ``--name ...``. Raises UsageError or HelpWanted."""
    chosen: dict[str, Any] = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-":
            raise UsageError(f"unexpected argument: {word}")
        if word == "--" and not rest:
            break
        name, has_value, value = word.removeprefix("-").removeprefix("-").partition("=")
        if name in ("h", "help"):
            raise HelpWanted
        if not name or name.startswith("-"):
            raise UsageError(f"bad flag syntax: {word}")
        flag = FLAGS.get(name)
        if flag is None:
            raise UsageError(f"flag provided but not defined: -{name}")
        if flag.convert is None:
            if has_value and value not in _TRUE | _FALSE:
                raise UsageError(f'invalid boolean value "{value}" for -{name}: parse error')
            chosen[flag.field] = not has_value or value in _TRUE
            continue
        if not has_value:
            if not rest:
                raise UsageError(f"flag needs an argument: -{name}")
            value = rest.pop(0)
        try:
            chosen[flag.field] = flag.convert(value)
        except ValueError as error:
            raise UsageError(f'invalid value "{value}" for flag -{name}: {error}') from None
    return Options(**chosen, token=os.environ.get(TOKEN_VARIABLE, ""))
