"""The guard of an instance: a process of our own that removes what is left when its owner dies in any way.

It is started before anything else of the instance, in a session of its own, so that neither a signal from the
terminal nor the end of the owner's group reaches it. While the owner lives it only waits.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from runtimes.owners import Identity

ROOT = Path(__file__).resolve().parents[2]
STOP_WITHIN_S = 5.0
BEAT = "alive"  # the file in an instance's folder that says when its owner was last heard of
UNMARKED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "DOCKER_HOST", "DOCKER_CONTEXT")


class Guard:
    """The running guard of one instance, as its owner sees it."""

    def __init__(self, owner: Identity, folder: Path) -> None:
        """Start it for the instance whose journal lies in `folder`. Raises OSError."""
        words = [str(owner.pid), str(owner.started_ticks), str(folder.resolve())]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "runtimes.guard", *words],
            cwd=ROOT,
            env={name: os.environ[name] for name in UNMARKED if name in os.environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def dismiss(self) -> None:
        """The instance is stopped: nothing is left to guard. Calling it again does nothing."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_WITHIN_S)
