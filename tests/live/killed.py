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

from execution.runs.run_folder import RunFolder
from experiment.errors import SIGNALS
from experiment.verdict import Verdict
from measurement.judge import analyse
from runtimes.containers.engine import Engine
from runtimes.leftovers import MARK
from runtimes.owners import Identity, identify
from tests.standin.containers import made_by
from tests.standin.guards import guards_of

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = ROOT / "tests" / "live" / "scenarios" / "every_line.yaml"
HELD_WITHIN_S = 120.0
GONE_WITHIN_S = 10.0
LOOKED_FOR_S = 40.0  # a machine that is busy with other tests is slower
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
    before: frozenset[int] = field(init=False)
    """Shared memory of others: the number of a process that made some long ago may be given out again."""
    keys: set[int] = field(default_factory=set)
    """Those of the shared memory of databases: the inodes of their data folders, also of half-made ones."""

    def __post_init__(self) -> None:
        self.before = frozenset(_segments())
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
        return Seen(processes, frozenset(_ports(own)), frozenset(_segments(own)) - self.before)

    def histories(self) -> list[RunFolder]:
        """The runs that left something, as `check` finds them."""
        return [RunFolder(path.parent) for path in sorted((self.home / "out").glob("*/run.json"))]

    def signal_held(self, number: int) -> float:
        """Send a signal and let it go on; the seconds until it has ended."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.send_signal(signal.SIGCONT)
        while self.process.poll() is None:
            assert time.monotonic() < began + HELD_WITHIN_S, f"it does not end:\n{self.said}"
            self._note_keys()
            time.sleep(0.02)
        return time.monotonic() - began

    def _note_keys(self) -> None:
        for place in ("cache/*/data", "instances/*/*/data"):
            for data in (self.home / "var").glob(place):
                with suppress(FileNotFoundError):
                    self.keys.add(data.stat().st_ino)

    def kill(self, *, guards_too: bool = False) -> None:
        self._note_keys()
        for guard in guards_of(self.process.pid) if guards_too else ():
            guard.kill()
        self.process.kill()
        self.process.wait(10)

    def left(self, seen: Seen) -> list[str]:
        """What is still there of it, as sentences."""
        running = [f"the process {name} ({one.pid})" for one, name in seen.processes.items() if one.alive]
        ports = [f"the port {port}" for port in sorted(seen.ports) if _listens(port)]
        own = (seen.segments & set(_segments())) | (set(_segments(keys=self.keys)) - self.before)
        segments = [f"shared memory {one}" for one in sorted(own)]
        files = [f"the file {path}" for path in self._files()]
        return [*running, *ports, *segments, *files, *self._in_the_engine()]

    def _in_the_engine(self) -> Iterable[str]:
        """Its containers, networks and volumes."""
        if "containers" not in self.words:
            return
        engine = Engine()
        yield from (f"{name} in the engine" for name in made_by(engine, self.process.pid))
        engine.close()

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
    while (found := left()) and time.monotonic() < began + LOOKED_FOR_S:
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


def _segments(makers: set[int] | None = None, keys: set[int] | None = None) -> Iterable[int]:
    """The System V shared memory of this machine, or that which these processes made, or with these keys."""
    for row in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]:
        key, number, _mode, _size, maker, *_ = map(int, row.split())
        if (makers is None or maker in makers) and (keys is None or key in keys):
            yield number


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a command that was ended at a moment. `seconds` until it had ended and nothing was left;
    `wrong` is empty when all is as promised; not `held`: it had ended before the moment came."""

    moment: str
    how: str
    held: bool
    seconds: float = 0.0
    wrong: tuple[str, ...] = ()


def end_at(moment: str, how: str, home: Path, runtime: str = "processes") -> Outcome:
    """Start the command, hold it at the moment, end it there: by SIGKILL (`kill`), with its guards (`kill
    both`), or by a signal of that name."""
    held = Held(home, moment, ("run", str(SCENARIO), "--runtime", runtime))
    if not held.until_held():
        return Outcome(moment, how, False)
    seen = held.seen()
    if how.startswith("kill"):
        held.kill(guards_too=how == "kill both")
        if how == "kill both":
            next_command(home)
        seconds, left = held.await_nothing(seen)
        return Outcome(moment, how, True, seconds, (*left, *_unlike_a_killed_run(held)))
    seconds = held.signal_held(signal.Signals[how])
    wrong = held.await_nothing(seen)[1] + list(_unlike_an_interrupted_run(held, how))
    return Outcome(moment, how, True, seconds, tuple(wrong))


def next_command(home: Path) -> None:
    """`clean`, which does first what every command that starts a system does."""
    words = [sys.executable, "-m", "tests.live.held_command", str(home / "var"), "never", "clean"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _unlike_a_killed_run(held: Held) -> Iterable[str]:
    """The history so far loads, and is not taken for a whole one."""
    for folder in held.histories():
        history = folder.history()
        if history.end is not None and history.end.reason == "completed":
            continue  # it was killed after its last line
        analysis = analyse(history, folder.scenario(), folder.system(), folder.inputs().asked)
        told = " ".join(analysis.reasons)
        if analysis.verdict is not Verdict.INVALID or "interrupted" not in told:
            yield f"{folder.path.name} says {analysis.verdict}: {told}"


def _unlike_an_interrupted_run(held: Held, name: str) -> Iterable[str]:
    """Exit code, history and judgement say which signal it was."""
    if held.process.returncode != SIGNALS[name]:
        code = f"exit code {held.process.returncode}, expected {int(SIGNALS[name])}"
        yield f"{code}; it said: {held.said[-600:]}"
    for folder in held.histories():
        end = folder.history().end
        if end is None or not end.clean:
            yield f"{folder.path.name} has no clean end: {end}"
        elif end.reason != "completed":
            again = subprocess.run(
                [sys.executable, "harness.py", "check", str(folder.path)],
                cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
            told = end.signal == name and name in again.stdout
            if not told or again.returncode != SIGNALS[name] or "PASS" in again.stdout:
                yield f"{folder.path.name} ended by {end.signal}; check: {again.returncode}, {again.stdout}"
