"""Measuring one link: over a connection opened before the fault, and over a fresh one."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from experiment.controls import LinkProbe, Reach
from runtimes.links.conversations import Broken, Conversation, NoAnswer, NotAsked, Opener


class LinkProber:
    """Keeps the older connection of one link. Safe to use from threads, one at a time."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._existing: Conversation | None = None
        self._lock = threading.Lock()

    def prepare(self, deadline_s: float) -> None:
        """See to it that a connection is open and was used before a fault begins.

        It never holds up a fault: while another fault of the link is being measured there is such a
        connection.
        """
        if not self._lock.acquire(blocking=False):
            return
        try:
            if self._existing is None or not self._existing.is_open():
                self._reopen(deadline_s)
        finally:
            self._lock.release()

    def probe(self, deadline_s: float, payload_bytes: int, *, impaired: bool) -> LinkProbe:
        """Both round trips at once. A link that is not impaired gets a new older connection when the last
        is gone: what a fault or its healing closed is not held against the healed link."""
        with self._lock:
            if not impaired and (self._existing is None or not self._existing.is_open()):
                self._reopen(deadline_s)
            with ThreadPoolExecutor(1) as other:  # each side has the deadline of its own sockets
                existing = other.submit(self._ask_existing, deadline_s, payload_bytes)
                fresh = self._ask_fresh(deadline_s, payload_bytes)
                return LinkProbe(existing.result(), fresh, payload_bytes)

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        if self._existing is not None:
            self._existing.close()
            self._existing = None

    def _reopen(self, deadline_s: float) -> None:
        self._drop()
        try:
            self._existing = self._opener.open(deadline_s)
            self._existing.exchange(deadline_s)
        except (NoAnswer, Broken, NotAsked):
            return

    def _ask_existing(self, deadline_s: float, payload_bytes: int) -> Reach:
        if self._existing is None:
            return Reach(False, None, "no connection could be opened before")
        try:
            return Reach(True, self._existing.exchange(deadline_s, payload_bytes))
        except NoAnswer:
            return Reach(True, None)
        except NotAsked as error:
            return Reach(True, None, str(error), asked=False)
        except Broken as error:
            return Reach(False, None, str(error))

    def _ask_fresh(self, deadline_s: float, payload_bytes: int) -> Reach:
        try:
            conversation = self._opener.open(deadline_s, brief=True)
        except (NoAnswer, Broken) as error:
            return Reach(False, None, str(error))
        try:
            return Reach(True, conversation.exchange(deadline_s, payload_bytes))
        except NoAnswer:
            return Reach(True, None)
        except Broken as error:
            return Reach(True, None, str(error))
        finally:
            conversation.close()
