"""System V shared memory that PostgreSQL leaves when it is killed: found by its data folder, removed by id.

A server keeps one small segment as an interlock for its data folder, and so does every server that `initdb`
starts for a moment. SIGKILL leaves it in the kernel, where neither the end of the processes nor the removal
of the folder reaches it. Its key is the inode of the data folder (the next free number where that is taken);
the lock file, `postmaster.pid`, has key and id in its seventh line, written a moment after the segment is
made.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LOCK_FILE = "postmaster.pid"
VERSION_FILE = "PG_VERSION"  # the first that initdb writes into a data folder
TABLE = Path("/proc/sysvipc/shm")
IPC_RMID = 0
SEGMENT_LINE = 6
INTERLOCK_BYTES = 56  # the size of PostgreSQL's


def segments_below(folder: Path) -> list[int]:
    """Ids of the segments of servers whose data folders lie in `folder` and that have ended."""
    homes = dict(_data_folders(folder))
    named = {one for home in homes if (one := _named_by_lock(home)) is not None}
    keys = set(homes.values())
    return [
        one.id
        for one in _segments()
        if (one.id, one.maker) in named
        or (one.key in keys and one.size == INTERLOCK_BYTES and not one.attached)
    ]


def _data_folders(folder: Path) -> Iterator[tuple[Path, int]]:
    """Each with the key of its segment, which the kernel shows as a signed number of 32 bits."""
    for home, folders, files in os.walk(folder):
        if VERSION_FILE in files or LOCK_FILE in files:
            folders.clear()  # its databases' folders have such files too
            with suppress(FileNotFoundError):  # somebody else removes it
                yield Path(home), ctypes.c_int32(os.stat(home).st_ino).value


def _named_by_lock(home: Path) -> tuple[int, int] | None:
    """Segment and server; None where a server has not come so far. A server for one user has its pid below
    zero."""
    try:
        lines = (home / LOCK_FILE).read_text("utf-8", "replace").splitlines()
        return int(lines[SEGMENT_LINE].split()[1]), abs(int(lines[0]))
    except (OSError, ValueError, IndexError):
        return None


def remove_segment(segment: int) -> str:
    """Remove one segment; the kernel frees it once nobody has it attached. Returns what went wrong."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.shmctl(segment, IPC_RMID, None) == 0:
        return ""
    return f"shared memory {segment} is still there: {os.strerror(ctypes.get_errno())}"


@dataclass(frozen=True, slots=True)
class _Segment:
    """One segment of this kernel; `maker` is the pid of who made it."""

    key: int
    id: int
    maker: int
    size: int
    attached: int


def _segments() -> Iterator[_Segment]:
    try:
        rows = TABLE.read_text().splitlines()[1:]
    except OSError:
        return
    for row in rows:
        key, number, _mode, size, maker, _last, attached, *_rest = row.split()
        yield _Segment(int(key), int(number), int(maker), int(size), int(attached))
