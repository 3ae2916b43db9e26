"""Files that are there whole, or as they were before: a full disk leaves no half of a report behind."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

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
