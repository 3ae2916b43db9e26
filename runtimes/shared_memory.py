"""System V shared memory that PostgreSQL leaves when it is killed: found by its lock file, removed by id.

A server keeps one small segment as an interlock for its data folder. SIGKILL leaves it in the kernel, where
neither the end of the processes nor the removal of the folder reaches it. The lock file, `postmaster.pid`,
has the server's pid in its first line and the segment's key and id in its seventh.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

LOCK_FILE = "postmaster.pid"
TABLE = Path("/proc/sysvipc/shm")
IPC_RMID = 0
SEGMENT_LINE = 6


def segments_below(folder: Path) -> list[int]:
    """Ids of the segments of servers whose data folders lie in `folder` and that have ended."""
    if not folder.is_dir():
        return []
    created = dict(_segments())
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


def remove_segment(segment: int) -> str:
    """Remove one segment; the kernel frees it once nobody has it attached. Returns what went wrong."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.shmctl(segment, IPC_RMID, None) == 0:
        return ""
    return f"shared memory {segment} is still there: {os.strerror(ctypes.get_errno())}"


def _segments() -> Iterator[tuple[int, int]]:
    """(id, pid of its maker) of every segment of this kernel."""
    try:
        rows = TABLE.read_text().splitlines()[1:]
    except OSError:
        return
    for row in rows:
        words = row.split()
        yield int(words[1]), int(words[4])
