"""Writing a history: whole lines, appended with one system call each batch, so that processes may share the
file."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterable
from pathlib import Path

from experiment.rows import Row, encode


class Recorder:
    """Appends rows to a history file as they happen. Safe to use from threads; several processes may each
    have one.

    Raises OSError at the call that could not be written (a full disk is the caller's to report). A batch that
    was written in part leaves one torn line: after a failure the next batch begins on a line of its own, and
    loading leaves out what was torn.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._lock = threading.Lock()
        self._torn = False  # the file may end inside a line

    def write(self, *rows: Row) -> None:
        self.write_all(rows)

    def write_all(self, rows: Iterable[Row]) -> None:
        batch = b"".join(encode(row) for row in rows)
        with self._lock:
            if not batch:
                return
            if self._torn:
                batch = b"\n" + batch
            self._torn = True
            if os.write(self._fd, batch) < len(batch):
                raise OSError(errno.ENOSPC, "the history could not be written in full: is the disk full?")
            self._torn = False

    def close(self) -> None:
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
