"""Folders that are made once and used again and again: sealed when they are made, looked at before each use.

What is damaged in a cache breaks every later run of a checkout, far from the cause. The seal names every file
with its size, rights, owner and time, and the content of those that are not under `unread`: reading the rest
would take longer than to copy it, and PostgreSQL's own checksums watch over it.
"""

from __future__ import annotations

import json
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path

from runtimes.private_places import write_closed

SEAL = "seal.json"
VERSION = 1

Mark = list[int]


def seal(home: Path, unread: Path) -> None:
    """Write down what is in the folder. Raises OSError."""
    marks = dict(_marks(home, unread))
    write_closed(home / SEAL, json.dumps({"version": VERSION, "files": marks}))


def damage(home: Path, unread: Path) -> str:
    """What is wrong with a sealed folder, as a phrase; empty when it is as it was made."""
    try:
        kept = json.loads((home / SEAL).read_bytes())
        wanted: dict[str, Mark] = kept["files"]
        if kept["version"] != VERSION:
            return f"its seal is of version {kept['version']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "its seal cannot be read"
    try:
        found = dict(_marks(home, unread))
    except OSError as error:
        return f"{error.filename} cannot be read ({error.strerror})"
    odd = [f"{name} is missing" for name in wanted if name not in found]
    odd += [f"{name} is not as it was made" for name, mark in wanted.items() if found.get(name, mark) != mark]
    odd += [f"{name} was not there" for name in found if name not in wanted]
    more = f", and {len(odd) - 1} more" if len(odd) > 1 else ""
    return odd[0] + more if odd else ""


def _marks(home: Path, unread: Path) -> Iterator[tuple[str, Mark]]:
    for path in sorted(home.rglob("*")):
        if path == home / SEAL:
            continue
        found = path.lstat()
        mark = [found.st_mode, found.st_uid]
        if stat.S_ISREG(found.st_mode):
            mark += [found.st_size, found.st_mtime_ns]
            mark += [] if unread in path.parents else [zlib.crc32(path.read_bytes())]
        yield str(path.relative_to(home)), mark
