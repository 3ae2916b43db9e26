"""JSON lines for people and for the report: one object a line, to a file or to standard error."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import msgspec

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

    def write(self, level: str, message: str, **fields: Any) -> None:
        line = {"at": time.time(), "level": level, "service": self._service, "message": message, **fields}
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
