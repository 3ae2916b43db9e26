"""The program that fills a system for people: it waits for readiness, and says what it could not do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from reference_system.seed import seed


class _Service(BaseHTTPRequestHandler):
    """Ready at the third look; keeps what it was given."""

    looks = 0
    given: bytes = b""
    status = 200

    def do_GET(self) -> None:
        type(self).looks += 1
        self.send_response(200 if self.looks >= 3 else 503)
        self.end_headers()

    def do_POST(self) -> None:
        assert self.path == "/admin/reset"
        type(self).given = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[tuple[str, type[_Service]]]:
    handler = type("Handler", (_Service,), {})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_service_gets_the_patients_once_it_is_ready(service: tuple[str, type[_Service]]) -> None:
    """Before that it would refuse them."""
    url, handler = service
    seed(url, b'{"patients": []}')
    assert handler.looks == 3
    assert handler.given == b'{"patients": []}'


def test_a_service_that_refuses_is_an_error(service: tuple[str, type[_Service]]) -> None:
    """`docker compose up` then shows that the seed ended with status 1."""
    url, handler = service
    handler.status = 409
    with pytest.raises(OSError, match="409"):
        seed(url, b"{}")


def test_a_service_that_never_gets_ready_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not wait for ever."""
    monkeypatch.setattr("reference_system.seed.DEADLINE_S", 0.0)
    with pytest.raises(TimeoutError, match="is not ready"):
        seed("http://127.0.0.1:1", b"{}")
