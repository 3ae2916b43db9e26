"""Another Toxiproxy in place of one that hangs or died, with the same proxies, toxics and packet rules; and
another toolbox."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from experiment.errors import StartError
from experiment.trouble import Trouble
from runtimes.containers.building import Built
from runtimes.containers.engine import Engine
from runtimes.containers.layout import TOOLBOX, TOXIPROXY
from runtimes.containers.watch import stopped
from runtimes.docker_engine import EngineGone
from runtimes.links.adapter import ToxiproxyError

READY_WITHIN_S = 10.0
POLL_S = 0.05


class ToxiproxyReplacement:
    """Called by every link that waits in vain; those that waited for the same server find it replaced."""

    def __init__(
        self, engine: Engine, built: Built, gone: Callable[[], Trouble | None], lost: Callable[[], None]
    ) -> None:
        """`gone` says whether the engine itself went away; `lost` is told of a server that is replaced."""
        self._engine = engine
        self._built = built
        self._gone = gone
        self._lost = lost
        self._replacing = False
        self._lock = threading.Lock()
        self._replaced_at = float("-inf")

    def __call__(self) -> None:
        """Raises StartError, ToxiproxyError, EngineError."""
        with self._lock:
            if (gone := self._gone()) is not None:
                raise EngineGone(gone.told(0.0))
            if time.monotonic() - self._replaced_at < self._built.proxies.deadline_s:
                return
            self._replacing = True
            self._lost()
            try:
                self._restart(TOXIPROXY)
                self._wait_until_ready()
                self._built.proxies.rebuild()
                # It was in the network of the server that is gone, and so were its rules.
                self._restart_toolbox()
                self._replaced_at = time.monotonic()
            finally:
                self._replacing = False

    def revive_toolbox(self) -> None:
        """It runs when this returns, whatever ended or stopped it. Raises EngineError."""
        with self._lock:
            if not self.toolbox_problem():
                return
            self._replacing = True
            try:
                self._restart_toolbox()
            finally:
                self._replacing = False

    def toolbox_problem(self) -> str:
        """What keeps the toolbox from running, as a sentence; empty when it runs. Raises EngineError."""
        found = self._engine.state(self._built.layout.container(TOOLBOX))
        if found.status != "running":
            return f"the toolbox is {found}"
        return "the toolbox is stopped by a signal" if stopped(found) else ""

    def is_held(self) -> bool:
        """Whether Toxiproxy and the toolbox are replaced just now."""
        return self._replacing

    def _restart_toolbox(self) -> None:
        self._restart(TOOLBOX)
        self._built.toolbox.rebuild()

    def _restart(self, part: str) -> None:
        container = self._built.layout.container(part)
        self._engine.kill(container)
        self._engine.start(container)

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + READY_WITHIN_S
        while True:
            try:
                self._built.proxies.version()
                return
            except ToxiproxyError as error:
                if time.monotonic() > end:
                    raise StartError(f"Toxiproxy was replaced and is not ready: {error}") from None
                time.sleep(POLL_S)
