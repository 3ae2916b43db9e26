"""What services of the twin say to each other: requests, replies, and the errors of calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from simulation.engine.attempts import Attempt
from simulation.engine.failures import Cause, Failure
from simulation.engine.tasks import Future, ModelError

RETRYABLE = frozenset({429, 500, 502, 503, 504})


@dataclass(slots=True)
class Request:
    """A call between services: `what` names the operation, `body` carries its plain arguments.

    `deadline` is the caller's own (absolute), `callee_deadline` the one it hands on. `sent` turns true once
    the callee may have seen it.
    """

    what: str
    body: dict[str, Any]
    caller: str
    key: str | None = None
    idempotent: bool = True
    limit: float | None = None
    deadline: float | None = None
    hands_on: bool = False
    sent: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with its status; `label` is what it says of itself, `refused` that nothing was done."""

    status: int
    body: dict[str, Any] = field(default_factory=dict)
    label: str | None = None
    age: float | None = None
    refused: bool = False


class CallFailed(ModelError):
    """No reply came over a link; `sent` says that the callee may have acted on the request."""

    def __init__(self, link: str, failure: Failure, sent: bool) -> None:
        super().__init__(f"{link}: {failure}")
        self.failure = failure
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Held:
    """What a service shows of a key in the end: its value, and its version where it keeps any."""

    value: str
    version: int | None = None


class Refused(ModelError):
    """The service answers with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


class CallEnd(Future):
    """Turns the end of a channel's call into a Reply or a CallFailed."""

    __slots__ = ("_link", "_request")

    def __init__(self, link: str, request: Request) -> None:
        super().__init__()
        self._link = link
        self._request = request

    def resume(self, attempt: Attempt, error: Failure | None) -> None:
        if error is None:
            self.resolve(attempt.answer)
        elif error.cause is Cause.STATUS:
            reply = attempt.answer
            self.resolve(reply if reply is not None else Reply(error.status or 503))
        else:
            self.reject(CallFailed(self._link, error, self._request.sent or error.sent))
