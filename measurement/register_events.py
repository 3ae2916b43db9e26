"""Reading register histories: JSON Lines of invocations and completions, one event a line.

    {"process": 0, "type": "invoke" | "ok" | "fail" | "info", "f": "read" | "write" | "cas",
     "key": "k", "value": 1 | [1, 2] | null}

`key` may be absent. A completed read's value is the one in its completion; a failed operation did not
happen; one that ended in `info`, or never ended, may take effect at any later time or never.
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
MOST_PROBLEMS = 20  # a file of another format would give one for every line


@dataclass(slots=True)
class _Pending:
    line: int
    function: str
    key: str | None
    value: Any


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.operations: list[RegisterOperation] = []
        self.pending: dict[int, _Pending] = {}

    def problem(self, line: int, found: str, expected: str, mend: str = "") -> None:
        self.problems.append(Problem(Location(self.file, line), found, expected, mend))

    def event(self, line: int, text: str) -> None:
        try:
            event = json.loads(text)
        except ValueError as error:
            self.problem(line, f"no JSON ({error})", "one JSON object a line")
            return
        if not isinstance(event, dict):
            self.problem(line, f"a {type(event).__name__}", "a JSON object")
            return
        process, kind, function = event.get("process"), event.get("type"), event.get("f")
        if not isinstance(process, int) or isinstance(process, bool):
            self.problem(line, f"process {json.dumps(process)}", "a whole number")
        elif kind not in TYPES:
            self.problem(line, f"type {json.dumps(kind)}", ", ".join(TYPES), nearest(str(kind), TYPES))
        elif function not in FUNCTIONS:
            mend = nearest(str(function), FUNCTIONS)
            self.problem(line, f"f {json.dumps(function)}", ", ".join(FUNCTIONS), mend)
        elif not isinstance(event.get("key"), str | int | None):
            self.problem(line, f"key {json.dumps(event['key'])}", "a string or a whole number")
        elif kind == "invoke":
            self.invoke(line, process, function, event)
        else:
            self.complete(line, process, kind, function, event)

    def invoke(self, line: int, process: int, function: str, event: dict[str, Any]) -> None:
        if process in self.pending:
            earlier = self.pending[process]
            self.problem(
                line,
                f"an invocation by process {process} within its {earlier.function} of line {earlier.line}",
                "its completion first",
                'an operation that never ended needs an event of type "info"',
            )
            return
        value = event.get("value")
        if function == "cas" and not self.is_pair(value):
            self.problem(line, f"cas value {json.dumps(value)}", "[expected, new], two plain values")
        elif function == "write" and ("value" not in event or not _is_plain(value)):
            self.problem(line, f"write value {json.dumps(value)}", "a plain JSON value")
        else:
            key = event.get("key")
            self.pending[process] = _Pending(line, function, None if key is None else str(key), value)

    @staticmethod
    def is_pair(value: Any) -> bool:
        return isinstance(value, list) and len(value) == 2 and all(_is_plain(part) for part in value)

    def complete(self, line: int, process: int, kind: str, function: str, event: dict[str, Any]) -> None:
        opened = self.pending.pop(process, None)
        if opened is None:
            self.problem(
                line, f'"{kind}" by process {process}, which has nothing open', "its invocation first"
            )
            return
        key = None if event.get("key") is None else str(event["key"])
        if function != opened.function or (key is not None and key != opened.key):
            found = f'"{kind}" of a {function}' + (f" on key {key}" if key else "")
            on = f" on key {opened.key}" if opened.key else ""
            self.problem(line, found, f"the {opened.function}{on} that line {opened.line} invoked")
        elif kind == "info":
            self.keep(process, opened, opened.value, None)
        elif kind == "ok" and function == "read":
            if "value" not in event or not _is_plain(event["value"]):
                found = f"read value {json.dumps(event.get('value'))}"
                self.problem(line, found, "the plain value that was read, or null for an empty register")
            else:
                self.keep(process, opened, event["value"], line)
        elif kind == "ok":
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


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def read_events(lines: Iterable[str], file: str = "history") -> list[RegisterOperation]:
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
        reader.keep(process, opened, opened.value, None)
    return reader.operations
