"""The load process as its parent sees it: start, ready, go, poll, wait, stop."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
import psutil

from experiment.access import without_token
from experiment.children import start_child
from experiment.errors import CodeBlueError, ExitCode, StartError
from experiment.plan import Plan
from experiment.trouble import Trouble, silent
from load.account import LoadProgress, LoadSummary
from load.script import write_script

ROOT = Path(__file__).resolve().parent.parent
STOP_LIMIT_S = 3.0
LOG_LINES = 15
LOOK_S = 0.2  # between two looks at what else may be wrong, while an event is awaited
PART = "the load generator"
Look = Callable[[], None]


def nothing() -> None:
    """Nothing else is looked at."""


class LoadError(CodeBlueError):
    """The load process died or could not go on; the message carries its last log lines."""

    exit_code = ExitCode.INVALID


class LoadProcess:
    """A Locust process that is started but has nothing to play yet: it may be started before the system is
    up."""

    def __init__(self, folder: Path, workers: int) -> None:
        """Starts at once; its log is `load.log` in `folder`."""
        self.workers = workers
        self.log = folder / "load.log"
        with self.log.open("ab") as log:
            self._process = start_child(
                [sys.executable, "-m", "load.locustfile", "--workers", str(workers)],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                umask=0o077,
            )
        self._changed = threading.Condition()
        self._events: dict[str, Any] = {}
        self._heard_s = monotonic()  # when the last event came
        self._ended = False
        self._reader = threading.Thread(target=self._read, name="load-events", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def over(self) -> bool:
        """Nothing more will come: a summary, a failure or the end of the process."""
        with self._changed:
            return self._ended or "summary" in self._events or "failed" in self._events

    @property
    def nice(self) -> int:
        """How far it steps back for others; below 0: it goes first. 0 when it has ended."""
        with contextlib.suppress(OSError):
            return os.getpriority(os.PRIO_PROCESS, self.pid)
        return 0

    def command(self, **command: object) -> None:
        """Raises LoadError when the process is gone."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(msgspec.json.encode(command) + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError):
            raise self._dead("before it took a command") from None

    def event(self, name: str) -> Any:
        """The latest event of this name, or None."""
        with self._changed:
            return self._events.get(name)

    def trouble(self, planned: int, reports_since_s: float | None) -> Trouble | None:
        """What keeps it from playing the `planned` operations: it failed, died, was stopped, or reports no
        more. It has reported each second since `reports_since_s` (CLOCK_MONOTONIC); None: it does not have to
        yet."""
        with self._changed:
            failed, heard_s = self._events.get("failed"), self._heard_s
            summary, ended = self._events.get("summary"), self._ended
        if summary is not None:
            missing = planned - LoadSummary(**summary).offered
            return (
                Trouble(PART, "ended early", heard_s, f"before {missing} of {planned} operations were due")
                if missing
                else None
            )
        if failed is not None:
            return Trouble(PART, "failed", heard_s, failed["message"])
        if ended:
            with contextlib.suppress(subprocess.TimeoutExpired):  # its output ends a moment before itself
                self._process.wait(LOOK_S)
            return Trouble(PART, "died", monotonic(), self._how())
        with contextlib.suppress(psutil.Error):
            if psutil.Process(self.pid).status() == psutil.STATUS_STOPPED:
                return Trouble(PART, "was stopped", monotonic(), "by SIGSTOP")
        if reports_since_s is None:
            return None
        return silent(PART, max(heard_s, reports_since_s), monotonic())

    def await_event(self, name: str, limit_s: float, look: Look) -> Any:
        """The event, as soon as it is there; until then `look` is called again and again, and may raise.
        Raises LoadError after `limit_s`, or when the process failed or died."""
        deadline = monotonic() + limit_s
        while True:
            look()
            with self._changed:
                if "failed" in self._events:
                    raise LoadError(f"the load failed: {self._events['failed']['message']}{self._last_log()}")
                if name in self._events:
                    return self._events[name]
                if self._ended:
                    raise self._dead(f"before it said {name}")
                rest = deadline - monotonic()
                if rest <= 0:
                    raise LoadError(f"the load process did not say {name} in {limit_s:g} s{self._last_log()}")
                self._changed.wait(min(rest, LOOK_S))

    def stop(self) -> None:
        """The process is gone afterwards: asked first, then made to. Never raises; calling it again does
        nothing."""
        if self._process.poll() is None:
            assert self._process.stdin is not None
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGCONT)  # what was stopped, workers too, sees no other signal
                self._process.stdin.close()
            for harder in (self._process.terminate, self._process.kill, lambda: None):
                try:
                    self._process.wait(STOP_LIMIT_S)
                    break
                except subprocess.TimeoutExpired:  # after the kill: the kernel holds it, and must not hold us
                    harder()
        self._reader.join(STOP_LIMIT_S)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                event = msgspec.json.decode(line)
                with self._changed:
                    self._events[event.pop("event")] = event
                    self._heard_s = monotonic()
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _dead(self, when: str) -> LoadError:
        with contextlib.suppress(subprocess.TimeoutExpired):  # its output ends a moment before itself
            self._process.wait(STOP_LIMIT_S)
        return LoadError(f"{PART} died {when} ({self._how()}){self._last_log()}")

    def _how(self) -> str:
        """How the process ended."""
        code = self._process.poll()
        if code is None:
            return "its output was closed"
        return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"

    def _last_log(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
        return "".join(f"\n    {line}" for line in lines)


class RunningLoad:
    """The load of one run."""

    def __init__(self, process: LoadProcess, script: Path, planned: int, tokens: Mapping[str, str]) -> None:
        """`tokens` of the script's endpoints go over the pipe: the script is kept, and others may read it."""
        self._process = process
        self._planned = planned  # operations
        self._zero: float | None = None
        process.command(do="load", script=str(script), tokens=dict(tokens))

    def ready(self, deadline_s: float, look: Look = nothing) -> None:
        """Wait until every worker has read its share; `look` is called meanwhile, and may raise. Raises
        StartError after `deadline_s` seconds."""
        try:
            self._process.await_event("ready", deadline_s, look)
        except LoadError as error:
            raise StartError(str(error)) from None

    @property
    def nice(self) -> int:
        """The nice value at which it plays."""
        return self._process.nice

    def go(self, zero_monotonic: float) -> None:
        """Fix the run's zero on CLOCK_MONOTONIC: best a few hundredths of a second ahead."""
        self._process.command(do="go", zero=zero_monotonic)
        self._zero = zero_monotonic

    def trouble(self) -> Trouble | None:
        """What keeps the load from going on: its process failed, died, was stopped, or reports no more."""
        return self._process.trouble(self._planned, self._zero)

    def poll(self) -> LoadProgress | None:
        """The latest whole second, or None before the first."""
        event = self._process.event("progress")
        return None if event is None else LoadProgress(**event)

    def finished(self) -> bool:
        """Whether every operation has ended (or the load failed: `wait` tells)."""
        return self._process.over

    def wait(self, deadline_s: float, look: Look = nothing) -> LoadSummary:
        """Wait at most `deadline_s` seconds for the end of the load; `look` is called meanwhile, and may
        raise. Raises LoadError."""
        return LoadSummary(**self._process.await_event("summary", deadline_s, look))

    def stop(self) -> None:
        """End the load and its process at once; what is in flight is recorded as interrupted."""
        self._process.stop()


def start_load(
    plan: Plan,
    endpoints: Mapping[str, str],
    history_path: Path,
    folder: Path,
    workers: int,
    process: LoadProcess | None = None,
) -> RunningLoad:
    """Start the load process of a run, or use one that was started ahead; `stop` it in any case.

    `endpoints`: service name to base address, with its token. The plan's operations go into `folder` as
    load.jsonl, without tokens. Raises UnsupportedError for a journey that has no request here or no address.
    """
    script = folder / "load.jsonl"
    bare = {name: without_token(url) for name, url in endpoints.items()}
    written = {name: url for name, (url, _) in bare.items()}
    write_script(plan, written, history_path.resolve(), datetime.now(UTC).date().isoformat(), script)
    if process is None:
        process = LoadProcess(folder, workers)
    try:
        return RunningLoad(process, script.resolve(), len(plan.operations), dict(bare.values()))
    except BaseException:
        process.stop()
        raise
