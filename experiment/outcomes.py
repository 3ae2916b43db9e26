"""One table from what a client saw to what is certain about its operation.

A write is `rejected` only when it certainly did not happen, `acknowledged` only when the system said that it
did, and `indeterminate` otherwise: the final reads and the systems of record settle it later. A read has no
effect to be unsure of: its answer is there (`acknowledged`) or not (`rejected`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from experiment.rows import Outcome


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """`seen`: a status ("404"), a status with what came with it ("503 shed"), a class of statuses ("4xx"),
    or what happened instead of an answer. `error` is the kind that reports count by; None is a success."""

    seen: str
    write: Outcome
    read: Outcome
    error: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Judgement:
    outcome: Outcome
    error: str | None


ACKNOWLEDGED: Outcome = "acknowledged"
REJECTED: Outcome = "rejected"
INDETERMINATE: Outcome = "indeterminate"

TABLE: tuple[OutcomeRow, ...] = (
    # answers
    OutcomeRow("2xx", ACKNOWLEDGED, ACKNOWLEDGED, None, "the system says that it is done"),
    OutcomeRow("202", ACKNOWLEDGED, ACKNOWLEDGED, None, "accepted: the system promises to go on behind"),
    OutcomeRow(
        "3xx", INDETERMINATE, REJECTED, "redirected", "not followed; 303 may follow a write that was done"
    ),
    OutcomeRow("400", REJECTED, REJECTED, "bad_request", "refused before any effect"),
    OutcomeRow("401", REJECTED, REJECTED, "unauthorized", "refused before any effect"),
    OutcomeRow("402", REJECTED, REJECTED, "declined", "declined: nothing was taken"),
    OutcomeRow("403", REJECTED, REJECTED, "forbidden", "refused before any effect"),
    OutcomeRow("404", REJECTED, REJECTED, "not_found", "there was nothing to act on"),
    OutcomeRow("408", REJECTED, REJECTED, "request_timeout", "the server never had the whole request"),
    OutcomeRow("409", REJECTED, REJECTED, "conflict", "refused: the state forbids it"),
    OutcomeRow(
        "409 keyed",
        INDETERMINATE,
        REJECTED,
        "in_progress",
        "the same Idempotency-Key is being worked on: it may happen",
    ),
    OutcomeRow("412", REJECTED, REJECTED, "version_mismatch", "If-Match named a version that is not current"),
    OutcomeRow("422", REJECTED, REJECTED, "unprocessable", "the key or the content was refused"),
    OutcomeRow("429", REJECTED, REJECTED, "throttled", "refused before any effect"),
    OutcomeRow("4xx", REJECTED, REJECTED, "client_error", "the request was refused"),
    OutcomeRow("500", INDETERMINATE, REJECTED, "server_error", "it may have failed after its commit"),
    OutcomeRow("502", INDETERMINATE, REJECTED, "bad_gateway", "what stands behind may have done it"),
    OutcomeRow(
        "503", INDETERMINATE, REJECTED, "unavailable", "nothing says that it was refused before any effect"
    ),
    OutcomeRow(
        "503 shed", REJECTED, REJECTED, "shed", "503 with Retry-After or x-not-done: refused at the door"
    ),
    OutcomeRow("504", INDETERMINATE, REJECTED, "gateway_timeout", "what stands behind may have done it"),
    OutcomeRow("5xx", INDETERMINATE, REJECTED, "server_error", "it may have failed after its commit"),
    OutcomeRow("unreadable", ACKNOWLEDGED, REJECTED, "unreadable", "a 2xx whose body says nothing legible"),
    OutcomeRow(
        "misread",
        ACKNOWLEDGED,
        REJECTED,
        "workload_error",
        "a success that the workload's own code could not read",
    ),
    # no answer: nothing was sent
    OutcomeRow("refused", REJECTED, REJECTED, "refused", "no connection, so nothing was sent"),
    OutcomeRow(
        "unreachable", REJECTED, REJECTED, "unreachable", "no route or no such host, so nothing was sent"
    ),
    OutcomeRow("connect_cut", REJECTED, REJECTED, "connect_cut", "cut while connecting, so nothing was sent"),
    OutcomeRow(
        "connect_timeout", REJECTED, REJECTED, "connect_timeout", "never connected, so nothing was sent"
    ),
    OutcomeRow("no_socket", REJECTED, REJECTED, "no_socket", "the generator itself had no socket left"),
    OutcomeRow("prerequisite", REJECTED, REJECTED, "prerequisite", "not sent: what it builds on had failed"),
    OutcomeRow(
        "generator_late", REJECTED, REJECTED, "generator_late", "not sent: its turn came after the load's end"
    ),
    OutcomeRow(
        "withdrawn", REJECTED, REJECTED, "interrupted", "not sent: the load was stopped while it waited"
    ),
    OutcomeRow("workload", REJECTED, REJECTED, "workload_error", "not sent: the workload's own code raised"),
    # no answer: something was sent
    OutcomeRow("timeout", INDETERMINATE, REJECTED, "timeout", "the user gave up; the work may go on"),
    OutcomeRow(
        "send_cut", INDETERMINATE, REJECTED, "reset", "cut while sending: the part that arrived may be enough"
    ),
    OutcomeRow("reset", INDETERMINATE, REJECTED, "reset", "reset after sending, before an answer"),
    OutcomeRow("closed", INDETERMINATE, REJECTED, "closed", "closed after sending, before an answer"),
    OutcomeRow("truncated", INDETERMINATE, REJECTED, "truncated", "cut inside the answer"),
    OutcomeRow("malformed", INDETERMINATE, REJECTED, "malformed", "an answer that is not HTTP"),
    OutcomeRow(
        "interrupted", INDETERMINATE, REJECTED, "interrupted", "the load was stopped while it was in flight"
    ),
)

_KNOWN = frozenset(row.seen for row in TABLE)
_WRITES = {row.seen: Judgement(row.write, row.error) for row in TABLE}
_READS = {row.seen: Judgement(row.read, row.error) for row in TABLE}


def judge(seen: str, writes: bool) -> Judgement:
    """The outcome of an operation. Raises KeyError for what no row names."""
    return (_WRITES if writes else _READS)[seen]


def seen_status(status: int, headers: Mapping[str, str], keyed: bool) -> str:
    """The row of an answer. `headers` have lower-case names; `keyed`: the request carried an
    Idempotency-Key."""
    if status == 503 and ("retry-after" in headers or "x-not-done" in headers):
        return "503 shed"
    if status == 409 and keyed:
        return "409 keyed"
    exact = str(status)
    if exact in _KNOWN:
        return exact
    return f"{exact[0]}xx" if 200 <= status < 600 else "malformed"
