"""JSON lines for people and for the report: one object a line, to a file or to standard error. What is said
while a request is served, an event published or a batch of events handled, names its trace or traces."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import msgspec

from reference_system.common import tracing

MOST_A_SECOND = 100  # of one message
MOST_TRACES = 20  # that one line names

_encode = msgspec.json.Encoder(enc_hook=repr).encode


class Log:
    """Writes whole lines with one system call each, so that a kill never leaves half a line of two
    processes mixed."""

    def __init__(self, service: str, path: str | None) -> None:
        self._service = service
        self._fd = (
            os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644) if path else sys.stderr.fileno()
        )
        self._last: dict[str, float] = {}
        self._second = 0
        self._said: dict[str, int] = {}  # how often, in this second

    def write(self, level: str, message: str, **fields: Any) -> None:
        line = {"at": time.time(), "level": level, "service": self._service, "message": message, **fields}
        traces = tracing.causes()
        if len(traces) == 1:
            line["trace"] = traces[0]
        elif traces:
            line["traces"] = traces[:MOST_TRACES]
        os.write(self._fd, _encode(line) + b"\n")

    def info(self, message: str, **fields: Any) -> None:
        self.write("info", message, **fields)

    def error(self, message: str, **fields: Any) -> None:
        self.write("error", message, **fields)

    def seldom(self, message: str, **fields: Any) -> None:
        """At most once a second per message: faults must not turn into a flood of log lines."""
        now = time.monotonic()
        if now - self._last.get(message, -1.0) >= 1.0:
            self._last[message] = now
            self.write("warning", message, **fields)

    def often(self, message: str, **fields: Any) -> None:
        """What goes wrong with one request: many a second, and of more only how many they were."""
        now = int(time.monotonic())
        if now != self._second:
            left_out = {text: count - MOST_A_SECOND for text, count in self._said.items()}
            self._second, self._said = now, {}
            for text, count in left_out.items():
                if count > 0:
                    self.write("warning", text, left_out=count)
        self._said[message] = self._said.get(message, 0) + 1
        if self._said[message] <= MOST_A_SECOND:
            self.write("warning", message, **fields)
