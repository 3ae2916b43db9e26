"""The parts of a system as containers: when each is ready, and what it said when it is not."""

from __future__ import annotations

import time
from dataclasses import dataclass

from experiment.errors import StartError
from runtimes import bus, postgres
from runtimes.containers.engine import Engine
from runtimes.containers.specs import ContainerSpec
from runtimes.docker_engine import EngineGone
from runtimes.http_calls import CallError, call
from runtimes.runtime import Address

POLL_S = 0.03
ASK_DEADLINE_S = 1.0
LAST_LINES = 15


@dataclass(frozen=True, slots=True)
class ContainerPart:
    """One service, store or bus. `address` is where it listens in the instance's network, `door` where its
    clients reach it when it is a front door."""

    name: str
    role: str
    spec: ContainerSpec
    address: Address
    door: Address | None = None

    @property
    def is_store(self) -> bool:
        return self.role in ("store", "bus")

    def complaint(self) -> str:
        """Why it is not ready; empty when it is."""
        if self.role == "store":
            return "" if postgres.accepts_queries(self.address, ASK_DEADLINE_S) else "no login possible"
        if self.role == "bus":
            return "" if bus.accepts(self.address, ASK_DEADLINE_S) else "no greeting with JetStream"
        return _not_yet(self.address) or (_not_yet(self.door) if self.door is not None else "")

    def answers(self, deadline_s: float) -> bool:
        """A sign of life within the deadline."""
        if self.role == "store":
            return postgres.accepts_queries(self.address, deadline_s)
        if self.role == "bus":
            return bus.accepts(self.address, deadline_s)
        try:
            return call(self.address, "GET", "/health", deadline_s=deadline_s).status == 200
        except CallError:
            return False


def _not_yet(address: Address) -> str:
    """Why a service is not ready at an address; empty when it is."""
    try:
        answer = call(address, "GET", "/ready", deadline_s=ASK_DEADLINE_S)
    except CallError as error:
        return str(error)
    if answer.status == 200:
        return ""
    return f"GET /ready at {address} answered {answer.status} {answer.body[:200].decode('utf-8', 'replace')}"


def last_words(engine: Engine, container: str) -> str:
    """Status and last log lines of a container, for a message."""
    lines = engine.logs(container, LAST_LINES).decode("utf-8", "replace").splitlines()
    shown = "\n".join(f"    {line}" for line in lines) or "    (its log is empty)"
    return f"{engine.state(container)}; it said:\n{shown}"


def wait_until_ready(engine: Engine, part: ContainerPart, end: float) -> None:
    """Poll until the part has no complaint. Raises StartError with status and last log lines."""
    looked = time.monotonic()
    while complaint := part.complaint():
        now = time.monotonic()
        if now > end:
            raise _not_ready(engine, part, complaint)
        if now - looked > 0.25:  # a container that ended will never be ready
            looked = now
            if engine.state(part.spec.name).status not in ("running", "created"):
                raise _not_ready(engine, part, complaint)
        time.sleep(POLL_S)


def _not_ready(engine: Engine, part: ContainerPart, complaint: str) -> StartError:
    try:
        words = last_words(engine, part.spec.name)
    except EngineGone as error:
        return error
    return StartError(f"{part.name} on {part.address} is not ready ({complaint}): {words}")
