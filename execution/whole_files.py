"""Files that are there whole, or as they were before: a full disk leaves no half of a report behind."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write beside the file, then take its place. Raises OSError; then what stood there still does."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(data)
        unfinished.replace(path)
    except OSError:
        with suppress(OSError):
            unfinished.unlink()
        raise


def refusal(error: OSError) -> str:
    """What a user is told when the disk took no more, empty for any other error."""
    if error.errno not in NO_ROOM:
        return ""
    where = error.filename or "the disk"
    return f"{where}: found no room ({os.strerror(error.errno)}), expected some: free it, then run this again"


def closed(error: OSError) -> str:
    """What a user is told when results may not be written there, empty for any other error."""
    if error.errno not in CLOSED or error.filename is None:
        return ""
    hint = "name a folder of yours with --out, or work on a copy of what is to be judged"
    return (
        f"{error.filename}: found no permission to write ({os.strerror(error.errno)}), expected some: {hint}"
    )
