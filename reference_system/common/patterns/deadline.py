"""T1: a budget of time per request, handed on to every callee (`x-deadline-ms`: milliseconds that remain)."""

from __future__ import annotations

import time
from contextlib import suppress
from contextvars import ContextVar
from math import isfinite

HEADER = "x-deadline-ms"
DEFAULT_BUDGET_S = 2.0  # for a request that brings none, in a design that propagates deadlines
REPLY_MARGIN_S = 0.03  # kept back for the reply on its way

current: ContextVar[float | None] = ContextVar("deadline", default=None)  # monotonic


def from_header(value: str | None) -> float | None:
    """The absolute monotonic deadline of a request header, None when absent or no finite number."""
    with suppress(ValueError):
        if value is not None and isfinite(seconds := float(value) / 1000):
            return time.monotonic() + max(0.0, seconds)
    return None


def remaining() -> float | None:
    """Seconds left to work in, None without a deadline; never negative."""
    deadline = current.get()
    return None if deadline is None else max(0.0, deadline - time.monotonic() - REPLY_MARGIN_S)


def within(timeout: float | None) -> float | None:
    """The shorter of a timeout and what the deadline leaves."""
    left = remaining()
    if left is None:
        return timeout
    return left if timeout is None else min(timeout, left)
