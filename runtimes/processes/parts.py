"""The parts of a system as processes: how each is started, when it is ready, and whether it answers."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from experiment.errors import StartError
from runtimes import bus, postgres
from runtimes.checkouts import ROOT
from runtimes.http_calls import CallError, call
from runtimes.leftovers import Journal
from runtimes.loopback import taken
from runtimes.runtime import Address
from runtimes.spawning import Child, Command

POLL_S = 0.02
ASK_DEADLINE_S = 1.0


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


def wait_until_ready(parts: Sequence[tuple[Part, Child]], end: float) -> None:
    """Poll until every part is ready. Raises StartError as soon as one has died, or for all that are late."""
    pending = {part.name: (part, child, "") for part, child in parts}
    while pending:
        for part, child, _ in list(pending.values()):
            seen = part.complaint()
            if not seen:
                del pending[part.name]
                continue
            pending[part.name] = (part, child, seen)
            if not child.running:
                raise _not_ready(part, child, "")
        if pending and time.monotonic() > end:
            errors = [str(_not_ready(part, child, seen)) for part, child, seen in pending.values()]
            raise StartError("\n".join(errors))
        if pending:
            time.sleep(POLL_S)


def _not_ready(part: Part, child: Child, seen: str) -> StartError:
    """The error of a part that died or did not become ready in time."""
    words = child.last_words()
    if not child.running and taken(part.address.port):
        return PortTaken(f"{part.name} cannot listen on {part.address}: the port is taken; it said:\n{words}")
    said = f"; last seen: {seen}" if seen else ""
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
        return bus.start_server(self.folder, self.address.port, self.log, self.journal, self.name)

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

    def configure(self, configuration: Mapping[str, Any]) -> None:
        self.configuration = configuration
        self.config.write_text(json.dumps(configuration))

    def start(self) -> Child:
        argv = (sys.executable, "-m", self.module, "--config", str(self.config))
        return Child(Command(self.name, argv, self.root, self.log, service_environment()), self.journal)

    def complaint(self) -> str:
        try:
            answer = call(self.address, "GET", "/ready", deadline_s=ASK_DEADLINE_S)
        except CallError as error:
            return str(error)
        if answer.status == 200:
            return ""
        return f"GET /ready answered {answer.status} {answer.body[:200].decode('utf-8', 'replace')}"

    def answers(self, deadline_s: float) -> bool:
        try:
            return call(self.address, "GET", "/health", deadline_s=deadline_s).status == 200
        except CallError:
            return False


def service_environment() -> dict[str, str]:
    """Ours without what could divert or slow down a service: no proxies, no debug or profiling switches."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "SYSTEMROOT")
    return {name: os.environ[name] for name in kept if name in os.environ}
