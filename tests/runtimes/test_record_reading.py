"""Systems of record of services that have no endpoint for them."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from experiment.errors import StartError
from experiment.history import Record
from experiment.record_sources import RecordSource
from experiment.rows import RECORDS_READ, Sample
from experiment.services import Endpoints
from runtimes.readings import Readings
from runtimes.record_reading import read_source
from runtimes.runtime import Address, Point, Zero

ZERO = Zero(0.0, 1000.0)
LEDGER = RecordSource(
    "pay",
    "charge",
    http="/ledger",
    entries="data.items",
    fields={"key": "order.ref", "t": "at", "status": "state"},
)
ONE = (
    b'{"order": {"ref": "ord-abc123-1"}, "at": "1970-01-01T00:17:00Z", "state": "captured", "amount": "9.5"}'
)
OTHER = b'{"order": {"ref": "ord-ffffff-1"}, "at": 1020, "state": "captured"}'
CHARGE = Record("pay", "charge", "ord-abc123-1", t=20.0, status="captured", amount=9.5)


class _Answers(BaseHTTPRequestHandler):
    """Answers every path with what the test wants."""

    body = b""
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the test's output is no log."""


@pytest.fixture
def address() -> Iterator[Address]:
    """Where a service answers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    Thread(target=server.serve_forever, daemon=True).start()
    yield Address("127.0.0.1", server.server_port)
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("body", "entries"),
    [
        (b'{"data": {"items": [' + ONE + b", " + OTHER + b"]}}", "data.items"),
        (b"[" + ONE + b", " + OTHER + b"]", ""),
        (ONE + b"\n" + OTHER + b"\n\n", ""),
        (ONE, ""),
    ],
    ids=["list inside", "list", "lines", "one line"],
)
def test_what_carries_the_token_of_the_run_is_read(
    body: bytes, entries: str, address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names are mapped, times are put on the clock of the run, entries of other runs are theirs."""
    monkeypatch.setattr(_Answers, "body", body)
    source = RecordSource("pay", "charge", http="/ledger", entries=entries, fields=LEDGER.fields)
    assert read_source(source, address, None, ZERO, "abc123") == [CHARGE]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"busy", 503, "answered 503, expected 200"),
        (b"<html>", 200, "not JSON, expected one with a list at data.items"),
        (b"[" * 5000, 200, "nested too deeply"),
        (b'{"data": {}}', 200, "no list at data.items in the answer"),
        (b'{"data": {"items": [5]}}', 200, "found the entry 5, expected an object"),
        (b'{"data": {"items": [{"at": 5}]}}', 200, 'an entry without "order.ref", expected its key'),
        (b'{"data": {"items": [' + ONE.replace(b"9.5", b"much") + b"]}}", 200, "could not convert"),
    ],
)
def test_what_cannot_be_read_says_which_records_and_why(
    body: bytes, status: int, words: str, address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run without its records is not judged, so the words must help."""
    monkeypatch.setattr(_Answers, "body", body)
    monkeypatch.setattr(_Answers, "status", status)
    with pytest.raises(StartError, match=f'the records "charge" of pay could not be read: .*{words}'):
        read_source(LEDGER, address, None, ZERO, "abc123")


def test_more_entries_than_the_limit_are_refused(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of a ledger would be judged as all of it."""
    monkeypatch.setattr(_Answers, "body", b"[" + ONE + b", " + OTHER + b"]")
    source = RecordSource("pay", "charge", http="/ledger", fields=LEDGER.fields, limit=1)
    with pytest.raises(StartError, match="more than 1 entries"):
        read_source(source, address, None, ZERO, "abc123")


def test_a_store_that_was_read_says_so_and_one_without_a_way_does_not(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty store is not an unread one: only the first has a count."""
    monkeypatch.setattr(_Answers, "body", b'{"data": {"items": []}}')
    points = {"pay": Point(address, Endpoints()), "stock": Point(address, Endpoints())}
    readings = Readings(points, (LEDGER,))
    rows = readings.records(ZERO, "abc123", {})
    readings.close()
    assert [(row.source, row.name, row.value) for row in rows if isinstance(row, Sample)] == [
        ("pay", RECORDS_READ, 0.0)
    ]


def test_only_services_with_the_endpoint_are_asked(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    """One without it is not unreachable: nothing is said of it."""
    monkeypatch.setattr(_Answers, "body", b'{"open": 2}')
    points = {"pay": Point(address, Endpoints(backlog="/open")), "stock": Point(address, Endpoints())}
    readings = Readings(points)
    assert readings.backlog() == {"pay": {"open": 2}}
    assert readings.metrics() == {}
    readings.close()
