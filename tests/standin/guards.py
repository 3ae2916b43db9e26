"""Guards of instances, found by the owner that they watch: for tests of what the next command does alone."""

from __future__ import annotations

import subprocess
from contextlib import suppress

import psutil


def guards_of(owner: int) -> list[psutil.Process]:
    """Those that watch the process with this pid."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.cmdline()
            if "runtimes.guard" in words and words[-3:-2] == [str(owner)]:
                found.append(process)
    return found


def kill_with_guards(owner: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """SIGKILL for all that could clean up by itself, the guards first."""
    for guard in guards_of(owner.pid):
        guard.kill()
    owner.kill()
    owner.wait(10)
