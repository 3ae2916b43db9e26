"""Reading register histories: JSON Lines of invocations and completions, one event a line.

    {"process": 0, "type": "invoke" | "ok" | "fail" | "info", "f": "read" | "write" | "cas",
     "key": "k", "value": 1 | [1, 2] | null}

`key` may be absent. A completed read's value is the one in its completion; a failed operation did not
happen; one that ended in `info`, or never ended, may take effect at any later time or never. Lines of the
process "nemesis", which Jepsen writes about its faults, are not operations on a register and are skipped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from experiment.errors import ConfigError, Location, Problem, nearest
from measurement.linearizability import Function, RegisterOperation

TYPES = ("invoke", "ok", "fail", "info")
FUNCTIONS = ("read", "write", "cas")
NEMESIS = ("nemesis", ":nemesis")
MOST_PROBLEMS = 20  # a file of another format would give one for every line


@dataclass(frozen=True, slots=True)
class Events:
    """What a file held: its operations without the failed ones, which are counted, as skipped lines are."""

    operations: tuple[RegisterOperation, ...]
    failed: int
    skipped: int

    @property
    def nothing(self) -> str:
        """Why there is nothing to judge; empty when there is something."""
        if self.operations or self.failed:
            return ""
        return "only lines of the nemesis" if self.skipped else "the file has no event"


@dataclass(slots=True)
class _Pending:
    line: int
    function: str
    key: str | None
    value: Any


class _Reader:
    """`pending` is None for a process of which a refused line leaves unknown what it has open."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.operations: list[RegisterOperation] = []
        self.pending: dict[int, _Pending | None] = {}
        self.failed = self.skipped = 0
        self.unread = False  # a line that was not JSON may have opened or closed anything

    def problem(self, line: int, found: str, expected: str, hint: str = "") -> None:
        self.problems.append(Problem(Location(self.file, line), found, expected, hint))

    def event(self, line: int, text: str) -> None:
        try:
            event = json.loads(text)
        except (ValueError, RecursionError) as error:
            self.problem(line, f"no JSON ({error})", "one JSON object a line")
            self.unread = True
            return
        if not isinstance(event, dict):
            self.problem(line, f"a {type(event).__name__}", "a JSON object")
            self.unread = True
            return
        process = event.get("process")
        if process in NEMESIS:
            self.skipped += 1
        elif not isinstance(process, int) or isinstance(process, bool):
            self.problem(line, _found("process", event, "process"), 'a whole number, or "nemesis"')
            self.unread = True
        else:
            before = len(self.problems)
            self.operation(line, process, event)
            if len(self.problems) > before:
                self.pending[process] = None

    def operation(self, line: int, process: int, event: dict[str, Any]) -> None:
        kind, function = event.get("type"), event.get("f")
        if kind not in TYPES:
            self.problem(line, _found("type", event, "type"), ", ".join(TYPES), nearest(str(kind), TYPES))
        elif function not in FUNCTIONS:
            hint = nearest(str(function), FUNCTIONS)
            self.problem(line, _found("f", event, "f"), ", ".join(FUNCTIONS), hint)
        elif not isinstance(event.get("key"), str | int | None):
            self.problem(line, _found("key", event, "key"), "a string or a whole number")
        elif kind == "invoke":
            self.invoke(line, process, function, event)
        else:
            self.complete(line, process, kind, function, event)

    def invoke(self, line: int, process: int, function: str, event: dict[str, Any]) -> None:
        earlier = self.pending.get(process)
        if earlier is not None and not self.unread:
            self.problem(
                line,
                f"an invocation by process {process} within its {earlier.function} of line {earlier.line}",
                "its completion first",
                'an operation that never ended needs an event of type "info"',
            )
            return
        value = event.get("value")
        if function == "cas" and not self.is_pair(value):
            self.problem(line, _found("cas value", event), "[expected, new], two plain values")
        elif function == "write" and ("value" not in event or not is_plain(value)):
            self.problem(line, _found("write value", event), "a plain JSON value")
        else:
            key = event.get("key")
            self.pending[process] = _Pending(line, function, None if key is None else str(key), value)

    @staticmethod
    def is_pair(value: Any) -> bool:
        return isinstance(value, list) and len(value) == 2 and all(is_plain(part) for part in value)

    def complete(self, line: int, process: int, kind: str, function: str, event: dict[str, Any]) -> None:
        known = process in self.pending or self.unread
        opened = self.pending.pop(process, None)
        if opened is None:
            if not known:
                found = f'"{kind}" by process {process}, which has nothing open'
                self.problem(line, found, "its invocation first")
            return
        key = None if event.get("key") is None else str(event["key"])
        if function != opened.function or (key is not None and key != opened.key):
            found = f'"{kind}" of a {function}' + (f" on key {key}" if key else "")
            on = f" on key {opened.key}" if opened.key else ""
            self.problem(line, found, f"the {opened.function}{on} that line {opened.line} invoked")
        elif kind == "fail":
            self.failed += 1
        elif kind == "info":
            self.keep(process, opened, opened.value, None)
        elif kind == "ok" and function == "read":
            if "value" not in event or not is_plain(event["value"]):
                found = _found("read value", event)
                self.problem(line, found, "the plain value that was read, or null for an empty register")
            else:
                self.keep(process, opened, event["value"], line)
        else:
            if event.get("value", opened.value) not in (opened.value, None):
                found = f"{function} value {json.dumps(event['value'])}"
                self.problem(line, found, f"{json.dumps(opened.value)} as invoked on line {opened.line}")
            else:
                self.keep(process, opened, opened.value, line)

    def keep(self, process: int, opened: _Pending, value: Any, completed: int | None) -> None:
        self.operations.append(
            RegisterOperation(
                process,
                cast(Function, opened.function),
                tuple(value) if isinstance(value, list) else value,
                opened.line,
                completed,
                opened.key,
                f"line {completed or opened.line}",
            )
        )


def is_plain(value: Any) -> bool:
    """Whether a register can hold it."""
    return value is None or isinstance(value, str | int | float | bool)


def _found(what: str, event: dict[str, Any], name: str = "value") -> str:
    return f"{what} {json.dumps(event[name])}" if name in event else f"no {what}"


def read_events(lines: Iterable[str], file: str = "history") -> Events:
    """The operations of a JSON Lines history; times are line numbers.

    Raises ConfigError with every mistake found (at most MOST_PROBLEMS), each with its line.
    """
    reader = _Reader(file)
    for line, text in enumerate(lines, 1):
        if text.strip():
            reader.event(line, text)
        if len(reader.problems) >= MOST_PROBLEMS:
            break
    if reader.problems:
        raise ConfigError(reader.problems)
    for process, opened in reader.pending.items():
        if opened is not None:
            reader.keep(process, opened, opened.value, None)
    return Events(tuple(reader.operations), reader.failed, reader.skipped)
