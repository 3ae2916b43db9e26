"""A service that knows nothing of the harness, of the standard library alone.

GET /env tells its variables, GET /call asks its callee, GET /ledger what it was asked for with POST. With
DIES_FIRST, a file of dots, it ends at once as often as there are dots left.
"""

import json
import os
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BOOKED: list[str] = []


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/alive":
            self.say({"status": "ok"})
        elif self.path == "/env":
            self.say(dict(os.environ))
        elif self.path == "/ledger":
            self.say({"entries": [{"reference": key, "state": "captured"} for key in BOOKED]})
        elif self.path == "/call":
            with urllib.request.urlopen(os.environ["CALLEE_URL"] + "/alive", timeout=2) as answer:
                self.say(json.loads(answer.read()))
        else:
            self.say({"error": "no such path"}, 404)

    def do_POST(self) -> None:
        BOOKED.append(self.rfile.read(int(self.headers["content-length"])).decode())
        self.say({"booked": len(BOOKED)}, 201)

    def say(self, what: object, status: int = 200) -> None:
        body = json.dumps(what).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def main() -> int:
    dies = Path(os.environ.get("DIES_FIRST", "/nowhere"))
    if dies.is_file() and (left := dies.read_text()):
        dies.write_text(left[1:])
        print("the database does not answer yet", flush=True)
        return 1
    host, _, port = os.environ["LISTEN"].rpartition(":")
    ThreadingHTTPServer((host, int(port)), Answers).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
