"""Child processes that end with their owner: started, watched, stopped, and their last words kept."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from experiment.children import start_child
from experiment.errors import CleanupError, StartError
from runtimes.leftovers import Journal, descendants, end_processes
from runtimes.owners import Identity, identify
from runtimes.private_places import FILE, MASK

LAST_LINES = 15
LOG = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Command:
    """What to run. `user` is the uid and gid to run as (None: our own); `log` receives stdout and stderr."""

    name: str
    argv: tuple[str, ...]
    cwd: Path
    log: Path
    environment: Mapping[str, str]
    user: tuple[int, int] | None = None


class Child:
    """A running (or ended) child process."""

    def __init__(self, command: Command, journal: Journal) -> None:
        """Start it; it is journaled before and after. Raises StartError when it cannot even be executed."""
        self.command = command
        journal.write("starting", name=command.name)
        try:
            self._popen = _spawn(command, journal)
        except OSError as error:
            raise StartError(f"{command.name} could not be started: {error}") from None
        identity = identify(self._popen.pid) or Identity(self._popen.pid, 0)
        self.identity = identity
        journal.write("started", name=command.name, pid=identity.pid, started_ticks=identity.started_ticks)

    @property
    def pid(self) -> int:
        return self.identity.pid

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    @property
    def stopped(self) -> bool:
        """Whether it is held by SIGSTOP."""
        return self.identity.state == "T"

    @property
    def status(self) -> str:
        """For people: running, or how it ended."""
        code = self._popen.poll()
        if code is None:
            return "stopped by SIGSTOP" if self.stopped else "running"
        return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"

    def family(self) -> list[Identity]:
        """The process and its children."""
        return [self.identity, *descendants(self.pid)] if self.running else []

    def signal_family(self, number: signal.Signals) -> None:
        """Send a signal to the process and its children."""
        for one in self.family():
            if one.alive:
                os.kill(one.pid, number)

    def kill(self) -> None:
        """SIGKILL with all its children, as a crash does. Returns when they are gone. Raises CleanupError."""
        left = end_processes(self.family())
        self._reap()
        if left:
            raise CleanupError(f"{self.command.name} (pid {self.pid}) does not end after SIGKILL")

    def stop(self, deadline_s: float, number: signal.Signals = signal.SIGTERM) -> None:
        """End it in good order, by force after the deadline. Raises CleanupError when even that fails."""
        if self.running:
            family = self.family()
            for one in (family[0], *family):
                if one.alive:
                    os.kill(one.pid, signal.SIGCONT)  # a paused process sees no other signal
            self._popen.send_signal(number)
            self._wait(deadline_s)
            end_processes(family)
        if self.running:
            self.kill()

    def _wait(self, deadline_s: float) -> None:
        try:
            self._popen.wait(deadline_s)
        except subprocess.TimeoutExpired:
            return

    def _reap(self) -> None:
        self._wait(1.0)

    def last_words(self) -> str:
        """The last lines of its log, indented, for a message."""
        return last_lines(self.command.log)

    def last_line(self) -> str:
        """The last line of its log: often why it ended; empty when there is none."""
        try:
            return "".join(_tail(self.command.log, 1))
        except OSError:
            return ""


def last_lines(path: Path, count: int = LAST_LINES) -> str:
    """The end of a log file as an indented block, or a sentence saying that there is none."""
    try:
        lines = _tail(path, count)
    except OSError as error:
        return f"    (no log: {error.strerror})"
    return "\n".join(f"    {line}" for line in lines) if lines else "    (its log is empty)"


def _tail(path: Path, count: int) -> list[str]:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 32_768))
        return file.read().decode("utf-8", "replace").splitlines()[-count:]


def _spawn(command: Command, journal: Journal) -> subprocess.Popen[bytes]:
    marked = {**command.environment, **journal.environment()}
    with open(os.open(command.log, LOG, FILE), "ab") as log:
        return start_child(
            command.argv,
            cwd=command.cwd,
            environment=marked,
            user=command.user,
            stdout=log,
            stderr=subprocess.STDOUT,
            umask=MASK,
        )
