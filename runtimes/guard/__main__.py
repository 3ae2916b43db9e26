"""`python -m runtimes.guard PID TICKS FOLDER`: wait until the owner has died, then sweep its instance.

Nothing but the standard library is imported while it waits: it costs some milliseconds and a few megabytes.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from runtimes.guard import BEAT
from runtimes.owners import Identity

if TYPE_CHECKING:
    from runtimes.leftovers import Swept

LOOK_EVERY_S = 0.2  # where the kernel has no pidfd
SILENT_S = 10.0  # an owner that promised to be heard of and is not counts as dead
LOOK_AGAIN_S = 1.0  # the end of the owner itself is seen at once
SWEEP_WITHIN_S = 60.0
AGAIN_AFTER_S = 0.5


def await_end(owner: Identity, folder: Path) -> None:
    """Return when exactly this process has ended, or has not been heard of for too long, where it said that
    it would be. A zombie counts as ended, as nothing can come of it."""
    try:
        handle = os.pidfd_open(owner.pid)
    except OSError:
        handle = -1  # it has ended, or the kernel cannot tell
    while owner.alive and not silent(folder):
        if handle >= 0:
            select.select([handle], [], [], LOOK_AGAIN_S)
        else:
            time.sleep(LOOK_EVERY_S)


def silent(folder: Path) -> bool:
    """Whether the owner has promised to be heard of, and is not."""
    try:
        return time.monotonic() - float((folder / BEAT).read_text()) > SILENT_S
    except (OSError, ValueError):  # no promise, or its next word is being written
        return False


def sweep_until_clean(folder: Path) -> bool:
    """Whether nothing of the instance is left; tried again for a while, since an engine may be busy."""
    from runtimes.leftovers import sweep_one

    end = time.monotonic() + SWEEP_WITHIN_S
    while folder.exists():
        if not sweep_one(folder, _containers, certain=True).failed:
            with suppress(OSError):
                folder.rmdir()  # its owner died before the first line of its journal
            break
        if time.monotonic() > end:
            return False
        time.sleep(AGAIN_AFTER_S)
    return True


def _containers(instance: str, endpoint: str) -> Swept:
    """The engine's client is loaded only for an instance that has containers."""
    from runtimes.containers.sweeping import sweep_instance

    return sweep_instance(instance, endpoint)


def main(words: list[str]) -> int:
    """1 when something is left: the next command of the same project tries again, and says what."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    pid, ticks, folder = words
    await_end(Identity(int(pid), int(ticks)), Path(folder))
    from runtimes.precedence import going_first

    with going_first():  # what is left of a run is in the way of others, and is soon gone
        return 0 if sweep_until_clean(Path(folder)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
