"""Why a call failed, as its caller is told: a value, so that nobody reads it out of a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Cause(Enum):
    """What went wrong."""

    TIMEOUT = "timeout"
    RESET = "reset"
    DISCONNECTED = "disconnected"
    REFUSED = "refused"
    STATUS = "status"  # an answer that says so
    DEADLINE_PASSED = "deadline passed"
    SHORT_CIRCUITED = "short-circuited by the breaker"
    REJECTED_BULKHEAD = "rejected by the bulkhead"


# With these the request certainly never reached the callee.
UNSENT = frozenset({Cause.REFUSED, Cause.DEADLINE_PASSED, Cause.SHORT_CIRCUITED, Cause.REJECTED_BULKHEAD})


@dataclass(frozen=True, slots=True)
class Failure:
    """The end of a failed attempt.

    `status` is that of an answer; `not_done` says that the answer promises that nothing was done;
    `budget_spent` that it would have been tried again, had the retry budget allowed it.
    """

    cause: Cause
    status: int | None = None
    not_done: bool = False
    budget_spent: bool = False

    @property
    def sent(self) -> bool:
        """Whether the callee may have acted on the request."""
        return self.cause not in UNSENT and not self.not_done

    def __str__(self) -> str:
        told = f"status {self.status}" if self.cause is Cause.STATUS else self.cause.value
        return f"{told}, retry budget spent" if self.budget_spent else told


TIMEOUT = Failure(Cause.TIMEOUT)
RESET = Failure(Cause.RESET)
DISCONNECTED = Failure(Cause.DISCONNECTED)
REFUSED = Failure(Cause.REFUSED)
DEADLINE_PASSED = Failure(Cause.DEADLINE_PASSED)
SHORT_CIRCUITED = Failure(Cause.SHORT_CIRCUITED)
REJECTED_BULKHEAD = Failure(Cause.REJECTED_BULKHEAD)
