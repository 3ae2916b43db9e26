"""Log lines: one JSON object a line on standard output, as the original writes them.

Nothing waits for a reader: a line that a full pipe does not take is dropped, and the next one that it takes
says how many were.
"""

from __future__ import annotations

import json
import os
import select
import sys
from datetime import UTC, datetime
from enum import IntEnum

STDOUT = 1


class Level(IntEnum):
    """Of a log line; ``LOG_LEVEL`` in the environment says the least one that is written."""

    TRACE = -1
    DEBUG = 0
    INFO = 1
    WARN = 2
    ERROR = 3
    DISABLED = 7


def level_from(environment_value: str | None) -> Level:
    """The level of a ``LOG_LEVEL`` value; info when it is absent or unknown."""
    if environment_value is not None:
        for level in Level:
            if level.name == environment_value.upper():
                return level
    return Level.INFO


class Log:
    """Writes log lines of at least one level."""

    def __init__(self, least: Level, descriptor: int = STDOUT) -> None:
        self.least = least
        self.dropped = 0
        """Lines since the last one that was written."""
        self._descriptor = descriptor
        self._unsent = b""
        self._room = select.poll()
        self._room.register(descriptor, select.POLLOUT)

    @classmethod
    def from_environment(cls) -> Log:
        """With the level that ``LOG_LEVEL`` asks for; none when there is no standard output."""
        return cls(Level.DISABLED if sys.stdout is None else level_from(os.environ.get("LOG_LEVEL")))

    def write(self, level: Level, message: str, **fields: str | int | float) -> None:
        """One line. A standard output that is closed or full is no reason to stop proxying."""
        if level < self.least:
            return
        try:
            if not self._flushed():
                self.dropped += 1
                return
            if self.dropped:
                self._unsent = _line(Level.WARN, "Log lines were dropped: nobody reads", count=self.dropped)
                self.dropped = 0
            self._unsent += _line(level, message, **fields)
            self._flushed()
        except OSError:
            self.least = Level.DISABLED

    def _flushed(self) -> bool:
        """Write what is left in pieces that a pipe with room takes without waiting; False when it is full."""
        while self._unsent and self._room.poll(0):
            self._unsent = self._unsent[os.write(self._descriptor, self._unsent[: select.PIPE_BUF]) :]
        return not self._unsent

    def debug(self, message: str, **fields: str | int | float) -> None:
        """What one connection or request does."""
        self.write(Level.DEBUG, message, **fields)

    def info(self, message: str, **fields: str | int | float) -> None:
        """What starts and stops."""
        self.write(Level.INFO, message, **fields)

    def error(self, message: str, **fields: str | int | float) -> None:
        """What failed."""
        self.write(Level.ERROR, message, **fields)


def _line(level: Level, message: str, **fields: str | int | float) -> bytes:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    line = {"level": level.name.lower(), **fields, "time": now, "message": message}
    return json.dumps(line).encode() + b"\n"
