"""W3C trace context: every request that the load sends can be found again in the spans of the services."""

from __future__ import annotations

import hashlib

from experiment.requests import Request

CALLER = "client"


def traced(request: Request, run_id: str, operation: int) -> tuple[Request, str]:
    """The request with its trace context and caller, and the id of its trace."""
    context = traceparent(run_id, operation)
    headers = {"traceparent": context, "x-caller": CALLER, **request.headers}
    made = Request(request.method, request.path, headers, request.body, request.expected_version)
    return made, trace_of(context)


def trace_of(context: str) -> str:
    """The id of the trace in a trace context."""
    return context[3:35]


def traceparent(run_id: str, operation: int) -> str:
    """The trace context of an operation; the same for the same run and operation."""
    digest = hashlib.blake2b(f"{run_id}/{operation}".encode(), digest_size=24).hexdigest()
    return f"00-{digest[:32]}-{digest[32:]}-01"
