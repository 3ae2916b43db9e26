"""One request on its way over a channel: a single slotted object that is its own event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from simulation.engine.clock import Occurrence
from simulation.engine.failures import Failure

# What happens next to an attempt, the order of Channel.stages; WAITS is for a slot of the bulkhead.
ARRIVES, COMPLETES, LEAF_RESPONDS, RESPONDS, WAITS = range(5)


class Owner(Protocol):
    """Who made a call and hears its end: `error` is None when it succeeded."""

    def resume(self, attempt: Attempt, error: Failure | None) -> None: ...


class Observer(Protocol):
    """Whoever watches the attempts of a channel; `attempt.context` is theirs."""

    def sent(self, attempt: Attempt) -> None:
        """It goes onto the wire."""

    def ended(self, attempt: Attempt, failure: Failure | None) -> None:
        """Its caller has an answer or knows of its failure."""

    def again(self, context: Any) -> Any:
        """The context of an attempt that repeats the one with this context."""


class Way(Protocol):
    """What an attempt travels on, as the attempt and a server's handler need it."""

    timeout: float | None
    stages: tuple[Callable[[Attempt], None], ...]

    def enter(self, attempt: Attempt) -> None:
        """It has waited for a slot of the bulkhead, and has one."""

    def reply(self, attempt: Attempt, answer: Any, failure: Failure | None = None) -> None:
        """The handler's answer sets out."""


class Attempt(Occurrence):
    """One request on its way.

    `answer` is what the handler replied and `failure` the error it replied instead; `step` belongs to the
    handler; `done` is when the server finishes; `number` counts the attempts of one call.
    """

    __slots__ = (
        "answer",
        "channel",
        "context",
        "done",
        "epoch",
        "failure",
        "live",
        "number",
        "owner",
        "request",
        "sent",
        "stage",
        "step",
        "waited",
    )

    answer: Any
    done: float
    epoch: int
    failure: Failure | None
    number: int
    step: int
    waited: float
    channel: Way
    context: Any
    live: bool
    owner: Owner
    request: Any
    sent: float
    stage: int

    @property
    def fire(self) -> Callable[[Attempt], None]:  # type: ignore[override]  # derived from the stage
        return self.channel.stages[self.stage]
