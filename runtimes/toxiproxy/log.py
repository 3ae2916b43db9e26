"""Log lines: one JSON object a line on standard output, as the original writes them."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from enum import IntEnum


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

    def __init__(self, least: Level) -> None:
        self.least = least

    @classmethod
    def from_environment(cls) -> Log:
        """With the level that ``LOG_LEVEL`` asks for."""
        return cls(level_from(os.environ.get("LOG_LEVEL")))

    def write(self, level: Level, message: str, **fields: str | int | float) -> None:
        """One line. A standard output that is closed or full is no reason to stop proxying."""
        if level < self.least:
            return
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        line = {"level": level.name.lower(), **fields, "time": now, "message": message}
        try:
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
        except (OSError, ValueError):
            self.least = Level.DISABLED

    def debug(self, message: str, **fields: str | int | float) -> None:
        """What one connection or request does."""
        self.write(Level.DEBUG, message, **fields)

    def info(self, message: str, **fields: str | int | float) -> None:
        """What starts and stops."""
        self.write(Level.INFO, message, **fields)

    def error(self, message: str, **fields: str | int | float) -> None:
        """What failed."""
        self.write(Level.ERROR, message, **fields)
