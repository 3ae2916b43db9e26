"""Reading files that a person named: regular ones of an expected size, so that no command hangs or swells."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

LARGEST = 256_000_000  # bytes of a part that is read whole
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NotRegular(OSError):
    """What lies there is a folder, a pipe, a socket or a device; `strerror` says which."""


class TooLarge(OSError):
    """The file holds more than it may; `strerror` says how much that is."""


def open_regular(path: Path) -> BufferedReader:
    """A regular file to be read. Does not wait: opening a named pipe without a writer would, for ever.

    Raises NotRegular, or another OSError or ValueError of a path that cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = next((name for test, name in _KINDS if test(mode)), "no regular file")
        raise NotRegular(errno.EINVAL, kind)
    return open(descriptor, "rb")


def read_regular(path: Path, most: int = LARGEST) -> bytes:
    """The bytes of a regular file. Raises as `open_regular`, and TooLarge."""
    with open_regular(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise TooLarge(errno.EFBIG, f"more than {most:,} bytes")
    return content
