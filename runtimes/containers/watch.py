"""Notices that the engine went away, which ends every container and with them the run, and that a single
container does not run any more."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

from experiment.trouble import Trouble
from runtimes.containers.engine import Engine
from runtimes.containers.specs import ContainerState
from runtimes.docker_engine import EngineError
from runtimes.owners import Identity, identify
from runtimes.vitals import Wrong, ending

POLL_S = 0.2
ASK_EVERY_S = 1.0
ODD = ("", "T", "X", "Z")  # states of a process that does not run


class EngineWatch:
    """Follows the engine's events in a thread; the stream ends when the engine does."""

    def __init__(self, engine: Engine, label: str) -> None:
        self._engine = engine
        self._label = label
        self._over = threading.Event()
        self._gone_at_s = 0.0
        self._touched: set[str] = set()
        threading.Thread(target=self._follow, daemon=True, name="engine watch").start()

    @property
    def gone(self) -> Trouble | None:
        """That the engine went away since the start."""
        if not self._gone_at_s:
            return None
        engine, more = (
            f"the Docker engine at {self._engine.url}",
            "stopped or restarted, with every container",
        )
        return Trouble(engine, "went away", self._gone_at_s, more)

    def touched(self, container: str) -> bool:
        """Whether anything happened to a container since this was asked last."""
        with suppress(KeyError):
            self._touched.remove(container)
            return True
        return False

    def _follow(self) -> None:
        for event in self._engine.events(self._label):
            if self._over.is_set():
                return
            self._touched.add(str(event.get("Actor", {}).get("Attributes", {}).get("name", "")))
        if not self._over.is_set():
            self._gone_at_s = time.monotonic()

    def close(self) -> None:
        self._over.set()


class ContainerLife:
    """Whether one container runs. Most of the time that is one look at the kernel's state of its process; the
    engine is asked when that is odd, or when it told that something happened to the container."""

    def __init__(self, engine: Engine, container: str, watch: EngineWatch) -> None:
        self._engine = engine
        self._container = container
        self._watch = watch
        self._process: Identity | None = None
        self._asked_s = 0.0

    def wrong(self) -> Wrong | None:
        """What happened to it; None while it runs, or while the engine cannot be asked."""
        touched = self._watch.touched(self._container)
        if not touched and self._process is not None and self._process.state not in ODD:
            return None
        if not touched and time.monotonic() - self._asked_s < ASK_EVERY_S:  # its process cannot be seen here
            return None
        self._asked_s = time.monotonic()
        with suppress(EngineError):
            return self._by_engine()
        return None

    def _by_engine(self) -> Wrong | None:
        found = self._engine.state(self._container)
        if found.status == "paused":
            return "was stopped", "its container is paused"
        if found.status != "running":
            said = self._engine.logs(self._container, 1).decode("utf-8", "replace")
            return "died", ending(str(found), said)
        self._process = identify(found.pid)
        return ("was stopped", "by SIGSTOP") if stopped(found) else None


def stopped(found: ContainerState) -> bool:
    """Whether a signal stopped its first process, of which the engine says nothing; no where that process
    cannot be seen from here."""
    process = identify(found.pid) if found.status == "running" else None
    return process is not None and process.state == "T"


def wait_for_engine(deadline_s: float) -> Engine | None:
    """A new connection as soon as an engine answers again; None when none does within the deadline."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        try:
            return Engine()
        except EngineError:
            time.sleep(POLL_S)
    return None
