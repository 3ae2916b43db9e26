"""Notices that the engine went away: a restart of it ends every container, and with them the run."""

from __future__ import annotations

import threading
import time

from runtimes.containers.engine import Engine
from runtimes.docker_engine import EngineError

POLL_S = 0.2


class EngineWatch:
    """Follows the engine's events in a thread; the stream ends when the engine does."""

    def __init__(self, engine: Engine, label: str) -> None:
        self._engine = engine
        self._label = label
        self._over = threading.Event()
        self._gone = ""
        threading.Thread(target=self._follow, daemon=True, name="engine watch").start()

    @property
    def gone(self) -> str:
        """A sentence when the engine went away since the start; else empty."""
        return self._gone

    def _follow(self) -> None:
        for _ in self._engine.events(self._label):
            if self._over.is_set():
                return
        if not self._over.is_set():
            self._gone = (
                f"the Docker engine at {self._engine.url} went away during the run (stopped or restarted), "
                "and every container with it: the run is invalid"
            )

    def close(self) -> None:
        self._over.set()


def wait_for_engine(deadline_s: float) -> Engine | None:
    """A new connection as soon as an engine answers again; None when none does within the deadline."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        try:
            return Engine()
        except EngineError:
            time.sleep(POLL_S)
    return None
