"""A command that is killed at a moment, and what of it is left afterwards: looked for everywhere."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from runtimes.leftovers import MARK
from runtimes.owners import Identity, identify
from tests.standin.guards import guards_of

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = ROOT / "tests" / "live" / "scenarios" / "every_line.yaml"
HELD_WITHIN_S = 120.0
GONE_WITHIN_S = 10.0
LISTENING = "0A"  # in /proc/net/tcp


@dataclass(frozen=True, slots=True)
class Seen:
    """What a command had when it was held."""

    processes: dict[Identity, str]
    ports: frozenset[int]
    segments: frozenset[int]


@dataclass(slots=True)
class Held:
    """A command that stands still. `home` has its instances, results and temporary files in it."""

    home: Path
    moment: str
    words: tuple[str, ...]
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        for name in ("var", "out", "tmp"):
            (self.home / name).mkdir(exist_ok=True)
            (self.home / name).chmod(0o755)
        command = [sys.executable, "-m", "tests.live.held_command", str(self.home / "var"), self.moment]
        with (self.home / "said.txt").open("ab") as said:
            self.process = subprocess.Popen(
                [*command, *self.words, "--out", str(self.home / "out")],
                cwd=ROOT,
                stdout=said,
                stderr=subprocess.STDOUT,
                env={**os.environ, "TMPDIR": str(self.home / "tmp")},
            )

    @property
    def said(self) -> str:
        return (self.home / "said.txt").read_text("utf-8", "replace")

    def until_held(self) -> bool:
        """Wait until it stands still; False when it ended before."""
        end = time.monotonic() + HELD_WITHIN_S
        while time.monotonic() < end:
            pid, status = os.waitpid(self.process.pid, os.WUNTRACED | os.WNOHANG)
            if pid and os.WIFSTOPPED(status):
                return True
            if pid:
                self.process.returncode = os.waitstatus_to_exitcode(status)
                return False
            time.sleep(0.01)
        raise AssertionError(f"not held at {self.moment} within {HELD_WITHIN_S:g} s:\n{self.said}")

    def family(self) -> dict[Identity, str]:
        """Its processes, by parentage and by the mark of its instances, and its guards."""
        names = {path.name for path in (self.home / "var" / "instances").glob("*")}
        found = {process.pid for process in psutil.Process(self.process.pid).children(recursive=True)}
        found |= {guard.pid for guard in guards_of(self.process.pid)}
        for pid in psutil.pids():
            with suppress(psutil.Error):
                if psutil.Process(pid).environ().get(MARK) in names:
                    found.add(pid)
        return {one: _name(one.pid) for pid in found if (one := identify(pid)) is not None and one.alive}

    def seen(self) -> Seen:
        processes = self.family()
        own = {one.pid for one in processes} | {self.process.pid}
        return Seen(processes, frozenset(_ports(own)), frozenset(_segments(own)))

    def signal_held(self, number: int) -> float:
        """Send a signal and let it go on; the seconds until it has ended."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.send_signal(signal.SIGCONT)
        self.process.wait(60)
        return time.monotonic() - began

    def kill(self, *, guards_too: bool = False) -> None:
        for guard in guards_of(self.process.pid) if guards_too else ():
            guard.kill()
        self.process.kill()
        self.process.wait(10)

    def left(self, seen: Seen) -> list[str]:
        """What is still there of it, as sentences."""
        running = [f"the process {name} ({one.pid})" for one, name in seen.processes.items() if one.alive]
        ports = [f"the port {port}" for port in sorted(seen.ports) if _listens(port)]
        segments = [f"shared memory {one}" for one in sorted(seen.segments & set(_segments(None)))]
        return [*running, *ports, *segments, *(f"the file {path}" for path in self._files())]

    def _files(self) -> Iterable[Path]:
        """Instances, what is half made, and temporary files; the caches are to stay."""
        yield from (self.home / "var" / "instances").glob("*")
        yield from (path for path in (self.home / "var" / "cache").glob("*.*") if path.is_dir())
        yield from (self.home / "out").glob(".new-*")
        yield from (self.home / "tmp").glob("*")

    def await_nothing(self, seen: Seen) -> tuple[float, list[str]]:
        """The seconds until nothing was left, and what is when they are over."""
        return await_none(lambda: self.left(seen))


def await_none(left: Callable[[], list[str]]) -> tuple[float, list[str]]:
    """Wait for an empty answer: how long it took, and the last answer."""
    began = time.monotonic()
    while (found := left()) and time.monotonic() < began + GONE_WITHIN_S:
        time.sleep(0.05)
    return time.monotonic() - began, found


def _name(pid: int) -> str:
    with suppress(psutil.Error):
        return " ".join(psutil.Process(pid).cmdline())[-80:]
    return "?"


def _ports(pids: Iterable[int]) -> Iterable[int]:
    for pid in pids:
        with suppress(psutil.Error):
            for one in psutil.Process(pid).net_connections(kind="tcp"):
                if one.status == psutil.CONN_LISTEN:
                    yield one.laddr.port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _segments(makers: set[int] | None) -> Iterable[int]:
    """The System V shared memory of this machine, or that which these processes made."""
    for row in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]:
        words = row.split()
        if makers is None or int(words[4]) in makers:
            yield int(words[1])
