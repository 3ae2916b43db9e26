"""What the nodes of the twin tell a collector of themselves, where a system has one: requests served, calls
made and events handled, each with the span that it is part of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from simulation.engine.attempts import Attempt
from simulation.engine.failures import Failure

Kind = Literal["request", "call", "delivery"]


@dataclass(slots=True)
class Context:
    """What travels with a request or an event: its trace, and the span that it comes from. `since`: of a
    call, when it went onto the wire."""

    trace: str
    span: str
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Told:
    """One finished span. `whose` is a service, or the link of a call; times are virtual seconds."""

    kind: Kind
    trace: str
    span: str
    parent: str | None
    whose: str
    began: float
    took: float
    ok: bool


Tell = Callable[[Told], None]


class Calls:
    """Watches a channel: every attempt on the wire is a call of its own."""

    def __init__(self, link: str, tell: Tell, now: Callable[[], float], names: Iterator[str]) -> None:
        self._link, self._tell, self._now, self._names = link, tell, now, names

    def sent(self, attempt: Attempt) -> None:
        """It goes onto the wire, with a context of its own."""
        parent: Context | None = attempt.context
        name = next(self._names)
        trace = parent.trace if parent is not None else name
        attempt.context = Call(trace, name, self._now(), parent)

    def ended(self, attempt: Attempt, failure: Failure | None) -> None:
        """The caller has its end. What never went onto the wire is no call."""
        call = attempt.context
        if not isinstance(call, Call):
            return
        parent = call.parent.span if call.parent is not None else None
        took = self._now() - call.since
        self._tell(Told("call", call.trace, call.span, parent, self._link, call.since, took, failure is None))

    def again(self, context: Context | None) -> Context | None:
        """The call of a further attempt is part of the same work."""
        return context.parent if isinstance(context, Call) else context


@dataclass(slots=True)
class Call(Context):
    """The context of one attempt; `parent` is that of whatever makes the call."""

    parent: Context | None = None
