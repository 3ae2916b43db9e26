"""What was done to a running system, undone: by the run itself, by its guard, or by the next command."""

from __future__ import annotations

import os
import shlex
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from experiment.children import run_child
from experiment.errors import StartError
from runtimes.attach.kernel import move_back, remove_rules
from runtimes.attach.lodgings import engine_at
from runtimes.links.adapter import Toxiproxy, ToxiproxyError
from runtimes.owners import Identity
from runtimes.runtime import Address
from runtimes.signs import accepts

DEADLINE_S = 2.0
START_WITHIN_S = 20.0
UP_WITHIN_S = 10.0
POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Touched:
    """What a journal says of one thing that was touched: `what` is rules, group, proxy, process (paused),
    start (a process that was killed) or container, and `where` it is, or the command that starts it; `back`
    is what it was before, where its server, engine or process is, or the network of the rules, if not our
    own."""

    what: str
    where: str
    back: str = ""

    def undo(self) -> str:
        """As it was before. Returns what went wrong, or nothing; calling it again does nothing."""
        if self.what == "rules":
            return remove_rules(self.where, self.back)
        if self.what == "group":
            return move_back(Path(self.where), Path(self.back))
        if self.what == "process":
            return _go_on(Identity(int(self.where), int(self.back)))
        if self.what == "container":
            return _up(self.where, self.back)
        host, _, port = self.back.rpartition(":")
        if self.what == "start":
            return _started(self.where, Address(host, int(port)))
        return clear_proxy(Toxiproxy(host, int(port), deadline_s=DEADLINE_S), self.where)

    def __str__(self) -> str:
        return {
            "rules": f"packet rules {self.where} are removed",
            "group": f"the processes in {self.where} are back in {self.back}",
            "proxy": f"the proxy {self.where} at {self.back} has no toxic and takes connections",
            "process": f"process {self.where} goes on",
            "start": f"{self.back} takes connections ({self.where})",
            "container": f"the container {self.where} runs",
        }[self.what]


def undo_all(touched: Iterable[Touched]) -> list[str]:
    """Rules first: without them nothing new comes to the proxies. Returns what went wrong."""
    order = ("rules", "proxy", "group", "process", "container", "start")
    return [
        problem for one in sorted(touched, key=lambda one: order.index(one.what)) if (problem := one.undo())
    ]


def _go_on(process: Identity) -> str:
    """A process that was held goes on; one that is gone needs nothing."""
    if process.alive:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)
    return ""


def _up(container: str, endpoint: str) -> str:
    """A container that was paused or killed runs; one that its owner has removed needs nothing."""
    try:
        with engine_at(endpoint) as engine:
            status = engine.state(container).status
            if status == "paused":
                engine.unpause(container)
            elif status in ("exited", "created"):
                engine.start(container)
    except StartError as error:
        return f"the container {container} may not run: {error}"
    return ""


def _started(command: str, address: Address) -> str:
    """What was killed listens again, by its own supervisor or by its command."""
    if accepts(address, DEADLINE_S):
        return ""
    try:
        run_starts(command)
    except StartError as error:
        return str(error)
    end = time.monotonic() + UP_WITHIN_S
    while not accepts(address, DEADLINE_S):
        if time.monotonic() > end:
            return f"nothing listens at {address} after {command}"
        time.sleep(POLL_S)
    return ""


def run_starts(command: str) -> None:
    """Run the command that starts a part. Raises StartError."""
    try:
        ended = run_child(shlex.split(command), within_s=START_WITHIN_S)
    except OSError as error:
        raise StartError(f"{command}: {error}") from None
    if ended.code != 0:
        raise StartError(f"{command} ended with exit status {ended.code}: {ended.err.strip()[-200:]}")


def clear_proxy(server: Toxiproxy, name: str) -> str:
    """Remove every toxic of one proxy and let it take connections. Others of the server are not touched."""
    try:
        state = server.proxy(name)
        for toxic in state.toxics:
            server.remove_toxic(name, toxic.name)
        if not state.enabled:
            server.set_enabled(name, True)
    except ToxiproxyError as error:
        return f"the proxy {name} could not be cleared: {error}"
    return ""
