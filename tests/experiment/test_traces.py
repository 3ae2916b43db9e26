"""Trace context: on every request, and another one for every operation."""

from __future__ import annotations

from experiment.requests import Request
from experiment.traces import traced, traceparent


def test_every_request_is_traced_and_says_who_calls() -> None:
    """W3C trace context and the caller's name stand before the request's own headers."""
    request, trace = traced(Request("GET", "/x", {"accept": "text/plain"}, b"", 3), "run-1", 7)
    assert list(request.headers) == ["traceparent", "x-caller", "accept"]
    assert request.headers["x-caller"] == "client"
    version, trace_id, span, flags = request.headers["traceparent"].split("-")
    assert (version, len(trace_id), len(span), flags) == ("00", 32, 16, "01")
    assert (trace, request.expected_version) == (trace_id, 3)


def test_traces_differ_by_operation_and_run_and_are_repeatable() -> None:
    """The same operation of the same run has the same trace; no other has."""
    assert traceparent("run-1", 1) == traceparent("run-1", 1)
    assert len({traceparent(run, n) for run in ("run-1", "run-2") for n in range(100)}) == 200
