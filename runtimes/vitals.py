"""Notices when a part of a running system dies, is stopped or falls silent, and no fault of the plan did it.

A run that goes on without its database or its proxies measures something else, and its records tell of it
much later. So every part is looked at ten times a second. What only serves the services (stores, bus,
Toxiproxy) is asked for a sign of life too: the silence of a service is what a run may be there to measure.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from experiment.trouble import Trouble, silent
from runtimes import bus, postgres
from runtimes.runtime import Address
from runtimes.spawning import Child

LOOK_EVERY_S = 0.1
ASK_EVERY_S = 0.5
ASK_DEADLINE_S = 1.0
SHOWN = 160  # characters of a log's last line

Wrong = tuple[str, str]  # what happened ("died"), and how
HUNG = ("hung", "it took a call and did not answer")


@dataclass(frozen=True, slots=True)
class Vital:
    """One part as it is watched. `wrong` says what happened to it, None while it runs; `held` whether a
    fault, or the harness that starts it again, keeps it down; `answers` asks it, None where its silence says
    nothing."""

    name: str
    wrong: Callable[[], Wrong | None]
    held: Callable[[], bool]
    answers: Callable[[float], bool] | None = None


class Vitals:
    """Watches from its creation until `close`. The first trouble stays until `renew`."""

    def __init__(self, parts: Sequence[Vital]) -> None:
        self._parts = tuple(parts)
        self._over = threading.Event()
        self._trouble: Trouble | None = None
        self._answered: dict[str, float] = {}
        self.renew()
        asked = [part for part in self._parts if part.answers is not None]
        threads = [threading.Thread(target=self._look, daemon=True, name="vitals")]
        threads += [
            threading.Thread(target=self._ask, args=(part,), daemon=True, name=f"vitals of {part.name}")
            for part in asked
        ]
        for thread in threads:
            thread.start()

    @property
    def trouble(self) -> Trouble | None:
        """What was noticed first since the last `renew`."""
        return self._trouble

    def tell(self, part: str, wrong: Wrong) -> None:
        """Whoever met the trouble of a part before it was seen here says so."""
        if self._trouble is None:
            what, how = wrong
            self._trouble = Trouble(part, what, time.monotonic(), how)

    def renew(self) -> None:
        """Another run begins: what was wrong before is looked for anew."""
        now = time.monotonic()
        self._answered = {part.name: now for part in self._parts}
        self._trouble = None

    def close(self) -> None:
        self._over.set()

    def _look(self) -> None:
        while not self._over.wait(LOOK_EVERY_S):
            for part in self._parts:
                if self._trouble is None and (wrong := self._unexpected(part)) is not None:
                    self.tell(part.name, wrong)

    def _unexpected(self, part: Vital) -> Wrong | None:
        """A fault may begin or end between two looks: it must not act on either side of what was seen."""
        if part.held():
            return None
        wrong = part.wrong()
        return None if wrong is None or part.held() or self._over.is_set() else wrong

    def _ask(self, part: Vital) -> None:
        assert part.answers is not None
        while not self._over.wait(ASK_EVERY_S):
            held = part.held()
            if part.answers(ASK_DEADLINE_S) or held or part.held():
                self._answered[part.name] = time.monotonic()
                continue
            trouble = silent(part.name, self._answered[part.name], time.monotonic())
            if self._trouble is None and not self._over.is_set():
                self._trouble = trouble


def sign_of(role: str, address: Address) -> Callable[[float], bool] | None:
    """How to ask a part of this role for a sign of life; None for a service."""
    signs: dict[str, Callable[[Address, float], bool]] = {"store": postgres.speaks, "bus": bus.accepts}
    return partial(signs[role], address) if role in signs else None


def ending(status: str, last_line: str) -> str:
    """How a part ended, with the last line of its log: often the reason."""
    said = last_line.strip()[:SHOWN]
    return f'{status}; its log ends with "{said}"' if said else status


def wrong_with(child: Child) -> Wrong | None:
    """What happened to a process; None while it runs."""
    if not child.running:
        return "died", ending(child.status, child.last_line())
    return ("was stopped", "by SIGSTOP") if child.stopped else None
