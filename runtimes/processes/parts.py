"""The parts of a system as processes: how each is started, when it is ready, and whether it answers."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from experiment.children import run_child
from experiment.errors import StartError
from experiment.services import CONTRACT, Endpoints
from experiment.stop import Stop
from runtimes import bus, postgres
from runtimes.checkouts import ROOT
from runtimes.foreign import Start
from runtimes.leftovers import Journal
from runtimes.loopback import taken
from runtimes.private_places import MASK, write_closed
from runtimes.runtime import Address
from runtimes.signs import alive, complaint_of
from runtimes.spawning import Child, Command

POLL_S = 0.02
ASK_DEADLINE_S = 1.0
READY_COMMAND_DEADLINE_S = 5.0


class PortTaken(StartError):
    """Another process took the port between its choice and its use."""


class Part(Protocol):
    """One process of the system, started any number of times with the same configuration and port."""

    @property
    def name(self) -> str: ...
    @property
    def address(self) -> Address: ...
    @property
    def stop_signal(self) -> signal.Signals: ...
    def start(self) -> Child: ...
    def complaint(self) -> str: ...  # why it is not ready, empty when it is
    def answers(self, deadline_s: float) -> bool: ...  # a sign of life


def never_again(_: str) -> Child | None:
    """A part that died is not started once more."""
    return None


def wait_until_ready(
    parts: Sequence[tuple[Part, Child]],
    end: float,
    again: Callable[[str], Child | None] = never_again,
    stop: Stop | None = None,
) -> None:
    """Poll until every part is ready. One that has died may be started `again`, by its name, as its platform
    would. Raises StartError as soon as one has died for good or was stopped, or for all that are late;
    Interrupted."""
    stop = stop or Stop()
    pending = {part.name: (part, child, "") for part, child in parts}
    while pending:
        for part, child, seen in list(pending.values()):
            if child.running and not child.stopped:
                continue
            error = _not_ready(part, child, seen)
            fresh = None if child.running or isinstance(error, PortTaken) else again(part.name)
            if fresh is None:
                raise error
            pending[part.name] = (part, fresh, seen)
        for part, child, _ in list(pending.values()):
            stop.check()
            seen = part.complaint()
            pending[part.name] = (part, child, seen)
            if not seen:
                del pending[part.name]
            elif not child.running or child.stopped:
                break  # the others are not asked first
        if pending and time.monotonic() > end:
            errors = [str(_not_ready(part, child, seen)) for part, child, seen in pending.values()]
            raise StartError("\n".join(errors))
        if pending:
            stop.sleep(POLL_S)


def _not_ready(part: Part, child: Child, seen: str) -> StartError:
    """The error of a part that died or did not become ready in time."""
    words = child.last_words()
    if not child.running and taken(part.address.port):
        return PortTaken(f"{part.name} cannot listen on {part.address}: the port is taken; it said:\n{words}")
    said = f"; last seen: {seen}" if seen and child.running else ""
    return StartError(f"{part.name} on {part.address} is not ready: {child.status}{said}; it said:\n{words}")


@dataclass(frozen=True, slots=True)
class Database:
    """PostgreSQL on its data folder, which its first start copies from the template."""

    name: str
    address: Address
    programs: postgres.Programs
    template: postgres.Template
    data: Path
    log: Path
    journal: Journal
    # The data folder goes with the instance, so the quickest stop is good enough.
    stop_signal: signal.Signals = signal.SIGQUIT

    def start(self) -> Child:
        if not self.data.exists():
            postgres.copy_template(self.template, self.data, self.programs, self.journal)
        return postgres.start_server(
            self.programs, self.data, self.address.port, self.log, self.journal, self.name
        )

    def complaint(self) -> str:
        return "" if self.answers(ASK_DEADLINE_S) else "no login possible"

    def answers(self, deadline_s: float) -> bool:
        return postgres.accepts_queries(self.address, deadline_s)


@dataclass(frozen=True, slots=True)
class Bus:
    """NATS with its store."""

    name: str
    address: Address
    folder: Path
    log: Path
    journal: Journal
    stop_signal: signal.Signals = signal.SIGTERM

    def start(self) -> Child:
        address = self.address
        return bus.start_server(self.folder, address.port, address.token, self.log, self.journal, self.name)

    def complaint(self) -> str:
        return "" if self.answers(ASK_DEADLINE_S) else "no greeting with JetStream"

    def answers(self, deadline_s: float) -> bool:
        return bus.accepts(self.address, deadline_s)


@dataclass(slots=True)
class ServiceProcess:
    """One service: `python -m MODULE --config FILE`. `configure` replaces the file that the next start
    reads."""

    name: str
    address: Address
    module: str
    config: Path
    log: Path
    journal: Journal
    configuration: Mapping[str, Any] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    root: Path = ROOT  # where the module is found
    control: Endpoints = CONTRACT

    def configure(self, configuration: Mapping[str, Any]) -> None:
        self.configuration = configuration
        write_closed(self.config, json.dumps(configuration))

    def start(self) -> Child:
        argv = (sys.executable, "-m", self.module, "--config", str(self.config))
        return Child(Command(self.name, argv, self.root, self.log, service_environment()), self.journal)

    def complaint(self) -> str:
        return complaint_of(self.address, self.control, ASK_DEADLINE_S)

    def answers(self, deadline_s: float) -> bool:
        return alive(self.address, self.control, deadline_s)


@dataclass(slots=True)
class CommandProcess:
    """One service that knows nothing of the harness: its command in its folder, with its variables. The next
    start takes what `begin` says then."""

    name: str
    address: Address
    control: Endpoints
    folder: Path
    log: Path
    journal: Journal
    begin: Start
    stop_signal: signal.Signals = signal.SIGTERM
    prefix: tuple[str, ...] = ()
    """What its commands are run by, where it calls others by name."""

    def start(self) -> Child:
        argv = (*self.prefix, *self.begin.argv)
        return Child(Command(self.name, argv, self.folder, self.log, self._variables()), self.journal)

    def complaint(self) -> str:
        if self.control.ready is None and self.begin.ready_command:
            return self._asked()
        return complaint_of(self.address, self.control, ASK_DEADLINE_S)

    def answers(self, deadline_s: float) -> bool:
        return alive(self.address, self.control, deadline_s)

    def _asked(self) -> str:
        """What the command for readiness says; empty when it ended with 0."""
        argv = self.begin.ready_command
        try:
            marked = {**self._variables(), **self.journal.environment()}
            done = run_child(
                (*self.prefix, *argv),
                within_s=READY_COMMAND_DEADLINE_S,
                cwd=self.folder,
                environment=marked,
                umask=MASK,
            )
        except OSError as error:
            return f"{argv[0]} could not be run: {error}"
        said = (done.out + done.err).strip()[-200:]
        return "" if done.code == 0 else f"{argv[0]} ended with exit status {done.code}: {said}"

    def _variables(self) -> dict[str, str]:
        return {**service_environment(), **self.begin.environment}


def service_environment() -> dict[str, str]:
    """Ours without what could divert or slow down a service: no proxies, no debug or profiling switches."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "SYSTEMROOT")
    return {name: os.environ[name] for name in kept if name in os.environ}
