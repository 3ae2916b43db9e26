"""The parts of a system as containers: when each is ready, and what it said when it is not."""

from __future__ import annotations

import time
from dataclasses import dataclass

from experiment.errors import StartError
from experiment.services import CONTRACT, Endpoints
from experiment.stop import Stop
from runtimes import part_signs
from runtimes.containers.engine import Engine
from runtimes.containers.specs import ContainerSpec
from runtimes.containers.watch import stopped
from runtimes.docker_engine import EngineError, EngineGone
from runtimes.runtime import Address

POLL_S = 0.03
ASK_DEADLINE_S = 1.0
LAST_LINES = 15
EARLY_ENDS = 4  # so often a service may end before it was ever ready
PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class ContainerPart:
    """One service, store or bus. `address` is where it listens in the instance's network, `door` where its
    clients reach it when it is a front door."""

    name: str
    role: str
    spec: ContainerSpec
    address: Address
    door: Address | None = None
    control: Endpoints = CONTRACT
    ready_command: tuple[str, ...] = ()
    foreign: bool = False

    @property
    def is_store(self) -> bool:
        return self.role in ("store", "bus")

    def complaint(self, engine: Engine) -> str:
        """Why it is not ready; empty when it is."""
        if self.ready_command and self.control.ready is None and not self.is_store:
            return self._asked(engine)
        ways = (self.address,) if self.door is None or self.is_store else (self.address, self.door)
        said = (part_signs.complaint(self.role, way, self.control, ASK_DEADLINE_S) for way in ways)
        return next((complaint for complaint in said if complaint), "")

    def _asked(self, engine: Engine) -> str:
        """What the command for readiness says, run inside; empty when it ended with 0."""
        try:
            ran = engine.run(self.spec.name, self.ready_command)
        except EngineError as error:
            return str(error)
        if ran.code == 0:
            return ""
        return f"{self.ready_command[0]} ended with exit status {ran.code}: {ran.output.strip()[-200:]}"

    def answers(self, deadline_s: float) -> bool:
        """A sign of life within the deadline."""
        return part_signs.answers(self.role, self.address, self.control, deadline_s)


def last_words(engine: Engine, container: str) -> str:
    """Status and last log lines of a container, for a message."""
    lines = engine.logs(container, LAST_LINES).decode("utf-8", "replace").splitlines()
    shown = "\n".join(f"    {line}" for line in lines) or "    (its log is empty)"
    return f"{engine.state(container)}; it said:\n{shown}"


def wait_until_ready(engine: Engine, part: ContainerPart, end: float, stop: Stop | None = None) -> None:
    """Poll until the part has no complaint. A service that knows nothing of the harness and ends early is
    started again, as its platform would. Raises StartError with status and last log lines; Interrupted."""
    stop = stop or Stop()
    looked = time.monotonic()
    again = EARLY_ENDS if part.foreign else 0
    while complaint := part.complaint(engine):
        now = time.monotonic()
        if now > end:
            raise _not_ready(engine, part, complaint)
        if now - looked > 0.25:  # a container that ended will never be ready
            looked = now
            found = engine.state(part.spec.name)
            if stopped(found):
                raise _not_ready(engine, part, "stopped by SIGSTOP")
            if found.status not in ("running", "created"):
                if not again:
                    raise _not_ready(engine, part, complaint)
                again -= 1
                stop.sleep(PAUSE_S)
                engine.start(part.spec.name)
        stop.sleep(POLL_S)


def _not_ready(engine: Engine, part: ContainerPart, complaint: str) -> StartError:
    try:
        words = last_words(engine, part.spec.name)
    except EngineGone as error:
        return error
    return StartError(f"{part.name} on {part.address} is not ready ({complaint}): {words}")
