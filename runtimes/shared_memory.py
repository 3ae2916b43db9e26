"""System V shared memory that PostgreSQL leaves when it is killed: found by its lock file, removed by id.

A server keeps one small segment as an interlock for its data folder. SIGKILL leaves it in the kernel, where
neither the end of the processes nor the removal of the folder reaches it. The lock file, `postmaster.pid`,
has the server's pid in its first line and the segment's key and id in its seventh.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

LOCK_FILE = "postmaster.pid"
TABLE = Path("/proc/sysvipc/shm")
IPC_RMID = 0
SEGMENT_LINE = 6
INTERLOCK_BYTES = 56  # the size of PostgreSQL's


def segments_below(folder: Path) -> list[int]:
    """Ids of the segments of servers whose data folders lie in `folder` and that have ended."""
    if not folder.is_dir():
        return []
    created = {one.id: one.maker for one in _segments()}
    found: list[int] = []
    for lock in folder.rglob(LOCK_FILE):
        try:
            lines = lock.read_text("utf-8", "replace").splitlines()
            server, segment = abs(int(lines[0])), int(lines[SEGMENT_LINE].split()[1])
        except (OSError, ValueError, IndexError):
            continue  # a server that has not come so far has no segment
        if created.get(segment) == server:
            found.append(segment)
    return found


def segments_of(makers: Collection[int], since_s: float) -> list[int]:
    """Ids of interlocks that these pids, which may be others' by now, made since a unix time, and that nobody
    has attached: a server writes its lock file a moment after it made its segment."""
    return [
        one.id
        for one in _segments()
        if one.maker in makers
        and one.size == INTERLOCK_BYTES
        and not one.attached
        and one.made_s >= int(since_s) - 1
    ]


def remove_segment(segment: int) -> str:
    """Remove one segment; the kernel frees it once nobody has it attached. Returns what went wrong."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.shmctl(segment, IPC_RMID, None) == 0:
        return ""
    return f"shared memory {segment} is still there: {os.strerror(ctypes.get_errno())}"


@dataclass(frozen=True, slots=True)
class _Segment:
    """One segment of this kernel; `maker` is the pid of who made it, `made_s` a unix time."""

    id: int
    maker: int
    size: int
    attached: int
    made_s: int


def _segments() -> Iterator[_Segment]:
    try:
        rows = TABLE.read_text().splitlines()[1:]
    except OSError:
        return
    for row in rows:
        _key, number, _mode, size, maker, _last, attached, *_ids, _attach, _detach, made = row.split()[:14]
        yield _Segment(int(number), int(maker), int(size), int(attached), int(made))
