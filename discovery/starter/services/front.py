"""The front: takes an order and has it booked. What got no answer is asked again."""

import json
import os
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

LEDGER = urlsplit(os.environ["LEDGER_URL"]).netloc
TIMEOUT_S = float(os.environ.get("LEDGER_TIMEOUT_S") or "0.5")
ATTEMPTS = int(os.environ.get("LEDGER_ATTEMPTS") or "2")
SEND_KEY = os.environ.get("LEDGER_SEND_KEY", "false") == "true"


def book(order: str) -> bool:
    """Whether the ledger says that the order is booked."""
    headers = {"Content-Type": "application/json", **({"Idempotency-Key": order} if SEND_KEY else {})}
    for _ in range(ATTEMPTS):
        ledger = HTTPConnection(LEDGER, timeout=TIMEOUT_S)
        try:
            ledger.request("POST", "/bookings", json.dumps({"order": order}), headers)
            if ledger.getresponse().status == 201:
                return True
        except (OSError, HTTPException):
            continue
        finally:
            ledger.close()
    return False


class Front(BaseHTTPRequestHandler):
    """POST /orders, GET /healthz."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """A sign of life."""
        self._answer(200, {"status": "ok"})

    def do_POST(self) -> None:
        """An order: 201 when it is booked."""
        order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["order"]
        booked = book(order)
        self._answer(201 if booked else 503, {"order": order, "booked": booked})

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
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Front).serve_forever()
