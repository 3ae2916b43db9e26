"""The outcome table: one expectation a row, written down here a second time on purpose."""

from __future__ import annotations

import pytest

from experiment.outcomes import TABLE, OutcomeRow, judge, seen_status

ACK, REJ, UNSURE = "acknowledged", "rejected", "indeterminate"

# seen: outcome of a write, outcome of a read, error kind
EXPECTED = {
    "2xx": (ACK, ACK, None),
    "202": (ACK, ACK, None),
    "3xx": (UNSURE, REJ, "redirected"),
    "400": (REJ, REJ, "bad_request"),
    "401": (REJ, REJ, "unauthorized"),
    "402": (REJ, REJ, "declined"),
    "403": (REJ, REJ, "forbidden"),
    "404": (REJ, REJ, "not_found"),
    "408": (REJ, REJ, "request_timeout"),
    "409": (REJ, REJ, "conflict"),
    "409 keyed": (UNSURE, REJ, "in_progress"),
    "412": (REJ, REJ, "version_mismatch"),
    "422": (REJ, REJ, "unprocessable"),
    "429": (REJ, REJ, "throttled"),
    "4xx": (REJ, REJ, "client_error"),
    "500": (UNSURE, REJ, "server_error"),
    "502": (UNSURE, REJ, "bad_gateway"),
    "503": (UNSURE, REJ, "unavailable"),
    "503 shed": (REJ, REJ, "shed"),
    "504": (UNSURE, REJ, "gateway_timeout"),
    "5xx": (UNSURE, REJ, "server_error"),
    "unreadable": (ACK, REJ, "unreadable"),
    "misread": (ACK, REJ, "workload_error"),
    "refused": (REJ, REJ, "refused"),
    "unreachable": (REJ, REJ, "unreachable"),
    "connect_cut": (REJ, REJ, "connect_cut"),
    "connect_timeout": (REJ, REJ, "connect_timeout"),
    "no_socket": (REJ, REJ, "no_socket"),
    "prerequisite": (REJ, REJ, "prerequisite"),
    "generator_late": (REJ, REJ, "generator_late"),
    "workload": (REJ, REJ, "workload_error"),
    "withdrawn": (REJ, REJ, "interrupted"),
    "timeout": (UNSURE, REJ, "timeout"),
    "send_cut": (UNSURE, REJ, "reset"),
    "reset": (UNSURE, REJ, "reset"),
    "closed": (UNSURE, REJ, "closed"),
    "truncated": (UNSURE, REJ, "truncated"),
    "malformed": (UNSURE, REJ, "malformed"),
    "interrupted": (UNSURE, REJ, "interrupted"),
}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.seen)
def test_each_row_says_what_is_certain(row: OutcomeRow) -> None:
    """A row's outcome for a write, for a read and its error kind are those that were decided."""
    write, read, error = EXPECTED[row.seen]
    assert (judge(row.seen, True).outcome, judge(row.seen, False).outcome) == (write, read)
    assert judge(row.seen, True).error == judge(row.seen, False).error == error


def test_every_expected_row_is_there_once() -> None:
    """No row is missing, doubled or unexpected."""
    assert sorted(row.seen for row in TABLE) == sorted(EXPECTED)


def test_no_row_calls_a_write_undone_once_it_was_sent_and_not_answered() -> None:
    """What was sent and not answered may have happened, whatever cut it short."""
    sent = ("timeout", "send_cut", "reset", "closed", "truncated", "malformed", "interrupted")
    assert {judge(seen, True).outcome for seen in sent} == {"indeterminate"}


def test_a_read_is_never_indeterminate() -> None:
    """A read has no effect to be unsure of."""
    assert {row.read for row in TABLE} == {"acknowledged", "rejected"}


@pytest.mark.parametrize(
    ("status", "headers", "keyed", "seen"),
    [
        (200, {}, False, "2xx"),
        (201, {}, True, "2xx"),
        (202, {}, True, "202"),
        (303, {}, False, "3xx"),
        (404, {}, False, "404"),
        (409, {}, False, "409"),
        (409, {}, True, "409 keyed"),
        (418, {}, False, "4xx"),
        (500, {"retry-after": "1"}, False, "500"),
        (503, {}, True, "503"),
        (503, {"retry-after": "1"}, True, "503 shed"),
        (503, {"x-not-done": "1"}, False, "503 shed"),
        (507, {}, False, "5xx"),
        (199, {}, False, "malformed"),
        (600, {}, False, "malformed"),
    ],
)
def test_an_answer_finds_its_row(status: int, headers: dict[str, str], keyed: bool, seen: str) -> None:
    """The exact status first, then what came with it, then its class."""
    assert seen_status(status, headers, keyed) == seen


def test_every_status_has_a_row() -> None:
    """No answer whatsoever is left without a judgement."""
    for status in range(100, 1000):
        judge(seen_status(status, {}, False), True)
