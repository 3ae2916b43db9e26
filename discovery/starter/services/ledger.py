"""The ledger: keeps one booking for each request, and for each key where one is sent."""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BOOKINGS: list[dict[str, str]] = []
KEYS: set[str] = set()
LOCK = threading.Lock()


class Ledger(BaseHTTPRequestHandler):
    """POST /bookings, GET /bookings, GET /healthz."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """All that was booked, or a sign of life."""
        with LOCK:
            found = {"bookings": list(BOOKINGS)}
        self._answer(200, found if self.path == "/bookings" else {"status": "ok"})

    def do_POST(self) -> None:
        """Book an order; the same key again is the same booking."""
        order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["order"]
        key = self.headers.get("Idempotency-Key", "")
        with LOCK:
            if not key or key not in KEYS:
                BOOKINGS.append({"order": order, "state": "booked"})
            KEYS.add(key)
        self._answer(201, {"order": order})

    def _answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: a line a request would hide what matters."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Ledger).serve_forever()
